"""What a map consists of: layers, STAC item, footprint, withdrawal."""
