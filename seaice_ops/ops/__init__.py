"""What operators look at: status, doctor, notifications, pages."""
