"""Keeps maps of polar sea ice up to date from Sentinel-2."""

__version__ = "0.2.0"
