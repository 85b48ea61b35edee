"""Connections of Airflow that tasks read: the archive's credentials, and a login to Airflow's own REST API."""

from __future__ import annotations

import logging
import os

import httpx
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from seaice_ops.settings import Settings

log = logging.getLogger(__name__)

AIRFLOW = "seaice_airflow"


def lend_archive(settings: Settings) -> None:
    """Put the archive's connection, where only Airflow knows it, into this process's environment.

    There the package looks for it. Airflow masks it in the task's log; it is in no XCom, and ends with the process.
    """
    from seaice_ops.archive.transport.credentials import variable

    if settings.archive.is_folder or os.environ.get(variable(settings.archive.connection)):
        return
    try:
        connection = Connection.get(settings.archive.connection)
    except AirflowNotFoundException:
        log.info("Airflow has no connection %s; plain variables are read", settings.archive.connection)
        return
    os.environ[variable(settings.archive.connection)] = connection.get_uri()


def airflow_client(settings: Settings) -> httpx.Client:
    """A client of Airflow's REST API: by the connection `seaice_airflow`, else as `rest.find` finds one.

    A task has no access to Airflow's database. What it asks of Airflow goes through the API.
    """
    from seaice_ops.airflow import rest

    try:
        found = Connection.get(AIRFLOW)
    except AirflowNotFoundException:
        return rest.find(settings)
    scheme, port = found.schema or "http", f":{found.port}" if found.port else ""
    host = found.host or ""
    address = host if "://" in host else f"{scheme}://{host}"
    return rest.sign_in(f"{address}{port}", found.login or "", found.password or "")
