"""The readers, one module per format."""
