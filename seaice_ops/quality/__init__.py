"""Label quality: labels against truth or hand labels, against each other and against the season, shown on sheets."""
