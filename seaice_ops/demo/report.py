"""How a demo ended: what is there, how good it is against the simulator's truth, and whether that is enough."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.classes.legend import CLASSES, NODATA, SLUGS
from seaice_ops.classes.metrics import confusion, scores
from seaice_ops.ledger.operations import model_by_alias, newest_maps
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Evaluation, LabelSet, Map, Model, Run, Scene, SceneState
from seaice_ops.pixels.reference import read_reference
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import read_raster
from seaice_ops.storage.store import ObjectStore, open_store
from seaice_ops.summary import counted

#: Macro-F1 on truth that maps may lose to the labels that their model learned from, on a season of the demo's size.
MARGIN = 0.05


@dataclass(frozen=True)
class Agreement:
    """Scores against truth of one tile's newest map and of the labels of the scenes in its window.

    `window`: the map against the class that each pixel had most often in truth over the window, which is what the map
    states. `newest`: the same map against the truth of its newest acquisition alone. `labels`: each scene's
    auto-labels against that scene's own truth.
    """

    window: dict[str, Any]
    newest: dict[str, Any]
    labels: dict[str, Any]


def show(settings: Settings, term: Console, *, truth_expected: bool, margin: float = MARGIN) -> int:
    """Print the tables and the verdict; 0 if everything that was promised is there and good enough."""
    store = open_store(settings.store)
    with open_ledger(settings).begin() as session:
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
    problems = [f"{tile} has no map" for tile, rows in maps.items() if not rows]
    problems += [] if champion else ["there is no champion model"]
    problems += [problem for tile, found in agreements.items() if found for problem in too_bad(tile, found, margin)]
    if truth_expected:
        problems += [f"{tile} could not be compared with truth" for tile, found in agreements.items() if not found]
    for problem in problems:
        term.print(f"[red]not good enough:[/] {problem}")
    if not problems:
        term.print(f"[green]the loop is closed[/]: maps below {settings.store}/maps; see them with `make up`")
    return 1 if problems else 0


def agreement(settings: Settings, store: ObjectStore, session: Session, row: Map) -> Agreement | None:
    """How a map and the labels in its window agree with truth; None where a scene of the window has no truth."""
    bands, grid = read_raster(store, f"{row.folder}/class.tif")
    truths = [read_reference(settings.reference_path, scene_id, grid) for scene_id in row.scene_ids]
    known = [truth for truth in truths if truth is not None]
    if len(known) < len(truths):
        return None
    classes = bands[0]
    method = settings.labels.method
    matrix = np.zeros((3, 3), np.int64)
    for scene_id, truth in zip(row.scene_ids, known, strict=True):
        labels = session.get(LabelSet, (scene_id, method, settings.label_version(method)))
        if labels is not None:
            matrix += confusion(truth, read_raster(store, labels.key)[0][0])
    return Agreement(
        scores(confusion(most_frequent(known), classes)), scores(confusion(known[-1], classes)), scores(matrix)
    )


def most_frequent(truths: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """(rows, columns) the class that each pixel had most often in `truths`; a tie goes to the newest; 255 for none."""
    counts = np.stack([sum((truth == code).astype(np.int16) for truth in truths) for code in CLASSES])
    newest = np.full(truths[0].shape, NODATA, np.uint8)
    for truth in truths:
        newest = np.where(np.isin(truth, CLASSES), truth, newest)
    best = np.asarray(CLASSES, np.uint8)[counts.argmax(0)]
    tied = np.isin(newest, CLASSES) & (
        np.take_along_axis(counts, np.clip(newest, 1, 3)[None].astype(np.intp) - 1, 0)[0] == counts.max(0)
    )
    return np.where(counts.max(0) > 0, np.where(tied, newest, best), NODATA).astype(np.uint8)


def too_bad(tile: str, found: Agreement, margin: float = MARGIN) -> list[str]:
    """Why a tile's newest map is not good enough, in words."""
    problems = []
    accuracy, majority = found.window["accuracy"], found.window["majority"]
    if accuracy <= majority:
        problems.append(
            f"{tile}: the map agrees with truth on {accuracy:.1%}, always saying the majority class on {majority:.1%}"
        )
    if found.window["macro_f1"] < found.labels["macro_f1"] - margin:
        problems.append(
            f"{tile}: macro-F1 {found.window['macro_f1']:.3f}, its labels have {found.labels['macro_f1']:.3f}; "
            f"at most {margin} may be lost"
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
        f"window: accuracy {found.window['accuracy']:.1%} (majority class {found.window['majority']:.1%}), "
        f"macro-F1 {found.window['macro_f1']:.3f}\nnewest acquisition: accuracy {found.newest['accuracy']:.1%}, "
        f"macro-F1 {found.newest['macro_f1']:.3f}\nits labels: macro-F1 {found.labels['macro_f1']:.3f}"
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
