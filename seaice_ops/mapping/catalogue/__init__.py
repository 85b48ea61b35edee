"""The STAC catalogue of the published maps: its documents, its index, its update, the search in it."""
