"""Geography: regions, areas, grids, and tiles of the MGRS grid."""
