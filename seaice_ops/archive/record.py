"""Record an archive's answer: read the rows concerned, plan, and make the planned moves."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from seaice_ops.archive.plan import Decision, Plan, plan
from seaice_ops.archive.product import Product, Withdrawn, files_json
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.scenes import add_scene, chunks, claim_scenes, move_scene
from seaice_ops.ledger.tables import Scene, SceneState, storable

#: After so long without a change a scene counts as abandoned. Until then the run that claimed it is at work on it.
ABANDONED = timedelta(hours=1)

#: Acquisitions and publications lie in [first, second). Other times are mistakes.
TIMES = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))

#: How far an acquisition may lie ahead of this machine's clock.
AHEAD = timedelta(days=1)

_UNFINISHED = (SceneState.DISCOVERED, SceneState.FETCHED, SceneState.FAILED)
#: What the columns of a scene's row hold.
_ID, _HREF, _REASON = 128, 1024, 2048


def record(
    session: Session,
    inbox: Path,
    found: Iterable[Product],
    tiles: Collection[str] = (),
    withdrawn: Iterable[Withdrawn] = (),
    *,
    caller: str,
) -> Plan:
    """Record, in this transaction (`Ledger.alone`), what follows from the products `found` and `withdrawn`.

    Scenes that an earlier run abandoned in `tiles` are planned with them. The scenes to ingest are claimed by `caller`.
    Files below `inbox` that may differ from the archive's are removed.
    """
    found = [believable(product) for product in found]
    withdrawn = [entry for entry in withdrawn if storable(entry.id, _ID) == entry.id]
    rows = {row.id: row for row in _known(session, found, [w.id for w in withdrawn], tiles, caller)}
    decided = plan(found, rows.values(), withdrawn)
    for decision in decided.decisions:
        if decision.new:
            add_scene(session, _new(decision), caller=caller)
        elif _move(session, rows[decision.id], decision, caller) and decision.state is SceneState.DISCOVERED:
            shutil.rmtree(inbox / decision.id, ignore_errors=True)
    session.flush()
    claim_scenes(session, decided.ingest, caller)
    return decided


def believable(product: Product) -> Product:
    """`product`; where its times cannot be true or the ledger cannot hold it, only its name and the problem."""
    times = (product.sensed_at, product.generated_at, product.published_at)
    wrong = [moment.isoformat() for moment in times if not TIMES[0] <= moment < TIMES[1]]
    id_, href = storable(product.id, _ID), storable(product.href, _HREF)
    problem = product.problem and storable(product.problem, _REASON)
    if not wrong and not problem and product.sensed_at > now() + AHEAD:
        problem = (
            f"its sensing time {product.sensed_at.isoformat()} lies in the future: mend it, or this machine's clock"
        )
    if (id_, href, wrong) == (product.id, product.href, []):
        return replace(product, problem=problem)
    why = f"{href}: {', '.join(wrong)} cannot be true" if wrong else f"{href}: its name or address cannot be stored"
    nowhen = TIMES[0]
    rest = Product(id_, product.kind, "", "", nowhen, 0, "", nowhen, nowhen, href)
    return replace(rest, problem=problem or storable(why, _REASON))


def _known(
    session: Session, found: Sequence[Product], ids: Sequence[str], tiles: Collection[str], caller: str
) -> list[Scene]:
    """All rows of what was found, of `ids` and of their acquisitions, and of the acquisitions abandoned in `tiles`."""
    moment = now()
    # Scenes claimed by the same caller are taken up at once: it is the same run, repeated. A row from the future was
    # written by a clock that was ahead, so its age is unknown.
    abandoned = (Scene.updated_at < moment - ABANDONED) | (Scene.updated_at > moment + ABANDONED)
    nobodys = abandoned | Scene.claimed_by.is_(None) | (Scene.claimed_by == caller)
    unfinished = select(Scene.identity).where(Scene.tile.in_(list(tiles)), Scene.state.in_(_UNFINISHED), nobodys)
    conditions: list[ColumnElement[bool]] = [Scene.identity.in_(unfinished)]
    for some in chunks([*ids, *(p.id for p in found)]):
        conditions.append(Scene.identity.in_(select(Scene.identity).where(Scene.id.in_(some))))
    conditions += [Scene.identity.in_(some) for some in chunks(sorted({p.identity for p in found}))]
    rows: dict[str, Scene] = {}
    for condition in conditions:
        # Locked, in one order, so that a decode that ends meanwhile waits for these decisions.
        query = select(Scene).where(condition).order_by(Scene.id).with_for_update()
        rows |= {row.id: row for row in session.scalars(query)}
    return list(rows.values())


def _new(decision: Decision) -> Scene:
    assert decision.product is not None
    return Scene(
        **_columns(decision.product),
        id=decision.id,
        state=decision.state,
        reason=decision.reason,
        attempts=0,
        superseded_by=decision.superseded_by,
        discovered_at=now(),
        updated_at=now(),
    )


def _move(session: Session, row: Scene, decision: Decision, caller: str) -> bool:
    values = _columns(decision.product) if decision.product else {}
    if decision.state is SceneState.DISCOVERED:
        values["attempts"] = 0
    if decision.withdrawn_at:
        values["details"] = {**(row.details or {}), "withdrawn_at": decision.withdrawn_at.isoformat()}
    fate = {"reason": decision.reason, "superseded_by": decision.superseded_by}
    return move_scene(session, row, decision.state, caller=caller, **fate, **values)


def _columns(product: Product) -> dict[str, Any]:
    """The columns of a scene's row that describe `product`."""
    parts = {"parts": list(product.parts)} if product.parts else {}
    return {
        "identity": product.identity,
        "tile": product.tile,
        "platform": product.platform,
        "sensed_at": product.sensed_at,
        "relative_orbit": product.relative_orbit,
        "baseline": product.baseline,
        "generated_at": product.generated_at,
        "published_at": product.published_at,
        "href": product.href,
        "details": {"kind": product.kind, "files": files_json(product.files), **parts},
    }
