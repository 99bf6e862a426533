"""The release: one SavedModel with everything in it, its versions and their history."""
