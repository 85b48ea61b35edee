"""The package's stages run against the service, and what is left behind by them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sqlalchemy import select

from helpers.factories import BAND_IDS, make_product
from seaice_ops.archive import fetch, search
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.archive.search import SearchRequest
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene
from seaice_ops.scenes import decode
from seaice_ops.scenes.decode import DecodeRequest
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def find(settings: Settings) -> Summary:
    """Search everything by sensing time."""
    return search.run(settings, SearchRequest("sensed", *EVER))


def bring(settings: Settings) -> list[Summary]:
    """Search everything and fetch it."""
    found = find(settings)
    return [found, fetch.run(settings, FetchRequest(tuple(found.items)))]


def ingest(settings: Settings) -> list[Summary]:
    """Search everything, fetch and decode it."""
    found, fetched = bring(settings)
    return [found, fetched, decode.run(settings, DecodeRequest(tuple(found.items)))]


def scenes(settings: Settings) -> dict[str, Scene]:
    """The ledger's scenes by id."""
    with open_ledger(settings).begin() as session:
        return {scene.id: scene for scene in session.scalars(select(Scene))}


def states(settings: Settings) -> dict[str, str]:
    return {id_: scene.state.value for id_, scene in scenes(settings).items()}


def objects(settings: Settings) -> dict[str, str]:
    """SHA-256 of every object in a folder store, by key; its marker, which differs by store, left out."""
    root = Path(settings.store)
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != "store.json")
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rough_bands(size: int = 256, seed: int = 0) -> dict[str, np.ndarray]:
    """Bands that do not compress: files of a real transfer's size relative to their count of pixels."""
    rng = np.random.default_rng(seed)
    edges = {band: size // 2 if band == "B11" else size for band in BAND_IDS}
    return {band: rng.integers(1000, 9000, (edge, edge)).astype(np.uint16) for band, edge in edges.items()}


def rough_product(archive: Path, seed: int = 0, **fields: object) -> str:
    """A product of such bands in an archive folder; about 0.5 MB."""
    archive.mkdir(parents=True, exist_ok=True)
    return make_product(archive, bands=rough_bands(seed=seed), **fields)  # type: ignore[arg-type]
