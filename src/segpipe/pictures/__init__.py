"""Pictures drawn for people: sheets, overlays, thumbnails."""
