"""Training sets: the frozen snapshot and its chips."""
