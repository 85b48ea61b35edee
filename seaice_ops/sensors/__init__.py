"""Sensors in words and numbers: bands, scales, names, tiling. Nothing here imports anything of ours."""
