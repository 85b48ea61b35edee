"""A simulated archive: an ocean with drifting ice, seen by a Sentinel-2-like sensor, published like Copernicus does.

It stays independent of what it tests: it imports no stage and no labelling threshold, and no stage imports it.
"""
