"""What tests share: services that answer as real ones do, rows and rasters made in memory, kills and races."""
