"""One map: its layers, STAC item and footprint, its release, and its withdrawal."""
