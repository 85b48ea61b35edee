"""The verbs of dated changes: `seaice changes ...`."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from seaice_ops.cli.common import (
    Json,
    Tiles,
    app,
    as_tiles,
    busy,
    load_settings,
    out,
    readable_errors,
    report,
    say,
    utc,
)

changes_app = typer.Typer(no_args_is_help=True, help="Dated changes: find, look, approve, reject, correct.")
app.add_typer(changes_app, name="changes")

Id = Annotated[str, typer.Argument(metavar="CHANGE", help="Its id, as `seaice changes list` shows it.")]
By = Annotated[str, typer.Option("--by", help="Who decides; default: the user's name on this machine.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Kept in the ledger.")]

_CODES = {"water": 1, "thin": 2, "thick": 3}


@changes_app.command("find")
def find(
    tile: Tiles = None,
    start: Annotated[datetime | None, typer.Option("--from", help="Only changes dated from then on, UTC.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="Only changes dated before then, UTC.")] = None,
    as_json: Json = False,
) -> None:
    """Find changes in the tiles' sequences of maps, for people to decide."""
    from seaice_ops.mapping.change import stage

    with readable_errors(as_json):
        period = {"start": utc(start) if start else None, "end": utc(end) if end else None}
        request = stage.FindRequest(tiles=as_tiles(tile), **period)
        with busy("finding changes"):
            summary = stage.run(load_settings(), request, caller="cli")
        report(summary, as_json)


@changes_app.command("list")
def list_changes(
    tile: Tiles = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="provisional, confirmed, approved, rejected or gone; repeatable. Default: all."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List changes by tile and date."""
    from seaice_ops.ledger.changes import changes_of
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.ledger.tables import ChangeState

    known = [each.value for each in ChangeState]
    if wrong := sorted(set(state or ()) - set(known)):
        raise typer.BadParameter(f"{', '.join(wrong)}: --state is one of {', '.join(known)}")
    states = [ChangeState(each) for each in state] if state else None
    with readable_errors(as_json):
        settings = load_settings()
        with open_ledger(settings).begin() as session:
            rows = changes_of(session, as_tiles(tile), states)
    say(as_json, [_facts(row) for row in rows], *(map(_line, rows) if rows else ["no changes"]))


@changes_app.command("show")
def show(change: Id, as_json: Json = False) -> None:
    """Show one change: what is known of it, where its pictures are, and its history."""
    from sqlalchemy import select

    from seaice_ops.ledger.changes import get_change
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.ledger.tables import ChangeEvent

    with readable_errors(as_json):
        settings = load_settings()
        with open_ledger(settings).begin() as session:
            row = get_change(session, change)
            query = select(ChangeEvent).where(ChangeEvent.change_id == change).order_by(ChangeEvent.number)
            events = list(session.scalars(query))
    history = [f"{each.at:%Y-%m-%d %H:%M} UTC  {each.after}: {each.reason} ({each.caller})" for each in events]
    facts = _facts(row) | {"objects": f"{settings.store}/{row.folder}", "history": history}
    lines = [f"{name}: {value}" for name, value in facts.items() if name != "history"]
    say(as_json, facts, *lines, "history:", *(f"  {line}" for line in history))


@changes_app.command("approve")
def approve(change: Id, by: By = "", reason: Reason = None) -> None:
    """Approve a change: maps from its date on show its class in `class_stable` (the next `seaice map` issues them)."""
    from seaice_ops.ledger.changes import APPROVED, decide

    _decide(change, "approved", lambda session, row: decide(session, row, APPROVED, who=_who(by), reason=reason))


@changes_app.command("reject")
def reject(change: Id, by: By = "", reason: Reason = None) -> None:
    """Reject a change: it is not asked again, however often the maps are made anew."""
    from seaice_ops.ledger.changes import REJECTED, decide

    _decide(change, "rejected", lambda session, row: decide(session, row, REJECTED, who=_who(by), reason=reason))


@changes_app.command("relabel")
def relabel(
    change: Id,
    to: Annotated[str, typer.Option("--to", help="The class after the change: water, thin or thick.")],
    by: By = "",
    reason: Reason = None,
) -> None:
    """Approve a change with another class after it, or correct the class of an approved one."""
    from seaice_ops.ledger.changes import relabel as correct

    if to not in _CODES:
        raise typer.BadParameter(f"--to is one of {', '.join(_CODES)}")
    code = _CODES[to]
    _decide(change, f"approved as {to}", lambda session, row: correct(session, row, code, who=_who(by), reason=reason))


@changes_app.command("reopen")
def reopen(change: Id, by: By = "", reason: Reason = None) -> None:
    """Take a decision back; the change is asked again."""
    from seaice_ops.ledger.changes import reopen as again

    _decide(change, "open again", lambda session, row: again(session, row, who=_who(by), reason=reason))


def _decide(change: str, done: str, decision: Callable[[Any, Any], bool]) -> None:
    """Look at the change and decide in one transaction, and say what came of it."""
    from seaice_ops.ledger.changes import get_change
    from seaice_ops.ledger.session import open_ledger

    with readable_errors(), open_ledger(load_settings()).begin() as session:
        new = decision(session, get_change(session, change))
    out.print(f"{change} is {done}" if new else f"{change} stays as it is: nothing to change")


def _who(by: str) -> str:
    return by or getpass.getuser()


def _line(row: Any) -> str:
    from seaice_ops.classes.legend import SLUGS

    classes = f"{SLUGS[row.before_class]} -> {SLUGS[row.decided_class or row.after_class]}"
    sure = f"{row.confidence} %" + (f", by {row.decided_by}" if row.decided_by else "")
    return f"{row.id}  {row.state:<11}  {row.at:%Y-%m-%d}  {classes}  {row.area_km2:.2f} km2  {sure}"


def _facts(row: Any) -> dict[str, Any]:
    from seaice_ops.classes.legend import SLUGS

    def iso(time: datetime | None) -> str | None:
        return time.astimezone(UTC).isoformat() if time else None

    return {
        "id": row.id,
        "tile": row.tile,
        "state": str(row.state),
        "from": SLUGS[row.before_class],
        "to": SLUGS[row.after_class],
        "decided_to": row.decided_class and SLUGS[row.decided_class],
        "date": iso(row.at),
        "after": iso(row.since),
        "date_p10": iso(row.first_at),
        "date_p90": iso(row.last_at),
        "confidence_percent": row.confidence,
        "pixels": row.pixels,
        "area_km2": row.area_km2,
        "bbox": row.box,
        "scenes": row.scene_ids,
        "decided_by": row.decided_by,
        "decided_at": iso(row.decided_at),
        "reason": row.reason,
    }
