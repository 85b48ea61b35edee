"""For operators: the overview, the doctor, notifications, pages."""
