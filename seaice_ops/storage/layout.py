"""How stored rasters are laid out."""

#: Edge of a block of a stored raster, pixels.
BLOCK = 512
