"""Code that knows no image: errors, files, processes, commands."""
