"""The verbs of the model registry: `seaice model ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seaice_ops.cli.common import app, load_settings, out, readable_errors

model_app = typer.Typer(no_args_is_help=True, help="The model registry: promote, roll back, export, import.")
app.add_typer(model_app, name="model")


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
