"""The verb of housekeeping: what lies in the store without a row, and what rows name in vain."""

from __future__ import annotations

from typing import Annotated

import typer

from seaice_ops.cli.common import Json, app, busy, load_settings, readable_errors, say


@app.command()
def housekeeping(
    delete: Annotated[bool, typer.Option("--delete", help="Delete the orphans that can be made again.")] = False,
    as_json: Json = False,
) -> None:
    """Tell which objects no row of the ledger names, and which rows name a missing one. Deletes nothing by itself."""
    from seaice_ops.ops.housekeeping.stage import run

    with readable_errors(as_json):
        with busy("comparing"):
            summary, found = run(load_settings(), delete, caller="cli")
        orphans = [
            {"key": o.key, "bytes": o.bytes, "written_at": o.written_at.isoformat(), "goes": o.goes, "reason": o.reason}
            for o in found.orphans
        ]
        lines = [f"{o.key}  {o.bytes} bytes  {'goes' if o.goes else 'stays'}: {o.reason}" for o in found.orphans]
        lines += [f"{key}  missing: a row names it; see `seaice account`" for key in found.missing]
        lines += [
            f"{folder}  a map that the ledger does not know; `seaice map` records it" for folder in found.unknown_maps
        ]
        going = [o.bytes for o in found.orphans if o.goes]
        lines.append(
            f"{summary.sentence()}" if delete else f"{len(going)} objects, {sum(going)} bytes would go with --delete"
        )
        report = {"orphans": orphans, "missing": found.missing, "unknown_maps": found.unknown_maps}
        say(as_json, {**report, "summary": summary.to_dict()}, *lines)
