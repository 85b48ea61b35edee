"""How files travel: requests, credentials, resumed and checked transfers."""
