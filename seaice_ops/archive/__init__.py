"""Search an archive, plan what is new or superseded, and fetch it with checks."""
