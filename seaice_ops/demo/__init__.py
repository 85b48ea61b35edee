"""`make demo`: a season from nothing to published maps."""
