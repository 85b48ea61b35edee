"""From what an archive answered to the ledger: the rows concerned, the plan, and its decisions written down."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from seaice_ops.archive.plan import Decision, Plan, plan
from seaice_ops.archive.product import Product, Withdrawn, files_json
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.settings import Settings

#: A scene that nobody has moved on for so long is nobody's: younger ones are in the hands of the run that found them.
ABANDONED = timedelta(hours=1)

_UNFINISHED = (SceneState.DISCOVERED, SceneState.FETCHED, SceneState.FAILED)
_CHUNK = 400


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """`values` in parts of a statement's size: databases limit its parameters."""
    for first in range(0, len(values), _CHUNK):
        yield values[first : first + _CHUNK]


def record(
    settings: Settings,
    session: Session,
    found: Sequence[Product],
    tiles: Collection[str] = (),
    withdrawn: Iterable[Withdrawn] = (),
    *,
    caller: str,
) -> Plan:
    """Write down in this transaction (`ledger.session.alone`) what follows from the products `found` and `withdrawn`.

    With them is decided about what an earlier run abandoned in `tiles`. What is to be ingested is claimed by `caller`.
    """
    withdrawn = list(withdrawn)
    rows = {row.id: row for row in _known(session, found, [w.id for w in withdrawn], tiles, caller)}
    decided = plan(found, rows.values(), withdrawn)
    for decision in decided.decisions:
        if decision.new:
            insert_new(session, _new(decision))
        else:
            _update(settings, rows[decision.id], decision)
    session.flush()
    for some in chunks(decided.ingest):
        mine = update(Scene).where(Scene.id.in_(some))
        session.execute(mine.values(claimed_by=caller, updated_at=now()))
    return decided


def _known(
    session: Session, found: Sequence[Product], ids: Sequence[str], tiles: Collection[str], caller: str
) -> list[Scene]:
    """All rows of what was found, of `ids` and of their acquisitions, and of the acquisitions abandoned in `tiles`."""
    # What a run of the same caller had in hand is taken up at once: it is that run, repeated.
    nobodys = (Scene.updated_at < now() - ABANDONED) | Scene.claimed_by.is_(None) | (Scene.claimed_by == caller)
    unfinished = select(Scene.identity).where(Scene.tile.in_(list(tiles)), Scene.state.in_(_UNFINISHED), nobodys)
    conditions: list[ColumnElement[bool]] = [Scene.identity.in_(unfinished)]
    for some in chunks([*ids, *(p.id for p in found)]):
        conditions.append(Scene.identity.in_(select(Scene.identity).where(Scene.id.in_(some))))
    conditions += [Scene.identity.in_(some) for some in chunks(sorted({p.identity for p in found}))]
    rows: dict[str, Scene] = {}
    for condition in conditions:
        # Locked (in one order) so that a decode that ends meanwhile waits for what is decided here.
        query = select(Scene).where(condition).order_by(Scene.id).with_for_update()
        rows |= {row.id: row for row in session.scalars(query)}
    return list(rows.values())


def _new(decision: Decision) -> Scene:
    product, moment = decision.product, now()
    assert product is not None
    return Scene(
        id=product.id,
        identity=product.identity,
        tile=product.tile,
        platform=product.platform,
        sensed_at=product.sensed_at,
        relative_orbit=product.relative_orbit,
        baseline=product.baseline,
        generated_at=product.generated_at,
        published_at=product.published_at,
        href=product.href,
        state=decision.state,
        reason=decision.reason and decision.reason[:2048],
        attempts=0,
        superseded_by=decision.superseded_by,
        details=_details(product),
        discovered_at=moment,
        updated_at=moment,
    )


def _details(product: Product) -> dict[str, object]:
    parts = {"parts": list(product.parts)} if product.parts else {}
    return {"kind": product.kind, "files": files_json(product.files), **parts}


def _update(settings: Settings, row: Scene, decision: Decision) -> None:
    row.state, row.updated_at = decision.state, now()
    row.reason = decision.reason and decision.reason[:2048]
    row.superseded_by = decision.superseded_by
    if decision.state is SceneState.DISCOVERED:
        row.attempts = 0
        # Files fetched earlier may not be those that the archive holds now.
        shutil.rmtree(settings.inbox(row.id), ignore_errors=True)
    if decision.withdrawn_at:
        row.details = {**(row.details or {}), "withdrawn_at": decision.withdrawn_at.isoformat()}
    if decision.product is not None:
        fresh = _new(decision)
        for name in ("identity", "tile", "platform", "sensed_at", "relative_orbit", "generated_at", "published_at"):
            setattr(row, name, getattr(fresh, name))
        row.href, row.details = fresh.href, fresh.details
