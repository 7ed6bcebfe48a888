"""Images drawn for people: sheets, overlays, thumbnails."""
