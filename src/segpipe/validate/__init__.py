"""The stage validate: every image is decoded and every annotation judged."""
