"""Decoding of Sentinel-2 products."""
