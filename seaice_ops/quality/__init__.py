"""How good labels are: against truth or hand labels, against each other, and by what is usual; shown as a sheet."""
