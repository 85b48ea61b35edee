"""Reads the overview from the ledger, in one transaction."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

import seaice_ops
from seaice_ops.archive.limits import breaker
from seaice_ops.archive.limits.quota import usage
from seaice_ops.errors import ArchiveUnavailable, QuotaExceeded
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Evaluation, LabelSet, Map, Model, ModelAlias, Run, Scene, SceneState
from seaice_ops.ledger.watermarks import watermarks
from seaice_ops.ops.inactive import inactive_tiles
from seaice_ops.ops.notify import late_maps
from seaice_ops.ops.overview.facts import (
    ArchiveState,
    Labels,
    LastRun,
    ModelState,
    NewestMap,
    Overview,
    Problem,
    Score,
    TileState,
)
from seaice_ops.settings import Settings, redact
from seaice_ops.storage import keys
from seaice_ops.summary import Summary

#: How many problems are shown, and among how many of the newest runs they are looked for.
PROBLEMS, RECENT_RUNS = 10, 200

#: Errors that a waiting search meets again at every try: only the newest is shown.
_WAITED_OUT = {ArchiveUnavailable.__name__, QuotaExceeded.__name__}

Scores = Mapping[str, tuple[Score, ...]]


def overview(settings: Settings) -> Overview:
    """The state of everything. Raises `ConfigError` without a ledger, `TransientError` where it does not answer."""
    at, kind, ledger = now(), settings.archive.kind, open_ledger(settings)
    quota, state = usage(ledger, settings.archive, settings.work), breaker.current(ledger, kind)
    with ledger.begin() as session:
        scores = _scores(session)
        return Overview(
            version=seaice_ops.__version__,
            at=at,
            home=str(settings.home),
            store=redact(settings.store),
            scenes=_by_state(session),
            tiles=_tiles(session, settings.tiles, at),
            regions={region.title: region.tiles for region in settings.regions.values()},
            labels=_labels(session, scores, settings.labels.method, settings.label_version(settings.labels.method)),
            models=_models(session, scores),
            late=tuple(late_maps(session, settings.tiles, settings.mapping.late_after_hours, at)),
            archive=ArchiveState(
                kind, _searched_until(session, kind, settings.tiles), quota, state if state.opened_at else None
            ),
            problems=_problems(session),
            runs=_runs(session),
        )


def newest_run(session: Session) -> datetime | None:
    """Start of the newest run of any stage."""
    return session.scalar(select(func.max(Run.started_at)))


def _searched_until(session: Session, archive: str, tiles: tuple[str, ...]) -> datetime | None:
    marks = watermarks(session, archive, tiles)
    return min(marks.values()) if marks and len(marks) == len(tiles) else None


def _by_state(session: Session) -> dict[str, int]:
    counts = select(Scene.state, func.count()).group_by(Scene.state)
    found = {state: count for state, count in session.execute(counts)}
    return {state.value: found.get(state, 0) for state in SceneState}


def _tiles(session: Session, ours: tuple[str, ...], at: datetime) -> dict[str, TileState]:
    scenes: dict[str, dict[str, int]] = defaultdict(dict)
    ready: dict[str, datetime] = {}
    counts = select(Scene.tile, Scene.state, func.count(), func.max(Scene.sensed_at)).group_by(Scene.tile, Scene.state)
    for tile, state, count, newest in session.execute(counts):
        scenes[tile][state.value] = count
        if state is SceneState.READY:
            ready[tile] = newest
    totals = select(Map.tile, func.count(Map.window_end.distinct()), func.count()).group_by(Map.tile)
    windows = {tile: (n_windows, n_maps) for tile, n_windows, n_maps in session.execute(totals)}
    maps, inactive = _newest_maps(session, at), inactive_tiles(session, ours, at)
    return {
        tile: TileState(
            scenes.get(tile, {}), ready.get(tile), *windows.get(tile, (0, 0)), maps.get(tile), inactive.get(tile)
        )
        for tile in sorted({*ours, *scenes, *maps} - {""})  # a product that cannot be read has no tile
    }


def _newest_maps(session: Session, at: datetime) -> dict[str, NewestMap]:
    rank = func.row_number().over(partition_by=Map.tile, order_by=(Map.window_end.desc(), Map.revision.desc()))
    ranked = select(Map.id, rank.label("rank")).subquery()
    rows = session.scalars(select(Map).join(ranked, ranked.c.id == Map.id).where(ranked.c.rank == 1))
    return {row.tile: _newest_map(row, at) for row in rows}


def _newest_map(row: Map, at: datetime) -> NewestMap:
    return NewestMap(
        id=row.id,
        key=keys.map_item(row.folder),
        folder=row.folder,
        window_start=row.window_start,
        window_end=row.window_end,
        revision=row.revision,
        model=row.source,
        scenes=len(row.scene_ids),
        withdrawn=row.statistics.get("withdrawn"),
        age_hours=(at - row.window_end).total_seconds() / 3600,
        published_at=row.created_at,
        statistics=row.statistics,
    )


def _labels(session: Session, scores: Scores, method: str, version: str) -> tuple[Labels, ...]:
    """The label sets by method and version; `method` and `version` are those in force."""
    by = (LabelSet.method, LabelSet.version)
    query = select(*by, func.count(), func.sum(LabelSet.seconds), func.max(LabelSet.created_at))
    rows = session.execute(query.group_by(*by).order_by(*by))
    return tuple(
        Labels(
            name, number, (name, number) == (method, version), n, s, newest, scores.get(f"labels:{name}-{number}", ())
        )
        for name, number, n, s, newest in rows
    )


def _scores(session: Session) -> Scores:
    """The scores of each subject, newest first. Agreement between labellers and flags are no scores."""
    found: dict[str, list[Score]] = defaultdict(list)
    for row in session.scalars(select(Evaluation).order_by(Evaluation.created_at.desc(), Evaluation.against.desc())):
        if isinstance(row.metrics, dict) and "accuracy" in row.metrics:
            found[row.subject].append(_score(row))
    return {subject: tuple(scores) for subject, scores in found.items()}


def _score(row: Evaluation) -> Score:
    names = ("pixels", "accuracy", "majority", "macro_f1", "mean_iou")
    return Score(row.against, row.dataset, row.created_at, *(_number(row.metrics.get(name)) for name in names))


def _number(value: Any) -> float | None:
    """A finite number, else None: the evaluations of an imported model may hold anything."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and math.isfinite(value) else None


def _models(session: Session, scores: Scores) -> tuple[ModelState, ...]:
    aliases: dict[str, list[str]] = defaultdict(list)
    for alias in session.scalars(select(ModelAlias).order_by(ModelAlias.alias)):
        aliases[alias.model_id].append(alias.alias)
    rows = session.scalars(select(Model).order_by(Model.created_at.desc(), Model.id))
    return tuple(ModelState(row.id, tuple(aliases[row.id]), row.created_at, scores.get(row.id, ())) for row in rows)


def _problems(session: Session) -> tuple[Problem, ...]:
    failed = select(Scene).where(Scene.state == SceneState.FAILED).order_by(Scene.updated_at.desc()).limit(PROBLEMS)
    found = [
        Problem(scene.updated_at, "ingest", scene.id, scene.tile, scene.reason) for scene in session.scalars(failed)
    ]
    runs = session.scalars(select(Run).order_by(Run.id.desc()).limit(RECENT_RUNS))
    found += _of_runs(runs, {problem.item for problem in found})
    return tuple(sorted(found, key=lambda problem: problem.at, reverse=True)[:PROBLEMS])


def _of_runs(runs: Iterable[Run], told: set[str | None]) -> list[Problem]:
    """The problems of `runs`, newest run first, without the items in `told`."""
    found = []
    for run in runs:
        kind = (run.error or "").partition(":")[0]
        if run.error and kind not in told:
            found.append(Problem(run.started_at, run.stage, None, None, run.error))
            told |= _WAITED_OUT & {kind}
        for item, reason in run.summary.get("failed", {}).items():
            if item not in told:
                told.add(item)
                found.append(Problem(run.started_at, run.stage, item, None, reason))
    return found


def _runs(session: Session) -> dict[str, LastRun]:
    last = select(func.max(Run.id)).group_by(Run.stage)
    rows = session.scalars(select(Run).where(Run.id.in_(last)).order_by(Run.id))
    return {
        row.stage: LastRun(
            row.started_at, row.seconds, row.caller, Summary.from_dict(row.summary).sentence(), row.error
        )
        for row in rows
    }
