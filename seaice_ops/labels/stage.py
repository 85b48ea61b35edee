"""Label every ready scene that has no labels of its present content: in this process, or on Spark.

`run` asks the ledger which labels are missing and writes the rows. Scenes are labelled one at a time and whole, by
`labels.scene`, which knows only the object store.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from seaice_ops.errors import ConfigError
from seaice_ops.labels.methods import known_method
from seaice_ops.labels.scene import Labelling, Outcome, try_scene
from seaice_ops.ledger.operations import keep_labels, unlabelled_scenes
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.ledger.scenes import fail_scene, fetch_scene_again
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.settings import Settings
from seaice_ops.storage.store import ObjectStore
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelRequest:
    """The method (None: the configured one) and the scenes (None: all that are ready)."""

    method: str | None = None
    scene_ids: tuple[str, ...] | None = None


#: Labels scenes and yields the outcomes as they come: in this process here, or on a cluster (labels/spark).
Executor = Callable[[ObjectStore, Labelling, list[Scene]], Iterable[Outcome]]


def run(settings: Settings, request: LabelRequest, execute: Executor | None = None, *, caller: str = "") -> Summary:
    """Label what is missing. Each scene is committed as soon as its labels are stored.

    A scene whose raster is missing or damaged is fetched again by the next search; one that cannot be labelled fails
    with its reason; one of a sensor that is not configured stays ready and is skipped. The others go on. Raises
    `ConfigError` for an unknown method or scene and for a store that is not the ledger's, `TransientError` where store
    or ledger do not answer.
    """
    how = labelling(settings, request.method)
    with recorded(settings, "label", caller) as stage:
        summary, store = stage.summary, stage.store
        scenes = _pending(stage.ledger, how, request, summary)
        shares: Counter[str] = Counter()
        seen = {scene.id: scene for scene in scenes}
        for outcome in (execute or in_process)(store, how, scenes) if scenes else ():
            _commit(stage, seen[outcome.scene_id], outcome)
            shares.update(outcome.labels.shares if outcome.labels else {})
        count = summary.done["labels"]
        log.info("%s: %s", summary.sentence(), ", ".join(f"{k} {v / count:.1%}" for k, v in shares.items()))
        return summary


def labelling(settings: Settings, method: str | None = None) -> Labelling:
    """The way in which `method` (None: the configured one) labels under these settings.

    Raises `ConfigError` for an unknown method.
    """
    named = known_method(method or settings.labels.method)
    return Labelling(named, settings.labels, settings.scenes, settings.home, settings.sensors)


def in_process(store: ObjectStore, how: Labelling, scenes: list[Scene]) -> Iterator[Outcome]:
    """Label the scenes here, one after the other."""
    return (try_scene(store, scene, how) for scene in scenes)


def _pending(ledger: Ledger, how: Labelling, request: LabelRequest, summary: Summary) -> list[Scene]:
    """The scenes to label; those asked for that cannot be labelled or are labelled already go into `summary`."""
    with ledger.begin() as session:
        missing = unlabelled_scenes(session, how.method, how.version)
        if request.scene_ids is None:
            return missing
        asked = {scene_id: session.get(Scene, scene_id) for scene_id in request.scene_ids}
    unknown = sorted(scene_id for scene_id, scene in asked.items() if scene is None)
    if unknown:
        raise ConfigError(f"the ledger knows no scene {', '.join(unknown)}; `seaice status` lists what it knows")
    for scene_id, scene in asked.items():
        if scene and scene.state != SceneState.READY:
            summary.skipped[scene_id] = f"the scene is {scene.state}"
    pending = [scene for scene in missing if scene.id in asked]
    summary.unchanged["labels"] = len(asked) - len(pending) - len(summary.skipped)
    return pending


def _commit(stage: StageRun, scene: Scene, outcome: Outcome) -> None:
    summary = stage.summary
    if outcome.unknown:
        summary.skipped[scene.id] = outcome.reason
        log.warning("%s", outcome.reason)
        return
    if outcome.labels is None:
        set_aside = fetch_scene_again if outcome.damaged else fail_scene
        with stage.ledger.begin() as session:
            moved = set_aside(session, scene, outcome.reason, caller=stage.caller)
        # A scene that was withdrawn, superseded or made anew meanwhile stays so.
        (summary.failed if moved else summary.skipped)[scene.id] = outcome.reason
        log.warning("%s: %s", scene.id, outcome.reason)
        return
    with stage.ledger.begin() as session:
        summary.done["labels"] += keep_labels(session, outcome.labels)
    summary.items.append(outcome.scene_id)
    summary.bytes_in += outcome.bytes_in
    summary.bytes_out += outcome.bytes_out
