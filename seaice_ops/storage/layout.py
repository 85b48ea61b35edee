"""The layout of stored rasters."""

#: Edge of a block of a stored raster, pixels.
BLOCK = 512
