"""The sea-ice pages in the Airflow UI, behind Airflow's own login.

Every Airflow process imports this file, only the api-server answers requests: the application is made with the first.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin


@cache
def application() -> Any:
    """The pages, each route open only to users who may see plugins."""
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
    from airflow.api_fastapi.core_api.security import requires_access_view
    from fastapi import Depends

    from seaice_ops.ops.pages.app import create
    from seaice_ops.settings import Settings

    return create(Settings.load, guards=[Depends(requires_access_view(AccessView.PLUGINS))])


async def serve(scope: Any, receive: Any, send: Any) -> None:
    """ASGI entry: hand the request to the application."""
    await application()(scope, receive, send)


class SeaIcePages(AirflowPlugin):
    """Mounts the pages at /seaice and shows them in the navigation."""

    name = "seaice_pages"
    fastapi_apps = [{"app": serve, "url_prefix": "/seaice", "name": "Sea ice"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {"name": "Sea ice", "href": "/seaice/", "destination": "nav", "url_route": "seaice"}
    ]
