"""What a person reads of a delivery: the page and the terminal."""
