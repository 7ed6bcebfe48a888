"""Readers, one a format: a source folder becomes records."""
