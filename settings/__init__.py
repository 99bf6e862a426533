"""What a delivery is asked to do (hyperparameters) and where it happens (places)."""
