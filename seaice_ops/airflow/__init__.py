"""What runs inside or beside Airflow: tasks, console, REST client."""
