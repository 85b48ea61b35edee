"""Transfer of files: requests, credentials, resumed and checked transfers."""
