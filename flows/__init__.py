"""The flows, read top to bottom: deliver and rollback."""
