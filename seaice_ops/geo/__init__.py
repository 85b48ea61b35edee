"""Where things lie: regions, areas, tiles of the MGRS grid."""
