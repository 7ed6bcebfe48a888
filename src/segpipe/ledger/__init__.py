"""The outcome of every image and annotation: verdicts, reasons, findings, and limits on them."""
