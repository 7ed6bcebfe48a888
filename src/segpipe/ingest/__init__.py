"""Readers: a source folder in any of 13 annotation formats becomes records."""
