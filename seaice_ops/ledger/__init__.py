"""What is known: the tables, the operations on them, and their migrations. The only truth about progress."""
