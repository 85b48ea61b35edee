"""The object store, over a folder or S3: keys, objects, rasters."""
