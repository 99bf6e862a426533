"""What a candidate is measured by, and what it has to reach."""
