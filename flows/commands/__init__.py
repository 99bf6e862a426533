"""What `slipway COMMAND` does: the two flows started from here, and plain commands beside them."""
