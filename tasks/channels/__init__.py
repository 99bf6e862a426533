"""Where a release is served: one protocol for every backend, and the client."""
