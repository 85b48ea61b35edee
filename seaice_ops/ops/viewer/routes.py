"""The viewer's addresses: its page and scripts, the days of a region, picture tiles, and the history of a pixel."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import jinja2
from fastapi import APIRouter, HTTPException, Query, Response
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse
from morecantile import Tile
from sqlalchemy import select

from seaice_ops.classes.legend import CLASSES, CLOUD, COLOURS, LAND, LOW_SUN, NAMES
from seaice_ops.geo.grid import Grid
from seaice_ops.geo.regions import Region
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import store_of
from seaice_ops.ledger.tables import Scene
from seaice_ops.ops.viewer.history import label_keys, labels_there, maps_there, place_of
from seaice_ops.ops.viewer.picture import LAYERS, RAMPS, TRUE_COLOUR, colour_picture, layer_picture
from seaice_ops.ops.viewer.polar import DEEPEST, HALF, box, box_of, matrix, meeting, plane_of
from seaice_ops.ops.viewer.shown import days_of, grids_of, history_of, shown_on
from seaice_ops.sensors.known import true_colour_of
from seaice_ops.settings import Settings

#: Maps in the history of a pixel, at most.
HISTORY = 60

_HERE = Path(__file__).parent
_STATIC = {"viewer.js": "text/javascript", "viewer.css": "text/css"}
_LEAFLET = {"leaflet.js": "text/javascript", "leaflet.css": "text/css"}

#: The page's own scripts and styles, its own pictures; Leaflet holds one empty picture as data.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

RegionName = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Zoom = Annotated[int, PathParameter(ge=0, le=DEEPEST)]
Step = Annotated[int, PathParameter(ge=0, lt=2**DEEPEST)]
Day = Annotated[date, PathParameter(ge=date(2015, 1, 1), le=date(2115, 1, 1))]
Metres = Annotated[float, Query(ge=-HALF, le=HALF, allow_inf_nan=False)]


def router(load: Callable[[], Settings]) -> APIRouter:
    """The routes below ``/map``. `load` reads the settings for each request."""
    routes = APIRouter(prefix="/map")

    @routes.get("", response_class=HTMLResponse)
    def page() -> HTMLResponse:
        settings = load()
        body = _template().render(regions=settings.regions, layers=[*LAYERS, TRUE_COLOUR])
        return HTMLResponse(body, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})

    @routes.get("/static/{name}")
    def static(name: str) -> Response:
        if name in _STATIC:
            return _file((_HERE / name).read_bytes(), _STATIC[name])
        if name in _LEAFLET:
            return _file(files("xstatic.pkg.leaflet").joinpath("data", name).read_bytes(), _LEAFLET[name])
        raise HTTPException(404, "no such file")

    @routes.get("/{region}/index.json")
    def index(region: RegionName) -> dict[str, Any]:
        settings = load()
        tiles = _region(settings, region).tiles
        with open_ledger(settings).begin() as session:
            days, grids = days_of(session, tiles), grids_of(session, tiles)
        return _index(tiles, days, grids)

    @routes.get("/{region}/{day}/{layer}/{zoom}/{column}/{row}.png")
    def picture(region: RegionName, day: Day, layer: str, zoom: Zoom, column: Step, row: Step) -> Response:
        settings = load()
        if layer not in (*LAYERS, TRUE_COLOUR):
            raise HTTPException(404, "no such layer")
        png = _picture(settings, _region(settings, region).tiles, day, layer, (zoom, column, row))
        headers = {"Cache-Control": "private, max-age=300", "X-Content-Type-Options": "nosniff"}
        return Response(png, media_type="image/png", headers=headers)

    @routes.get("/{region}/{day}/pixel.json")
    def pixel(region: RegionName, day: Day, x: Metres, y: Metres) -> dict[str, Any]:
        settings = load()
        return _history(settings, _region(settings, region).tiles, day, x, y)

    return routes


def _region(settings: Settings, name: str) -> Region:
    if name not in settings.regions:
        raise HTTPException(404, "no such region")
    return settings.regions[name]


def _index(tiles: tuple[str, ...], days: dict[date, int], grids: dict[str, Grid]) -> dict[str, Any]:
    epsg = plane_of(tiles)
    boxes = {tile: box_of(grids[tile], epsg) if tile in grids else box(tile, epsg) for tile in tiles}
    shown = (*CLASSES, CLOUD, LOW_SUN, LAND)
    return {
        "epsg": epsg,
        "half": HALF,
        "deepest": DEEPEST,
        "tiles": boxes,
        "days": [{"day": day.isoformat(), "maps": count} for day, count in days.items()],
        "classes": {code: {"name": NAMES[code], "colour": _hex(COLOURS[code])} for code in shown},
        "ramps": {
            name: {"low": _hex(low), "high": _hex(high), "first": first, "last": last}
            for name, (low, high, first, last) in RAMPS.items()
        },
    }


def _hex(colour: tuple[int, ...]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _picture(settings: Settings, tiles: tuple[str, ...], day: date, layer: str, at: tuple[int, int, int]) -> bytes:
    epsg, (zoom, column, row) = plane_of(tiles), at
    if max(column, row) >= 2**zoom:
        raise HTTPException(404, "no such picture")
    bounds = matrix(epsg).xy_bounds(Tile(column, row, zoom))
    near = meeting(tiles, (bounds.left, bounds.bottom, bounds.right, bounds.top), epsg)
    with open_ledger(settings).begin() as session:
        maps = shown_on(session, near, day) if near else []
        newest = [shown.scenes[-1] for shown in maps]
        rows = session.scalars(select(Scene).where(Scene.id.in_(newest))) if layer == TRUE_COLOUR else ()
        scenes = {scene.id: (scene.key, list(scene.bands or ())) for scene in rows}
    store = store_of(settings)
    with store.gdal_env():
        if layer != TRUE_COLOUR:
            return layer_picture(store, [f"{shown.folder}/{layer}.tif" for shown in maps], layer, at, epsg)
        known = [scenes[each] for each in newest if each in scenes]
        pictures = [(key, numbers) for key, bands in known if key and (numbers := _numbers(bands))]
        return colour_picture(store, pictures, settings.scenes.ceiling, at, epsg)


def _numbers(bands: list[str]) -> list[int]:
    """The numbers, from 1, of the bands shown as red, green and blue; none where no known sensor has them."""
    return [bands.index(band) + 1 for band in true_colour_of(bands) or ()]


def _history(settings: Settings, tiles: tuple[str, ...], day: date, x: float, y: float) -> dict[str, Any]:
    epsg = plane_of(tiles)
    near, place = meeting(tiles, (x, y, x, y), epsg), place_of(x, y, epsg)
    method = settings.labels.method
    with open_ledger(settings).begin() as session:
        maps = history_of(session, near, day, HISTORY) if near else []
        scenes = {shown.scenes[-1] for shown in maps}
        keys = label_keys(session, scenes, method, settings.label_version(method))
    store = store_of(settings)
    return {
        "longitude": round(place.longitude, 6),
        "latitude": round(place.latitude, 6),
        "maps": maps_there(store, maps[::-1], place),
        "labels": labels_there(store, keys, place),
    }


def _file(data: bytes, kind: str) -> Response:
    headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(data, media_type=kind, headers=headers)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template("viewer.html")
