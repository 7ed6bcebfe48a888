"""The account of every image and annotation: verdicts, reasons, findings, limits."""
