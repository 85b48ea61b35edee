"""The overview as JSON types, for `seaice status --json`: times are ISO 8601 in UTC."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from seaice_ops.archive.limits import breaker
from seaice_ops.ops.overview.facts import ArchiveState, Labels, NewestMap, Overview, TileState


def to_json(found: Overview) -> dict[str, Any]:
    """The overview as a dictionary that `json.dumps` takes."""
    return {
        "version": found.version,
        "at": iso(found.at),
        "home": found.home,
        "store": found.store,
        "scenes": {
            "by_state": dict(found.scenes),
            "by_tile": {name: _scenes(tile) for name, tile in found.tiles.items()},
        },
        "labels": [_labels(each) for each in found.labels],
        "models": [_plain(asdict(model)) for model in found.models],
        "maps": {name: _maps(tile) for name, tile in found.tiles.items()},
        "late": [late.sentence() for late in found.late],
        "inactive": [f"{tile}: {since}" for tile, since in found.inactive.items()],
        "archive": _archive(found.archive),
        "errors": [_plain(asdict(problem)) for problem in found.problems],
        "runs": {stage: {**_plain(asdict(run)), "seconds": round(run.seconds, 2)} for stage, run in found.runs.items()},
    }


def iso(moment: datetime) -> str:
    """``2026-02-01T20:15:29Z``."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    """`value` with its times as text and its tuples as lists."""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _scenes(tile: TileState) -> dict[str, Any]:
    newest = {"newest_ready": iso(tile.newest_ready)} if tile.newest_ready else {}
    return {**tile.scenes, **newest}


def _labels(labels: Labels) -> dict[str, Any]:
    return {**_plain(asdict(labels)), "seconds": round(labels.seconds, 1)}


def _maps(tile: TileState) -> dict[str, Any]:
    newest = _newest(tile.newest_map) if tile.newest_map else None
    return {"windows": tile.windows, "revisions": tile.revisions, "newest": newest}


def _newest(newest: NewestMap) -> dict[str, Any]:
    return {**_plain(asdict(newest)), "age_hours": round(newest.age_hours, 1)}


def _archive(archive: ArchiveState) -> dict[str, Any]:
    quota, outage = archive.quota, archive.outage
    return {
        "kind": archive.kind,
        "searched_until": iso(archive.searched_until) if archive.searched_until else None,
        "quota": quota
        and {
            "bytes": quota.bytes,
            "limit": quota.limit,
            "share": round(quota.share, 4),
            "requests": quota.requests,
            "full_on": iso(quota.exhausted_at) if quota.exhausted_at else None,
            "room_from": iso(quota.again) if quota.again else None,
            "said": quota.sentence(),
        },
        "outage": outage
        and outage.opened_at
        and {
            "since": iso(outage.opened_at),
            "next_try": iso(outage.retry_at) if outage.retry_at else None,
            "failures": outage.failures,
            "reason": outage.reason,
            "said": breaker.sentence(archive.kind, outage),
        },
    }
