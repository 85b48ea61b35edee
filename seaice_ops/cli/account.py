"""The verb of the account: what was expected, what was made of it, and why the rest is missing."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Annotated

import typer

from seaice_ops.cli.common import Json, app, busy, load_settings, out, readable_errors


@app.command()
def account(
    start: Annotated[datetime | None, typer.Option("--from", help="First day of sensing, UTC.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="Last day of sensing (included), UTC.")] = None,
    region: Annotated[str | None, typer.Option(help="Name of a region; default: all.")] = None,
    as_json: Json = False,
) -> None:
    """Count, for each tile and day, what the archive offers and what was made of it, with a reason for the rest.

    Without dates: the last 30 days. Exit status 2 where something is unexplained.
    """
    from seaice_ops.ops.account.report import to_json
    from seaice_ops.ops.account.stage import AccountRequest, run
    from seaice_ops.ops.account.to_text import to_text

    request = AccountRequest(start.date() if start else None, end.date() if end else None, region)
    with readable_errors(as_json):
        with busy("counting"):
            summary, found = run(load_settings(), request, caller="cli")
        if as_json:
            sys.stdout.write(json.dumps(to_json(found)) + "\n")
        else:
            out.print(*to_text(found), sep="\n")
    if summary.failed:
        raise typer.Exit(2)
