"""The data that flows between the stages: records, classes, photos, tables."""
