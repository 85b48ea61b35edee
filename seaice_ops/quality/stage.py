"""Judge the labels of ready scenes: against truth or hand labels where there are any, and against each other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from seaice_ops import files
from seaice_ops.errors import CorruptProduct, ExpectedSkip, ObjectMissing, writing
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Evaluation, LabelSet, Scene, SceneState
from seaice_ops.models.card import digest
from seaice_ops.pixels.reference import fingerprint
from seaice_ops.quality import flags
from seaice_ops.quality.canvas import png
from seaice_ops.quality.judge import History, Judged, judge
from seaice_ops.quality.reading import Subject, chosen_methods, read, subjects
from seaice_ops.quality.results import Found, Quality, gathered, names
from seaice_ops.quality.sheet import sheet
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)

#: `Evaluation.against` of this stage's rows.
TRUTH, AGREEMENT, PLAUSIBILITY = "truth", "agreement", "plausibility"

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class QualityRequest:
    """The scenes (None: all that have labels), tiles and methods (None: all) to judge.

    `sheets` is a folder for one picture a scene, or None for no pictures.
    """

    scene_ids: tuple[str, ...] | None = None
    tiles: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    sheets: Path | None = None


def run(settings: Settings, request: QualityRequest, *, caller: str = "") -> Summary:
    """`assess`, for callers that want the counts only."""
    return assess(settings, request, caller=caller)[1]


def assess(
    settings: Settings, request: QualityRequest, progress: Progress | None = None, *, caller: str = ""
) -> tuple[Quality, Summary]:
    """Judge the labels, keep the figures as evaluation rows (once for the same pixels), draw the sheets.

    `Summary.items`: the flagged scenes. A scene that cannot be read is in `failed` and the others go on. Raises
    `ExpectedSkip` where nothing has labels, `ConfigError` for an unknown scene or method or a folder that cannot be
    written.
    """
    with recorded(settings, "label-quality", caller) as stage:
        summary = stage.summary
        versions = {method: settings.label_version(method) for method in chosen_methods(request.methods)}
        chosen = subjects(stage.ledger, request.scene_ids, request.tiles, versions)
        if not chosen:
            raise ExpectedSkip("no ready scene has labels by these methods in force; `seaice label` makes them")
        shown = _Shown(settings.scenes.ceiling, settings.labels.thin_max, settings.reference_path)
        found: dict[str, tuple[Subject, Judged]] = {}
        for number, subject in enumerate(chosen, 1):
            try:
                found[subject.scene.id] = subject, _one(stage, shown, subject, request.sheets)
            except (CorruptProduct, ObjectMissing) as error:
                summary.failed[subject.scene.id] = str(error)
                log.warning("%s: %s", subject.scene.id, error)
            if progress:
                progress(number, len(chosen), subject.scene.id)
        quality = gathered(found)
        summary.items = [scene_id for scene_id, each in quality.scenes.items() if each["flags"]]
        _keep(stage, found, quality, shown.reference)
    return quality, summary


@dataclass(frozen=True)
class _Shown:
    """Settings used for judging: the true colour's ceiling, the threshold of thick ice, the folder of references."""

    ceiling: float
    thin_max: int
    reference: Path | None


def _one(stage: StageRun, shown: _Shown, subject: Subject, folder: Path | None) -> Judged:
    picture = read(stage, subject, shown.ceiling, shown.reference)
    shares = {row.method: row.shares for row in subject.labels}
    judged = judge(picture, shares, _history(stage.ledger, subject), shown.thin_max)
    if folder is not None:
        summary, data = stage.summary, png(sheet(subject.scene, picture, judged, shown.ceiling))
        new = _write(folder / f"{subject.scene.id}.png", data)
        (summary.done if new else summary.unchanged)["sheets"] += 1
        summary.bytes_out += len(data)
    return judged


def _write(path: Path, data: bytes) -> bool:
    """Write `data` to `path`; False where it holds that already."""
    with writing(path.parent):
        if path.exists() and path.read_bytes() == data:
            return False
        files.write(path, data)
    return True


def _history(ledger: Ledger, subject: Subject) -> History:
    """The class shares of the tile's other ready scenes of the season, by method (same version)."""
    scene = subject.scene
    query = (
        select(Scene.sensed_at, LabelSet.shares)
        .join(LabelSet, LabelSet.scene_id == Scene.id)
        .where(Scene.tile == scene.tile, Scene.id != scene.id, Scene.state == SceneState.READY)
    )
    with ledger.begin() as session:
        return {
            row.method: [
                shares
                for sensed_at, shares in session.execute(
                    query.where(LabelSet.method == row.method, LabelSet.version == row.version)
                )
                if flags.same_season(sensed_at, scene.sensed_at)
            ]
            for row in subject.labels
        }


def _keep(stage: StageRun, found: Found, quality: Quality, reference: Path | None) -> None:
    """Keep what was found as evaluation rows; the same pixels (or the same flags) are the same row."""
    labels = {scene_id: {row.method: row.sha256 for row in subject.labels} for scene_id, (subject, _) in found.items()}
    truths = {scene_id: fingerprint(reference, scene_id) for scene_id in found}
    rows = [
        _row(name, TRUTH, {"labels": labels, "truths": truths}, {**each["conditions"]["all"], **each})
        for name, each in quality.truth.items()
    ]
    rows += [
        _row(each["of"], AGREEMENT, {"labels": labels, "with": each["with"]}, {**each, "scenes": len(labels)})
        for each in quality.agreement
    ]
    for method, name in names(found).items():
        flagged = {s: lines for s, j in found.items() if (lines := flags.text(_of(j[1].flags, method)))}
        told = {"scenes": len(labels), "flagged": flagged}
        rows.append(_row(name, PLAUSIBILITY, {"labels": labels, "flagged": flagged}, told))
    with stage.ledger.begin() as session:
        for row in rows:
            (stage.summary.done if insert_new(session, row) else stage.summary.unchanged)["evaluations"] += 1


def _of(signs: list[flags.Flag], method: str) -> list[flags.Flag]:
    return [flag for flag in signs if method in flag.method.split(" / ")]


def _row(subject: str, against: str, identity: Any, metrics: dict[str, Any]) -> Evaluation:
    return Evaluation(subject=subject, dataset=digest(identity), against=against, metrics=metrics, created_at=now())
