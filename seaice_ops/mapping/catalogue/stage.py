"""The catalogue stage: lists the maps that were published since it ran last. One update at a time, on all machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text

from seaice_ops.files import locked
from seaice_ops.ledger.runs import recorded
from seaice_ops.ledger.session import Ledger
from seaice_ops.mapping.catalogue.documents import collection_id
from seaice_ops.mapping.catalogue.update import Places, update
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary


class CatalogueRequest(BaseModel):
    """A request to list the maps that are not listed; with `anew` to write every document from the ledger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anew: bool = False


def run(settings: Settings, request: CatalogueRequest, *, caller: str = "") -> Summary:
    """Bring the catalogue up to date; `Summary.items` are the ids of the maps that were listed.

    The maps of a tile's month of which an item cannot be read are recorded as failed; the others go on.
    """
    with recorded(settings, "catalogue", caller) as stage, _alone(stage.ledger, settings.home):
        update(stage.ledger, stage.store, places(settings), stage.summary, anew=request.anew)
    return stage.summary


def places(settings: Settings) -> Places:
    """The collection of each tile: of the first region by name that has it."""
    tiles: dict[str, str] = {}
    titles = {collection_id(""): "Sea ice, tiles of no region"}
    for name, region in sorted(settings.regions.items(), reverse=True):
        tiles |= dict.fromkeys(region.tiles, collection_id(name))
        titles[collection_id(name)] = f"Sea ice, {region.title}"
    return Places(tiles, titles)


@contextmanager
def _alone(ledger: Ledger, home: Path) -> Iterator[None]:
    """No other update meanwhile. Not `Ledger.alone`: other stages may write their rows while documents are written."""
    if ledger.url.startswith("postgresql"):
        with ledger.begin() as session:
            session.execute(text("SELECT pg_advisory_xact_lock(72177323)"))
            yield
    else:
        with locked(home / "catalogue.lock"):
            yield
