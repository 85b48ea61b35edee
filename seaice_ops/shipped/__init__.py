"""Files that come with the package: the default configuration, Airflow's pools, DAGs and plugins.

In a checkout they are links to the folders at its root; a wheel holds the files themselves.
"""

from __future__ import annotations

from pathlib import Path


def shipped(name: str) -> Path:
    """The absolute path of `seaice.yaml`, `pools.json`, `dags` or `plugins`."""
    return (Path(__file__).parent / name).resolve()
