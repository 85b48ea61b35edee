"""Ice drift between two acquisitions of a tile, by tracking the ice's own patterns."""
