"""The catalogue of datasets, and how their images come into memory."""
