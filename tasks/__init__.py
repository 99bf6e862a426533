"""One thin Prefect module per step of the way; the work is in the folders below."""
