"""A simulated archive: an ocean with drifting ice, seen by a Sentinel-2-like sensor, published like Copernicus does.

Outside the loop on purpose: it imports no stage and no labelling threshold, and no stage imports it.
"""
