"""How a demo ended: what is there, how good it is against the simulator's truth, and whether that is enough."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.classes.legend import CLASSES, NODATA, SLUGS
from seaice_ops.classes.metrics import confusion, outcomes, scores
from seaice_ops.errors import ExpectedSkip
from seaice_ops.ledger.operations import model_by_alias, newest_maps
from seaice_ops.ledger.session import Ledger, open_ledger
from seaice_ops.ledger.stores import store_of
from seaice_ops.ledger.tables import Evaluation, LabelSet, Map, Model, ModelAlias, Run, Scene, SceneState
from seaice_ops.mapping.due.tile_state import Rules, tile_state
from seaice_ops.pixels.reference import read_reference
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import read_raster
from seaice_ops.storage.store import ObjectStore
from seaice_ops.summary import counted

#: Macro-F1 on truth that a map may lose to the labels of its newest acquisition.
MARGIN = 0.05


@dataclass(frozen=True)
class Agreement:
    """Scores against truth of one tile's newest map and of the labels of its newest acquisition."""

    seen: dict[str, Any]
    """`class` where the labels name a class."""
    all: dict[str, Any]
    """`class` wherever truth names one."""
    labels: dict[str, Any]
    """The labels, on the pixels of `seen`."""
    stable: dict[str, Any]
    """`class_stable` where it names a class."""


def show(settings: Settings, term: Console, *, truth_expected: bool, margin: float = MARGIN) -> int:
    """Print the tables and the verdict; 0 if everything that was promised is there and good enough."""
    store, ledger = store_of(settings), open_ledger(settings)
    with ledger.begin() as session:
        maps = {tile: [row for row in newest_maps(session, tile).values() if row.scene_ids] for tile in settings.tiles}
        champion = model_by_alias(session, "champion")
        agreements = {
            tile: agreement(settings, store, session, rows[-1]) if rows and truth_expected else None
            for tile, rows in maps.items()
        }
        term.print(_tiles(session, maps, agreements))
        if champion:
            term.print(_model(session, champion))
        term.print(_stages(session))
    problems = [f"{tile} has no map: {why_no_map(settings, tile)}" for tile, rows in maps.items() if not rows]
    if not champion:
        term.print(f"[yellow]no champion[/]: {escape(why_no_champion(ledger))}; the labels make the maps")
    problems += [problem for tile, found in agreements.items() if found for problem in too_bad(tile, found, margin)]
    if truth_expected:
        problems += [f"{tile} could not be compared with truth" for tile, found in agreements.items() if not found]
    for problem in problems:
        term.print(f"[red]not good enough:[/] {escape(problem)}")
    if not problems:
        term.print(f"[green]the loop is closed[/]: maps below {settings.store}/maps; see them with `make up`")
    return 1 if problems else 0


def why_no_champion(ledger: Ledger) -> str:
    """Why no model is champion, in words."""
    with ledger.begin() as session:
        waiting = session.get(ModelAlias, "challenger")
        return f"{waiting.model_id} was {waiting.reason}" if waiting else "no model has been trained"


def why_no_map(settings: Settings, tile: str) -> str:
    """Why nothing was mapped of `tile`, in words, by what the ledger says now."""
    try:
        found = tile_state(open_ledger(settings), tile, Rules.of(settings))
    except ExpectedSkip as reason:
        return str(reason)
    if found.due:
        return "its maps are due, but no run has published them; the log of the tasks has the reason"
    if tile in found.skipped:
        return found.skipped[tile]
    reasons = Counter(found.skipped.values())
    return "; ".join(f"{counted(n, 'scenes')}: {why}" for why, n in reasons.most_common()) or "no scene of it is ready"


def agreement(settings: Settings, store: ObjectStore, session: Session, row: Map) -> Agreement | None:
    """How a map and the labels of its newest scene agree with truth; None where that scene has no truth or labels."""
    newest, method = row.scene_ids[-1], settings.labels.method
    labels = session.get(LabelSet, (newest, method, settings.label_version(method)))
    (classes, *_), grid = read_raster(store, f"{row.folder}/class.tif")
    truth = read_reference(settings.reference_path, newest, grid)
    if truth is None or labels is None:
        return None
    stable = read_raster(store, f"{row.folder}/class_stable.tif")[0][0]
    named = read_raster(store, labels.key)[0][0]
    seen = np.where(np.isin(named, CLASSES), truth, NODATA).astype(np.uint8)
    tables = (confusion(seen, classes), outcomes(truth, classes), confusion(seen, named), confusion(truth, stable))
    return Agreement(*map(scores, tables))


def too_bad(tile: str, found: Agreement, margin: float = MARGIN) -> list[str]:
    """Why a tile's newest map is not good enough, in words."""
    problems = []
    accuracy, majority = found.seen["accuracy"], found.seen["majority"]
    if accuracy <= majority:
        problems.append(
            f"{tile}: the map agrees with truth on {accuracy:.1%}, always saying the majority class on {majority:.1%}"
        )
    if found.seen["macro_f1"] < found.labels["macro_f1"] - margin:
        problems.append(
            f"{tile}: macro-F1 {found.seen['macro_f1']:.3f}, the labels of its newest acquisition have "
            f"{found.labels['macro_f1']:.3f}; at most {margin} may be lost"
        )
    return problems


def _tiles(session: Session, maps: dict[str, list[Map]], agreements: dict[str, Agreement | None]) -> Table:
    table = Table(title="Tiles", show_lines=True)
    for heading in ("tile", "scenes", "maps", "newest map", "window", "age of pixels", "area", "agreement with truth"):
        table.add_column(heading, overflow="fold")
    for tile, rows in maps.items():
        states = Counter(session.scalars(select(Scene.state).where(Scene.tile == tile)))
        scenes = ", ".join(f"{states[state]} {state.value}" for state in SceneState if states[state])
        if not rows:
            table.add_row(tile, scenes, "0", *["-"] * 5)
            continue
        newest = rows[-1]
        span = " .. ".join(f"{moment:%Y-%m-%d %H:%M}" for moment in (newest.window_start, newest.window_end))
        window = f"{span}, {len(newest.scene_ids)} scenes"
        areas = "\n".join(f"{SLUGS[code]} {newest.statistics['area_km2'][SLUGS[code]]:.1f} km2" for code in CLASSES)
        table.add_row(
            tile,
            scenes,
            str(len(rows)),
            newest.folder,
            window,
            _days(newest.statistics.get("median_age_days")),
            areas,
            _words(agreements.get(tile)),
        )
    return table


def _days(age: float | None) -> str:
    return "-" if age is None else f"median {age:.0f} days"


def _words(found: Agreement | None) -> str:
    if found is None:
        return "no truth"
    return (
        f"class, seen by the labels: macro-F1 {found.seen['macro_f1']:.3f} (the labels {found.labels['macro_f1']:.3f})"
        f"\nclass, everywhere: macro-F1 {found.all['macro_f1']:.3f}, no class on {found.all['abstained'] or 0:.1%}"
        f"\nclass_stable: accuracy {found.stable['accuracy'] or 0:.1%} of {found.stable['pixels']:,} pixels"
    )


def _model(session: Session, champion: Model) -> Table:
    table = Table(title=f"Champion {champion.id}")
    for heading in ("scored", "against", "pixels", "accuracy", "macro-F1"):
        table.add_column(heading)
    for row in session.scalars(select(Evaluation).order_by(Evaluation.subject, Evaluation.against)):
        if row.subject == champion.id or row.subject.startswith("labels:"):
            figures = row.metrics
            if figures.get("accuracy") is not None:
                table.add_row(
                    row.subject,
                    row.against,
                    f"{figures['pixels']:,}",
                    f"{figures['accuracy']:.1%}",
                    f"{figures['macro_f1']:.3f}",
                )
    return table


def _stages(session: Session) -> Table:
    table = Table(title="Stages")
    for heading in ("stage", "runs", "seconds", "new"):
        table.add_column(heading)
    seconds: dict[str, float] = defaultdict(float)
    runs: Counter[str] = Counter()
    done: dict[str, Counter[str]] = defaultdict(Counter)
    for row in session.scalars(select(Run).order_by(Run.id)):
        seconds[row.stage] += row.seconds
        runs[row.stage] += 1
        done[row.stage] += Counter(row.summary["done"])
    for stage in seconds:
        new = ", ".join(counted(count, what) for what, count in done[stage].items()) or "nothing"
        table.add_row(stage, str(runs[stage]), f"{seconds[stage]:.1f}", new)
    return table
