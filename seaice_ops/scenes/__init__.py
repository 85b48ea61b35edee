"""From fetched files to scenes: metadata, offsets and no-data, decoded once into one COG a scene."""
