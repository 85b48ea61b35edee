"""The verbs of the model registry: `seaice model ...`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seaice_ops.cli.common import Json, app, load_settings, out, readable_errors, say

if TYPE_CHECKING:
    from seaice_ops.models.registry import Listed

model_app = typer.Typer(
    no_args_is_help=True, help="The model registry: list, show, promote, roll back, export, import."
)
app.add_typer(model_app, name="model")


@model_app.command("list")
def model_list(as_json: Json = False) -> None:
    """List the models, the newest first: what each is now, why, and its macro-F1 against truth."""
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.models.registry import listed

    with readable_errors(as_json):
        found = listed(open_ledger(load_settings()))
    data = [asdict(each) | {"made": each.made.isoformat()} for each in found]
    say(as_json, data, *(_model_line(each) for each in found) if found else ["no model has been trained or imported"])


def _model_line(each: Listed) -> str:
    score = "no truth" if each.macro_f1 is None else f"macro-F1 {each.macro_f1:.3f} on {each.acquisitions} acquisitions"
    now = "; ".join(f"{alias}: {reason}" for alias, reason in each.aliases.items())
    return f"{each.id}  {each.made:%Y-%m-%d %H:%M}  {score}{f'  ({now})' if now else ''}"


@model_app.command("show")
def model_show(model: Annotated[str, typer.Argument(help="Id or alias.")], as_json: Json = False) -> None:
    """Show the gate's newest verdict on a model, rule by rule, and where its page lies."""
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.ledger.stores import known_store
    from seaice_ops.models import registry

    settings = load_settings()
    with readable_errors(as_json):
        ledger = open_ledger(settings)
        card = registry.find(ledger, model)
        told = registry.verdict(ledger, known_store(ledger, settings.store), card.id)
        if told is None:
            say(as_json, {"model": card.id, "verdict": None}, f"{card.id}: the gate has not judged it")
            return
        page, found = told
        lines = [
            f"{'kept' if each['kept'] else 'BROKEN':<7} {each['rule']:<13} {each['words']}" for each in found["checks"]
        ]
        say(
            as_json,
            {"model": card.id, "verdict": found, "page": page},
            f"{card.id}: {found['reason']}",
            *lines,
            f"page: {page}",
        )


@model_app.command("rollback")
def model_rollback() -> None:
    """Make the previous champion champion again."""
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.models import registry

    with readable_errors():
        out.print(f"champion is now {registry.rollback(open_ledger(load_settings()))}")


@model_app.command("promote")
def model_promote(model_id: str, reason: Annotated[str, typer.Option(help="Kept in the ledger.")] = "by hand") -> None:
    """Make a model the champion."""
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.models import registry

    with readable_errors():
        registry.promote(open_ledger(load_settings()), model_id, reason)
    out.print(f"champion is now {model_id}")


@model_app.command("export")
def model_export(model: Annotated[str, typer.Argument(help="Id or alias.")], folder: Path) -> None:
    """Write a model's weights (safetensors) and card to a folder."""
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.ledger.stores import known_store
    from seaice_ops.models import exchange

    settings = load_settings()
    with readable_errors():
        ledger = open_ledger(settings)
        exchange.export_model(ledger, known_store(ledger, settings.store), model, folder)
    out.print(f"{model} exported to {folder}")


@model_app.command("import")
def model_import(
    folder: Path, champion: Annotated[bool, typer.Option(help="Also make it the champion.")] = False
) -> None:
    """Take a model from an exported folder; its checksum is verified and nothing is unpickled."""
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.ledger.stores import known_store
    from seaice_ops.models import exchange, registry

    settings = load_settings()
    with readable_errors():
        ledger = open_ledger(settings)
        model_id = exchange.import_model(ledger, known_store(ledger, settings.store), folder)
        if champion:
            registry.promote(ledger, model_id, f"imported from {folder.name}")
    out.print(f"{model_id} imported{' as champion' if champion else ''}")
