"""Records -> a folder in one of the field's formats, and what could not be said there."""
