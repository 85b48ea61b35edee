"""What is known, for `seaice status`, the plugin's page and whoever asks the ledger for an overview."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
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
from seaice_ops.ops.notify import late_maps
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.summary import Summary

#: How many errors are shown, and among how many of the newest runs they are looked for.
ERRORS, RECENT_RUNS = 10, 200

#: Errors that a waiting search meets again at every look: only the newest is shown.
_WAITED_OUT = {ArchiveUnavailable.__name__, QuotaExceeded.__name__}

#: The figures of an evaluation that an overview shows.
FIGURES = ("pixels", "accuracy", "majority", "macro_f1", "mean_iou")


def collect(settings: Settings) -> dict[str, Any]:
    """The state of everything as JSON types; times are UTC ISO 8601, ages are hours, areas km2, shares 0..1.

    `scenes` by state and tile; `labels` by method and version; `models` with aliases and scores; `maps` by tile with
    the newest one; `late` maps in words; `archive` with its quota, its outage and until when it was searched; `errors`,
    newest first; `runs`, the last one of each stage. Raises `ConfigError` without a ledger.
    """
    late = [each.sentence() for each in late_maps(settings, now())]
    archive = _archive(settings)
    with open_ledger(settings).begin() as session:
        scores = _scores(session)
        return {
            "version": seaice_ops.__version__,
            "at": _iso(now()),
            "home": str(settings.home),
            "store": settings.store,
            "scenes": _scenes(session, settings),
            "labels": _labels(session, settings, scores),
            "models": _models(session, scores),
            "maps": _maps(session, settings),
            "late": late,
            "archive": archive,
            "errors": _errors(session),
            "runs": _runs(session),
        }


def _archive(settings: Settings) -> dict[str, Any]:
    """The archive in force: its quota of the last 30 days (None without a service) and its outage (None while it
    answers), each with a sentence for people; until when the daily runs have found all that was published of every
    tile (None where there is a tile that they never searched)."""
    quota, state = usage(settings), breaker.current(settings)
    found: dict[str, Any] = {"kind": settings.archive.kind, "quota": None, "outage": None}
    found["searched_until"] = _searched_until(settings)
    if quota:
        found["quota"] = {
            "bytes": quota.bytes,
            "limit": quota.limit,
            "share": round(quota.share, 4),
            "requests": quota.requests,
            "full_on": _iso(quota.exhausted_at) if quota.exhausted_at else None,
            "room_from": _iso(quota.again) if quota.again else None,
            "said": quota.sentence(),
        }
    if state.opened_at:
        found["outage"] = {
            "since": _iso(state.opened_at),
            "next_try": _iso(state.retry_at) if state.retry_at else None,
            "failures": state.failures,
            "reason": state.reason,
            "said": breaker.sentence(settings.archive.kind, state),
        }
    return found


def _searched_until(settings: Settings) -> str | None:
    with open_ledger(settings).begin() as session:
        marks = watermarks(session, settings.archive.kind, settings.tiles)
    return _iso(min(marks.values())) if marks and len(marks) == len(settings.tiles) else None


def _scenes(session: Session, settings: Settings) -> dict[str, Any]:
    by_state = dict.fromkeys((state.value for state in SceneState), 0)
    by_tile: dict[str, dict[str, Any]] = {tile: {} for tile in settings.tiles}
    counts = select(Scene.tile, Scene.state, func.count(), func.max(Scene.sensed_at)).group_by(Scene.tile, Scene.state)
    for tile, state, count, newest in session.execute(counts):
        by_state[state.value] += count
        group = by_tile.setdefault(tile, {})
        group[state.value] = count
        if state is SceneState.READY:
            group["newest_ready"] = _iso(newest)
    return {"by_state": by_state, "by_tile": dict(sorted(by_tile.items()))}


def _labels(session: Session, settings: Settings, scores: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    query = select(
        LabelSet.method, LabelSet.version, func.count(), func.sum(LabelSet.seconds), func.max(LabelSet.created_at)
    )
    return [
        {
            "method": method,
            "version": version,
            "current": method == settings.labels.method and version == settings.label_version(method),
            "scenes": count,
            "seconds": round(seconds, 1),
            "newest": _iso(newest),
            "scores": scores.get(f"labels:{method}-{version}", []),
        }
        for method, version, count, seconds, newest in session.execute(
            query.group_by(LabelSet.method, LabelSet.version).order_by(LabelSet.method, LabelSet.version)
        )
    ]


def _scores(session: Session) -> dict[str, list[dict[str, Any]]]:
    """The scores of each subject, newest first; agreement between labellers and flags are no scores."""
    found = defaultdict(list)
    for row in session.scalars(select(Evaluation).order_by(Evaluation.created_at.desc(), Evaluation.against.desc())):
        if "accuracy" not in row.metrics:
            continue
        figures = {name: row.metrics.get(name) for name in FIGURES}
        found[row.subject].append(
            {"against": row.against, "dataset": row.dataset, "at": _iso(row.created_at), **figures}
        )
    return found


def _models(session: Session, scores: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    aliases = defaultdict(list)
    for alias in session.scalars(select(ModelAlias).order_by(ModelAlias.alias)):
        aliases[alias.model_id].append(alias.alias)
    return [
        {
            "id": model.id,
            "aliases": aliases[model.id],
            "created_at": _iso(model.created_at),
            "scores": scores.get(model.id, []),
        }
        for model in session.scalars(select(Model).order_by(Model.created_at.desc(), Model.id))
    ]


def _maps(session: Session, settings: Settings) -> dict[str, Any]:
    rank = func.row_number().over(partition_by=Map.tile, order_by=(Map.window_end.desc(), Map.revision.desc()))
    ranked = select(Map.id, rank.label("rank")).subquery()
    newest = {
        row.tile: row
        for row in session.scalars(select(Map).join(ranked, ranked.c.id == Map.id).where(ranked.c.rank == 1))
    }
    counts = select(Map.tile, func.count(Map.window_end.distinct()), func.count()).group_by(Map.tile)
    totals = {tile: (windows, revisions) for tile, windows, revisions in session.execute(counts)}
    found = {}
    for tile in sorted({*settings.tiles, *newest}):
        windows, revisions = totals.get(tile, (0, 0))
        found[tile] = {
            "windows": windows,
            "revisions": revisions,
            "newest": _newest(newest[tile]) if tile in newest else None,
        }
    return found


def _newest(row: Map) -> dict[str, Any]:
    return {
        "id": row.id,
        "key": keys.map_item(row.folder),
        "folder": row.folder,
        "window_start": _iso(row.window_start),
        "window_end": _iso(row.window_end),
        "revision": row.revision,
        "model": row.model_id,
        "scenes": len(row.scene_ids),
        "withdrawn": row.statistics.get("withdrawn"),
        "age_hours": round((now() - row.window_end).total_seconds() / 3600, 1),
        "published_at": _iso(row.created_at),
        "statistics": row.statistics,
    }


def _errors(session: Session) -> list[dict[str, Any]]:
    """The newest failures: scenes set aside, runs ended by an error, and items that failed inside a run."""
    failed = select(Scene).where(Scene.state == SceneState.FAILED).order_by(Scene.updated_at.desc()).limit(ERRORS)
    found = [
        {"at": _iso(scene.updated_at), "stage": "ingest", "item": scene.id, "tile": scene.tile, "reason": scene.reason}
        for scene in session.scalars(failed)
    ]
    told = {error["item"] for error in found}
    for run in session.scalars(select(Run).order_by(Run.id.desc()).limit(RECENT_RUNS)):
        common = {"at": _iso(run.started_at), "stage": run.stage, "tile": None}
        kind = (run.error or "").partition(":")[0]
        if run.error and kind not in told:
            found.append({**common, "item": None, "reason": run.error})
            told |= _WAITED_OUT & {kind}
        for item, reason in run.summary.get("failed", {}).items():
            if item not in told:
                told.add(item)
                found.append({**common, "item": item, "reason": reason})
    return sorted(found, key=lambda error: str(error["at"]), reverse=True)[:ERRORS]


def _runs(session: Session) -> dict[str, Any]:
    last = select(func.max(Run.id)).group_by(Run.stage)
    return {
        run.stage: {
            "started_at": _iso(run.started_at),
            "seconds": round(run.seconds, 2),
            "caller": run.caller,
            "said": Summary.from_dict(run.summary).sentence(),
            "error": run.error,
        }
        for run in session.scalars(select(Run).where(Run.id.in_(last)).order_by(Run.id))
    }


def newest_run(settings: Settings) -> datetime | None:
    """When the newest run of any stage began."""
    with open_ledger(settings).begin() as session:
        return session.scalar(select(func.max(Run.started_at)))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def render(status: dict[str, Any]) -> RenderableType:
    """What `collect` found, as tables for a terminal."""
    tables = (_map_table(status), _model_table(status), _run_table(status), _error_table(status))
    return Group(_overview(status), *(part for table in tables if table.row_count for part in ("", table)))


def _overview(status: dict[str, Any]) -> RenderableType:
    states = [f"{count} {state}" for state, count in status["scenes"]["by_state"].items() if count]
    labels = [
        f"{each['scenes']} by {each['method']} {each['version']}{' (current)' if each['current'] else ''}"
        for each in status["labels"]
    ]
    table = Table.grid(padding=(0, 2))
    table.add_row("home", Text(status["home"]))
    table.add_row("objects", Text(status["store"]))
    table.add_row("scenes", Text(", ".join(states) or "none yet"))
    table.add_row("labels", Text(", ".join(labels) or "none yet"))
    archive = status["archive"]
    if archive["searched_until"]:
        table.add_row("searched", Text(f"every tile, for all that was published until {archive['searched_until']}"))
    if archive["quota"]:
        table.add_row(Text("quota", "yellow" if archive["quota"]["room_from"] else ""), Text(archive["quota"]["said"]))
    if archive["outage"]:
        table.add_row(Text("outage", "red"), Text(archive["outage"]["said"]))
    for sentence in status["late"]:
        table.add_row(Text("late", "yellow"), Text(sentence))
    return table


def _map_table(status: dict[str, Any]) -> Table:
    table = _table("Newest maps", "tile", "window", "scenes", "age", "revision", "water / thin / thick km2", "key")
    for tile, entry in status["maps"].items():
        newest = entry["newest"]
        if newest is None:
            table.add_row(tile, "no map yet", *[""] * 5)
            continue
        areas = " / ".join(f"{area:g}" for area in newest["statistics"].get("area_km2", {}).values())
        window = f"{newest['window_start'][:10]} to {newest['window_end'][:10]}"
        if newest["withdrawn"]:
            areas = f"withdrawn: {newest['withdrawn']}"
        cells = (window, str(newest["scenes"]), age(newest["age_hours"]), str(newest["revision"]), areas, newest["key"])
        table.add_row(tile, *map(Text, cells))
    return table


def age(hours: float) -> str:
    """An age for people: hours up to two days, then days."""
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"


def _model_table(status: dict[str, Any]) -> Table:
    table = _table(
        "Scores (models: on held-out acquisitions)",
        "subject",
        "is",
        "against",
        "pixels",
        "macro-F1",
        "accuracy",
        "majority class",
    )
    subjects = [(m["id"], ", ".join(m["aliases"]), m["scores"]) for m in status["models"]]
    subjects += [(f"labels {each['method']} {each['version']}", "", each["scores"]) for each in status["labels"]]
    for name, aliases, scores in subjects:
        for score in scores or [{}]:
            figures = [_share(score.get(figure)) for figure in ("macro_f1", "accuracy", "majority")]
            pixels = f"{score['pixels']:,}" if score.get("pixels") else ""
            table.add_row(Text(name), aliases, score.get("against", "not evaluated"), pixels, *figures)
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _run_table(status: dict[str, Any]) -> Table:
    table = _table("Last run of each stage", "stage", "started", "seconds", "said")
    for stage, run in status["runs"].items():
        said = Text(run["error"], "red") if run["error"] else Text(run["said"])
        table.add_row(stage, run["started_at"], f"{run['seconds']:.1f}", said)
    return table


def _error_table(status: dict[str, Any]) -> Table:
    table = _table("Last errors", "when", "stage", "what", "reason")
    for error in status["errors"]:
        table.add_row(error["at"], error["stage"], Text(error["item"] or ""), Text(error["reason"] or ""))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
