"""The maps that are due, and the state of a tile that decides them."""
