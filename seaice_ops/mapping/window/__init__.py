"""The shifting window over stored class probabilities."""
