"""The ledger: its tables, the operations on them, and their migrations. It alone says how far everything is."""
