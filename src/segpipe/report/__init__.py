"""The two HTML pages: the data report and the model report."""
