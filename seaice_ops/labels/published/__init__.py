"""The labelling methods as published: colour thresholds and the thin-cloud filter."""
