"""The daily account: what was expected, what was made of it, and why the rest is missing.

It changes nothing but the report that it keeps in the store.

Slow answers and outages of the archive or the store are parts of the account, not failures of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from seaice_ops.archive.product import Product
from seaice_ops.archive.source import Archive, open_archive
from seaice_ops.errors import ConfigError, CorruptProduct, TransientError
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.ops.account import catalogue
from seaice_ops.ops.account.collect import acquisitions, circumstances, clock_ahead
from seaice_ops.ops.account.facts import Acquisition, Circumstances
from seaice_ops.ops.account.keep import keep
from seaice_ops.ops.account.objects import Named, compared, looked_for, with_losses
from seaice_ops.ops.account.report import Checked, Report
from seaice_ops.ops.account.rows import Span
from seaice_ops.ops.account.why import account_for
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)

#: Days that an account without dates looks back over, today included.
DAYS = 30

#: Unexplained items that the run's row in the ledger names; the report names all.
_NAMED = 50

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class AccountRequest:
    """An account of the days `first` to `last` (both included; default: the last 30), of a region (default: all)."""

    first: date | None = None
    last: date | None = None
    region: str | None = None


def run(settings: Settings, request: AccountRequest, *, caller: str = "") -> tuple[Summary, Report]:
    """Make the account, and keep it in the store: `Summary.items` is its folder, `failed` what is unexplained.

    Raises `ConfigError` for an unknown region or an empty interval, and `TransientError` where the ledger does not
    answer.
    """
    tiles = settings.region(request.region).tiles if request.region else settings.tiles
    with recorded(settings, "account", caller) as stage:
        at = now()
        span = _span(request, tuple(tiles), at)
        report = _report(settings, stage, span, request.region or "", at)
        _keep(stage, report)
        _note(stage.summary, report)
        log.info("%s", report.sentence())
        return stage.summary, report


def _span(request: AccountRequest, tiles: tuple[str, ...], at: datetime) -> Span:
    last = request.last or at.date()
    first = request.first or last - (DAYS - 1) * _DAY
    if first > last:
        raise ConfigError(f"the account from {first} to {last} has no days")
    return Span(tiles, datetime.combine(first, time(), UTC), datetime.combine(last, time(), UTC) + _DAY)


def _report(settings: Settings, stage: StageRun, span: Span, region: str, at: datetime) -> Report:
    archive, offered, said = _ask(settings, span)
    standing = circumstances(stage.ledger, settings, at, asked=offered is not None)
    collected = acquisitions(stage.ledger, settings, span, offered, standing)
    held = sum(each.ready is not None for each in collected.acquisitions)
    if offered is not None and not offered and held:
        said = f"not believed: it offers none of the {held} acquisitions that are held; is its disk mounted?"
        archive, offered, standing = None, None, replace(standing, asked=False)
        collected = acquisitions(stage.ledger, settings, span, None, standing)
    found = collected.acquisitions
    if archive and offered is not None:
        found = _with_withdrawals(settings, stage, archive, found, standing)
    found, objects = _with_objects(stage, span, collected.objects, found, at)
    lines = [account_for(each, collected.coverage[each.tile], standing) for each in found]
    return Report(
        at=at,
        region=region,
        first=span.start.date(),
        last=(span.end - _DAY).date(),
        archive=said,
        notices=_notices(stage, at, objects),
        lines=tuple(line for line in lines if line),
        objects=objects,
    )


def _ask(settings: Settings, span: Span) -> tuple[Archive | None, Sequence[Product] | None, str]:
    """The archive, what it offers of `span`, and `asked`; nothing, and why not, where it cannot be asked."""
    try:
        archive = open_archive(settings)
        return archive, catalogue.offered(archive, span), "asked"
    except (TransientError, ConfigError, CorruptProduct) as reason:
        log.warning("the account goes by the ledger alone: %s", reason)
        return None, None, f"not asked: {reason}"


def _with_withdrawals(
    settings: Settings, stage: StageRun, archive: Archive, found: list[Acquisition], standing: Circumstances
) -> list[Acquisition]:
    try:
        causes = catalogue.withdrawn_since(archive, stage.ledger, settings.archive.kind, found, standing)
    except TransientError as reason:
        log.warning("the archive's list of withdrawn products was not read: %s", reason)
        return found
    return [
        replace(each, gone=causes[each.ready.id]) if each.ready and each.ready.id in causes else each for each in found
    ]


def _with_objects(
    stage: StageRun, span: Span, named: list[Named], found: list[Acquisition], at: datetime
) -> tuple[list[Acquisition], Checked]:
    """`found` with the objects that are lost, and what was looked at; where the store cannot be read, only why."""
    try:
        lost, checked = looked_for(stage.store, stage.ledger, named, span)
        sampled, damaged = compared(stage.store, stage.ledger, span.tiles, at)
    except (TransientError, ConfigError) as reason:
        log.warning("the store was not looked at: %s", reason)
        return found, Checked(trouble=f"not looked at: {reason}")
    known = {each.key for each in checked.damaged}
    more = tuple(each for each in damaged if each.key not in known)
    return with_losses(found, lost, damaged), replace(checked, sampled=sampled, damaged=checked.damaged + more)


def _notices(stage: StageRun, at: datetime, objects: Checked) -> tuple[str, ...]:
    found = [f"objects were {objects.trouble}: published counts the maps in the ledger"] if objects.trouble else []
    if objects.unknown:
        number = len(objects.unknown)
        words = f"the store holds {number} map{'s' * (number > 1)} that the ledger does not know"
        found.append(f"{words}, such as {objects.unknown[0]}: was the ledger restored? seaice_update_maps records them")
    with stage.ledger.begin() as session:
        ahead = clock_ahead(session, at)
    if ahead:
        words = f"the ledger holds a time that is yet to come, {ahead:%Y-%m-%dT%H:%MZ}: a clock was ahead or set back"
        found.append(
            f"{words}; until then, what came last counts as work in progress; check the clocks of all machines"
        )
    return tuple(found)


def _keep(stage: StageRun, report: Report) -> None:
    try:
        stage.summary.items.append(keep(stage.store, report))
    except (TransientError, ConfigError) as reason:
        stage.summary.skipped["report"] = f"not kept in the store: {reason}"
        log.warning("the report is not kept in the store: %s", reason)


def _note(summary: Summary, report: Report) -> None:
    _, total = report.table()
    summary.unchanged.update(total.steps)
    summary.failed |= dict(line.partition(": ")[::2] for line in report.unexplained[:_NAMED])
    if report.archive != "asked":
        summary.skipped["archive"] = report.archive
    summary.skipped |= {f"notice {n}": words for n, words in enumerate(report.notices, 1)}
