"""What each step makes of its inputs, one module a step: all that decides a result, and is in its key."""
