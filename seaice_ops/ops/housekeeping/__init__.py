"""Housekeeping: objects that the ledger does not name, and rows whose object is missing."""
