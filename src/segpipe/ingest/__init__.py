"""A source folder in any of 13 formats becomes records."""
