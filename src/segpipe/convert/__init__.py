"""The command `convert`: writers for the common annotation formats, and the conversion of a whole source."""
