"""The sea-ice pages: the tiles with their newest maps, and the maps' pictures from the object store."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import jinja2
from fastapi import FastAPI, HTTPException, Response
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse

from seaice_ops.archive.limits import breaker
from seaice_ops.classes.legend import CLASSES, COLOURS, LAND, NAMES, SLUGS
from seaice_ops.errors import ObjectMissing, SeaIceError
from seaice_ops.ledger.operations import now as present
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import store_of
from seaice_ops.ledger.tables import Map
from seaice_ops.ops import change_pictures
from seaice_ops.ops.account import routes as account
from seaice_ops.ops.account.reasons import Reason
from seaice_ops.ops.overview.collect import overview
from seaice_ops.ops.overview.facts import age
from seaice_ops.ops.overview.to_json import iso
from seaice_ops.ops.pages import now
from seaice_ops.ops.viewer import routes as viewer
from seaice_ops.settings import Settings

MapId = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]

LEGEND = [
    {"slug": SLUGS[code], "name": NAMES[code], "colour": "#{:02x}{:02x}{:02x}".format(*COLOURS[code])}
    for code in (*CLASSES, LAND)
]


def create(load: Callable[[], Settings], guards: Sequence[Any]) -> FastAPI:
    """The application. `load` reads the settings for each request; `guards` are dependencies of every route."""
    app = FastAPI(title="Sea ice", dependencies=list(guards), docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(SeaIceError, _trouble)

    @app.get("/", response_class=HTMLResponse)
    def tiles() -> HTMLResponse:
        return _page(state=overview(load()))

    @app.get("/now", response_class=HTMLResponse)
    def now_page() -> HTMLResponse:
        return _now(load())

    @app.get("/maps/{map_id}/quicklook.png")
    def picture(map_id: MapId) -> Response:
        settings = load()
        with open_ledger(settings).begin() as session:
            row = session.get(Map, map_id)
        if row is None:
            raise HTTPException(404, "no such map")
        try:
            png = store_of(settings).get(f"{row.folder}/quicklook.png")
        except ObjectMissing:
            raise HTTPException(404, "this map has no picture") from None
        headers = {"Cache-Control": "private, max-age=86400, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(png, media_type="image/png", headers=headers)

    app.include_router(viewer.router(load))
    app.include_router(account.router(load))
    app.include_router(change_pictures.router(load))
    return app


async def _trouble(request: Any, error: Exception) -> HTMLResponse:
    return _page(503, problem=str(error), state=None)


def _now(settings: Settings) -> HTMLResponse:
    found, (outage, quota) = now.tiles_now(settings), now.held_up(settings)
    return _page(
        name="now.html",
        tiles=found,
        late=sum(each.late is not None for each in found),
        unexplained=sum(each.reason == Reason.UNEXPLAINED for each in found),
        promise=settings.mapping.late_after_hours,
        at=present(),
        days=now.DAYS,
        states=now.STATES,
        outage=outage,
        quota=quota,
        moment=_moment,
        words=_strip_words,
    )


def _moment(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC" if when else "none in 60 days"


def _strip_words(strip: Sequence[tuple[date, str]]) -> str:
    counts = Counter(state for _, state in strip)
    return ", ".join(f"{counts[state]} days {meaning}" for state, meaning in now.STATES.items() if counts[state])


def _page(code: int = 200, *, name: str = "tiles.html", **values: Any) -> HTMLResponse:
    template, style = _template(name)
    common = {"style": style, "legend": LEGEND, "age": age, "iso": iso, "outage": breaker.sentence}
    body = template.render(**{**common, **values})
    # Nothing but this style and our own pictures may load, and nothing may run.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src 'self'; style-src 'sha256-{digest}'; frame-ancestors 'self'"
    return HTMLResponse(body, code, {"Content-Security-Policy": policy, "Cache-Control": "no-store"})


@cache
def _template(name: str) -> tuple[jinja2.Template, str]:
    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    swatches = "".join(f".{each['slug']}{{background:{each['colour']}}}" for each in LEGEND)
    return environment.get_template(name), (here / "pages.css").read_text() + swatches
