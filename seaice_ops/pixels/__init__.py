"""Pixels as every stage reads them: scenes, land, reference labels, sidecars."""
