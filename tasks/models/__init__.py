"""The two networks, their training and the score."""
