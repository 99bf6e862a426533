"""Artifacts by content: their digests, keys, locks and sweeping."""
