"""Rebuild a past period of a region: the days of a season, what they cost, and Airflow driven through them."""
