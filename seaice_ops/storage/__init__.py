"""Where bytes are: one object store over a folder or S3, and the names of everything in it."""
