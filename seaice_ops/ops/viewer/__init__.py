"""The map viewer: regions in polar stereographic, through time, down to the history of one pixel."""
