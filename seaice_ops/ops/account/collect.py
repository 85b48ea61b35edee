"""Brings together what the archive offers and what the ledger holds: the acquisitions, and the circumstances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from seaice_ops.archive.limits import breaker
from seaice_ops.archive.limits.quota import usage
from seaice_ops.archive.plan import plan
from seaice_ops.archive.product import Product
from seaice_ops.archive.search import MOST_SCENES
from seaice_ops.errors import ArchiveUnavailable, QuotaExceeded
from seaice_ops.ledger.scenes import chunks
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Breaker, Run, Scene, SceneEvent, SceneState
from seaice_ops.mapping.due.source import source
from seaice_ops.mapping.due.tile_state import Rules, TileState, tile_state
from seaice_ops.ops.account import rows
from seaice_ops.ops.account.facts import Acquisition, Circumstances, Coverage, Made, Offer, Version
from seaice_ops.ops.account.objects import Named
from seaice_ops.ops.account.reasons import Reason
from seaice_ops.ops.account.rows import Held, NewestMap, Span
from seaice_ops.settings import Settings

DAY = timedelta(days=1)

#: Only this archive lists all that it withdraws. In a folder a product can be removed by hand; others publish no list.
LISTS_WITHDRAWALS = ("cdse",)

#: Stages whose newest error is told with what waits for them.
STAGES = ("search", "fetch", "decode", "label", "encode", "publish")

_WAITING = (SceneState.DISCOVERED, SceneState.FETCHED)


def circumstances(ledger: Ledger, settings: Settings, at: datetime, *, asked: bool) -> Circumstances:
    """What holds work up at `at`."""
    archive = settings.archive
    state, quota = breaker.current(ledger, archive.kind), usage(ledger, archive, settings.work, at)
    with ledger.begin() as session:
        model = source(session, Rules.of(settings).labels).model
        resumed, queue = _resumed(session, archive.kind, at), _queue(session, at)
        errors = {stage: words for stage in STAGES if (words := _last_error(session, stage))}
    return Circumstances(
        at=at,
        grace=timedelta(hours=settings.mapping.late_after_hours),
        overlap=timedelta(hours=archive.overlap_hours),
        asked=asked,
        lists_withdrawals=archive.kind in LISTS_WITHDRAWALS,
        outage=breaker.sentence(archive.kind, state) if state.opened_at else "",
        quota=f"quota of {quota.sentence()}" if quota and quota.again else "",
        resumed=resumed,
        queue=queue,
        model=model,
        errors=errors,
    )


def _last_error(session: Session, stage: str) -> str | None:
    """The error with which the newest run of a stage ended; None where it ended well."""
    return session.scalar(select(Run.error).where(Run.stage == stage).order_by(Run.id.desc()).limit(1))


def _resumed(session: Session, archive: str, at: datetime) -> datetime | None:
    """When an outage last ended, or an outage or the quota last ended a run; what waited goes on with the next run."""
    closed = session.scalar(
        select(Breaker.updated_at).where(Breaker.archive == archive, Breaker.opened_at.is_(None), Breaker.failures == 0)
    )
    put_off = or_(*(Run.error.startswith(f"{kind.__name__}:") for kind in (QuotaExceeded, ArchiveUnavailable)))
    last = session.scalar(select(func.max(Run.started_at)).where(Run.stage.in_(("search", "fetch")), put_off))
    return max((moment for moment in (closed, last) if moment and moment <= at), default=None)


def _queue(session: Session, at: datetime) -> timedelta:
    """How much longer than one run's work the queue of scenes lasts; nothing where no scene moved for a day."""
    waiting = session.scalar(select(func.count()).where(Scene.state == SceneState.DISCOVERED)) or 0
    done = SceneEvent.after.in_((SceneState.FETCHED, SceneState.READY, SceneState.FAILED))
    moves = session.scalar(select(SceneEvent.at).where(SceneEvent.at > at - DAY, SceneEvent.at <= at, done).limit(1))
    return -(-waiting // MOST_SCENES) * DAY if moves else timedelta()


def clock_ahead(session: Session, at: datetime) -> datetime | None:
    """The newest time in the ledger where it is yet to come: a clock was ahead, or has jumped back since."""
    newest = [
        session.scalar(query)
        for query in (
            select(func.max(Scene.updated_at)),
            select(func.max(SceneEvent.at)),
            select(Run.started_at).order_by(Run.id.desc()).limit(1),
        )
    ]
    return max((moment for moment in newest if moment and moment > at + timedelta(minutes=5)), default=None)


@dataclass(frozen=True)
class Found:
    """The acquisitions of a span, by tile and time, and what belongs to them."""

    acquisitions: list[Acquisition]
    coverage: dict[str, Coverage]
    """What searches covered of each tile."""
    objects: list[Named]
    """The objects that the ledger names of them."""


def acquisitions(
    ledger: Ledger, settings: Settings, span: Span, offered: Iterable[Product] | None, now: Circumstances
) -> Found:
    """Every acquisition of `span` that is offered or in the ledger.

    `offered` is what the catalogue answered; None where it was not asked.
    """
    rules = Rules.of(settings)
    products: defaultdict[str, list[Product]] = defaultdict(list)
    for product in offered or ():
        if product.platform:  # a name that cannot be read is of no acquisition
            products[product.identity].append(product)
    with ledger.begin() as session:
        held, published = rows.scenes(session, span, rules.labels, now.model), rows.maps(session, span)
        wanted = _wanted(session, products, held)
        made, objects = _made(held, published, now.model)
        cover = rows.coverage(session, settings.archive.kind, span.tiles)
        failures = _failed_maps(session, now)
    found = [
        _acquisition(identity, products.get(identity, ()), held.get(identity), wanted.get(identity), made)
        for identity in sorted(products.keys() | held.keys())
    ]
    found = _with_obstacles(ledger, rules, found, failures, now)
    return Found(sorted(found, key=lambda each: (each.tile, each.sensed_at, each.identity)), cover, objects)


def _acquisition(
    identity: str, offered: Iterable[Product], held: Held | None, wanted: str | None, made: Mapping[str, Made]
) -> Acquisition:
    best = max(offered, key=lambda product: (product.problem is None, product.rank), default=None)
    place = held or best
    assert place is not None
    versions = tuple(held.versions) if held else ()
    return Acquisition(
        identity,
        place.tile,
        place.sensed_at,
        Offer(best.id, best.published_at) if best else None,
        versions,
        wanted,
        made.get(identity, Made()),
    )


def _wanted(session: Session, products: Mapping[str, list[Product]], held: Mapping[str, Held]) -> dict[str, str | None]:
    """The version to ingest now of each acquisition for which there is one: what the next search would decide."""
    unclear = []
    result: dict[str, str | None] = {}
    for identity in products.keys() | held.keys():
        versions, offered = held[identity].versions if identity in held else [], products.get(identity, [])
        if len(versions) == 1 and all(product.id == versions[0].id for product in offered):
            if versions[0].state is SceneState.READY:
                continue
            if versions[0].state in _WAITING:
                result[identity] = versions[0].id
                continue
        unclear.append(identity)
    for some in chunks(sorted(unclear)):
        known = session.scalars(select(Scene).where(Scene.identity.in_(some))).all()
        best = plan([product for identity in some for product in products.get(identity, ())], known).best
        result |= {identity: found[1] for identity, found in best.items() if found}
    return result


def _made(
    held: Mapping[str, Held], published: Mapping[tuple[str, datetime], NewestMap], model: str | None
) -> tuple[dict[str, Made], list[Named]]:
    """What was made of each ready acquisition, by identity, and the objects that the ledger names."""
    result: dict[str, Made] = {}
    objects: list[Named] = []
    for identity, each in held.items():
        ready = each.ready
        if ready is None:
            continue
        newest = published.get((each.tile, each.sensed_at))
        shown = newest if newest and newest.shows(ready.id, each.sha256) else None
        result[identity] = Made(
            labelled=each.labelled is not None,
            encoded=shown is not None or (each.encoded if model else each.labelled) is not None,
            mapped=shown is not None,
            map_id=shown.id if shown else None,
            ready_to_map=each.encoded if model else each.labelled,
        )
        objects.append(Named(identity, each.key, each.bytes, each.labels, shown))
    return result, objects


def _failed_maps(session: Session, now: Circumstances) -> dict[str, str]:
    """Why maps could not be made, as the publish runs of late say, by map id."""
    query = select(Run.summary).where(Run.stage == "publish", Run.started_at > now.at - 2 * now.grace)
    found: dict[str, str] = {}
    for summary in session.scalars(query.order_by(Run.id)):
        found |= summary.get("failed", {})
    return found


def _with_obstacles(
    ledger: Ledger, rules: Rules, found: list[Acquisition], failures: Mapping[str, str], now: Circumstances
) -> list[Acquisition]:
    """`found` with what keeps a map from being made, where one has been due for longer than it may."""
    states: dict[str, TileState] = {}
    result = []
    for each in found:
        made, ready = each.made, each.ready
        due = ready is not None and made.labelled and made.encoded and not made.mapped
        if ready and due and now.at - max(ready.since, made.ready_to_map or ready.since) > now.grace:
            if each.tile not in states:
                states[each.tile] = tile_state(ledger, each.tile, rules)
            each = replace(each, made=replace(made, obstacle=_obstacle(each, ready, states[each.tile], failures)))
        result.append(each)
    return result


def _obstacle(
    each: Acquisition, ready: Version, state: TileState, failures: Mapping[str, str]
) -> tuple[Reason, str] | None:
    if words := state.skipped.get(ready.id):
        scene_bands = "which the champion" in words
        return (Reason.MODEL if scene_bands else Reason.DATA), words
    due = next((due for due in state.due if due.window_end == each.sensed_at), None)
    if due and (missing := state.missing(due)):
        reason = Reason.MODEL if state.source.model else Reason.LABELS
        return reason, f"its window waits for {', '.join(missing[:3])}"
    begins = f"{each.tile}_{each.sensed_at:%Y%m%dT%H%M%S}_"
    told = [words for map_id, words in failures.items() if map_id.startswith(begins)]
    return (Reason.DATA, told[-1]) if told else None
