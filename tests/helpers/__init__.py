"""Shared test helpers: services that behave like real ones, rows and rasters made in memory, kills and races."""
