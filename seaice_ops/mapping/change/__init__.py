"""Dated changes of a tile: found in its sequence of maps, drawn, recorded, and decided by people."""
