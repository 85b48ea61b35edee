"""The addresses of dated changes' pictures and polygons, for the questions that people are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Response
from fastapi import Path as PathParameter

from seaice_ops.errors import ObjectMissing
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import store_of
from seaice_ops.ledger.tables import Change
from seaice_ops.settings import Settings

ChangeId = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}$")]
Name = Literal["before.png", "after.png", "change.geojson"]


def router(load: Callable[[], Settings]) -> APIRouter:
    """The routes below ``/changes``. `load` reads the settings for each request."""
    routes = APIRouter(prefix="/changes")

    @routes.get("/{change_id}/{name}")
    def object_of(change_id: ChangeId, name: Name) -> Response:
        settings = load()
        with open_ledger(settings).begin() as session:
            row = session.get(Change, change_id)
        if row is None:
            raise HTTPException(404, "no such change")
        try:
            data = store_of(settings).get(f"{row.folder}/{name}")
        except ObjectMissing:
            raise HTTPException(404, f"this change has no {name}") from None
        # An open change may be found again with other pixels under the same id.
        headers = {"Cache-Control": "private, max-age=300", "X-Content-Type-Options": "nosniff"}
        kind = "image/png" if name.endswith(".png") else "application/geo+json"
        return Response(data, media_type=kind, headers=headers)

    return routes
