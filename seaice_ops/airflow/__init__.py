"""Everything that knows Airflow: the tasks of the DAGs, the console on one machine, the REST client, mail."""
