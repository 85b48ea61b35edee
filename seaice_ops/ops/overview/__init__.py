"""The state of everything that the ledger knows: collected once, shown in a terminal, as JSON and on the page."""
