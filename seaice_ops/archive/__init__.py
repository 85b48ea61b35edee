"""What can be had: searching an archive, planning what is new or superseded, and fetching it with checks."""
