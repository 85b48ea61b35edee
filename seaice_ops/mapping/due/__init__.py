"""Which maps are due."""
