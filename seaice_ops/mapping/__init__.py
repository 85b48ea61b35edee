"""Model and scenes to maps: encode each acquisition once, shift each tile's window over them, publish."""
