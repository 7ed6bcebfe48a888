"""Writers: records become a folder in one of the field's formats."""
