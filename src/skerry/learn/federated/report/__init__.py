"""The report of a run: one HTML file with everything in it, nothing fetched from anywhere."""
