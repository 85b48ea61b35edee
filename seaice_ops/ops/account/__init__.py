"""The account: of each acquisition that the archive offers, what was made of it, and one reason where it is no map."""
