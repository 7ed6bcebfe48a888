"""Helpers for those who work on segpipe itself."""
