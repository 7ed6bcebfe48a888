"""The stage validate: every image decoded, every annotation judged."""
