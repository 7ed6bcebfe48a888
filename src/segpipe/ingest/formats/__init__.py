"""The readers of annotation formats: each module has `recognise` and `read`, and a card of its format at its head."""
