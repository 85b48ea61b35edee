"""The steps of a training, each of which can be killed and repeated; they pass on the model's id.

`snapshot` writes the manifest to the model's folder in the store, so that `train` can run on another machine.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from seaice_ops.errors import ConfigError, ObjectMissing, writing
from seaice_ops.ledger.operations import model_by_alias
from seaice_ops.ledger.runs import StageRun
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Model
from seaice_ops.models import registry
from seaice_ops.models.card import Labels, Manifest, canonical
from seaice_ops.models.predict import probabilities
from seaice_ops.models.weights import describe, weights_bytes
from seaice_ops.settings import TrainingSettings
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore
from seaice_ops.training.data import chips
from seaice_ops.training.data import snapshot as snapshots
from seaice_ops.training.fit.checkpoint import load_weights
from seaice_ops.training.judge import evaluate as evaluation
from seaice_ops.training.judge import sheet, tables
from seaice_ops.training.judge.evaluate import Truth
from seaice_ops.training.judge.figures import macro_f1
from seaice_ops.training.judge.golden import Rules, Verdict, judge
from seaice_ops.training.judge.tables import Golden, Results
from seaice_ops.training.ranks.job import Job, job_of
from seaice_ops.training.ranks.launch import launch

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"

#: The regions of a tile.
Regions = Mapping[str, Sequence[str]]

#: The limits of the gate.
RULES = Rules()

#: Edge, pixels, of the square by which two models' times are compared.
_SQUARE = 512


def snapshot(stage: StageRun, labels: Labels, ceiling: float, training: TrainingSettings) -> str:
    """Freeze the training set as it is now; returns the id of the model that it makes.

    `ceiling` is the reflectance that 8 bits show as 255. Raises `ExpectedSkip` where nothing is to be trained.
    """
    manifest = snapshots.take(stage.ledger, labels, ceiling, training)
    stage.summary.items.append(manifest.model_id)
    if not _known(stage.ledger, manifest.model_id):
        stage.store.put(keys.model(manifest.model_id, MANIFEST), canonical(manifest.to_json()))
    log.info("%s: %d scenes to learn from, %d held out", manifest.model_id, len(manifest.train), len(manifest.held_out))
    return manifest.model_id


def train(stage: StageRun, model_id: str) -> None:
    """Train the model unless it is known, resuming where a killed training left off, and register it as challenger.

    Raises `TrainingFailed`, and `ConfigError` where there was no such snapshot or there are fewer chips than ranks.
    """
    summary, folder = stage.summary, stage.work / "training" / model_id.rpartition("/")[2]
    if _known(stage.ledger, model_id):
        summary.unchanged["models"] += 1
    else:
        manifest = _manifest(stage.store, model_id)
        with writing(folder):
            job = _job(stage.ledger, stage.store, manifest, folder)
        if not _finished(job):
            launch(job.write(), manifest.recipe.ranks)
        tensors, history = load_weights(job.checkpoint)
        weights = weights_bytes(tensors)
        new = registry.register(stage.ledger, stage.store, describe(manifest, weights, history), weights)
        (summary.done if new else summary.unchanged)["models"] += 1
        summary.bytes_out += len(weights)
    shutil.rmtree(folder, ignore_errors=True)


def evaluate(stage: StageRun, model_id: str, truth: Truth, regions: Regions) -> None:
    """Score the model on its held-out scenes; for the gate, it and its rivals on the golden set.

    `regions` names the regions of a tile.
    """
    manifest, summary = registry.find(stage.ledger, model_id).manifest, stage.summary
    new = evaluation.evaluate(stage.ledger, stage.store, truth, model_id, manifest.held_out, manifest)
    (summary.done if new else summary.unchanged)["evaluations"] += new or 1
    rivals = _rivals(stage.ledger, model_id)
    golden = _golden(stage.ledger, manifest, rivals, truth)
    if golden.scenes and _is_challenger(stage.ledger, model_id):
        pairs = snapshots.labelled(stage.ledger, golden.scenes, manifest)
        for subject in dict.fromkeys([model_id, *rivals.values()]):
            if tables.kept(stage.ledger, stage.store, subject, golden.version):
                summary.unchanged["judgements"] += 1
                continue
            loaded = registry.load(stage.ledger, stage.store, subject)
            found = tables.results(tables.judged(stage.ledger, stage.store, truth, loaded, pairs), regions)
            made = tables.keep(stage.ledger, stage.store, subject, golden, found)
            (summary.done if made else summary.unchanged)["judgements"] += 1


def promote(stage: StageRun, model_id: str, truth: Truth, by: Literal["gate", "person"] = "gate") -> None:
    """Let the gate judge a challenger that `evaluate` has seen; a model that is not challenger is left alone.

    A repeated run therefore does not promote a model again that a person has rolled back. Where the promotion is `by` a
    person, a challenger that passes stays challenger until somebody promotes it. The verdict is stored as
    JSON and as a page in the model's folder.
    """
    ledger, summary = stage.ledger, stage.summary
    if not _is_challenger(ledger, model_id):
        summary.unchanged["promotions"] += 1
        return
    rivals = _rivals(ledger, model_id)
    golden = _golden(ledger, registry.find(ledger, model_id).manifest, rivals, truth)
    verdict, page, best = _judged(ledger, stage.store, model_id, rivals, golden, RULES)
    log.info("%s: %s (%s)", model_id, verdict.reason, f"{stage.store.url}/{page}" if page else "no golden set")
    champion = rivals.get(registry.CHAMPION)
    if not verdict.promote:
        registry.explain(ledger, registry.CHALLENGER, model_id, verdict.reason)
        summary.skipped[model_id] = verdict.reason
    elif by == "person":
        waits = f"{verdict.reason}; it waits for a person: seaice model promote {model_id}"
        registry.explain(ledger, registry.CHALLENGER, model_id, waits)
        summary.skipped[model_id] = waits
    elif registry.promote_challenger(ledger, model_id, champion, verdict.reason, best):
        summary.done["promotions"] += 1
    else:
        summary.skipped[model_id] = "another model was promoted or rolled back while it was judged; repeat the run"


def _judged(
    ledger: Ledger, store: ObjectStore, model_id: str, rivals: Mapping[str, str], golden: Golden, rules: Rules
) -> tuple[Verdict, str, str]:
    """The gate's verdict, the key of its page (empty where there was nothing to judge by), and the best model."""
    if not golden.scenes:
        return (
            Verdict(False, "refused: no held-out acquisition has a reference that no rival learnt from", ()),
            "",
            model_id,
        )
    sides: dict[str, Results] = {}
    for name, subject in {"challenger": model_id, **rivals}.items():
        found = tables.kept(ledger, store, subject, golden.version)
        if found is None:
            return (
                Verdict(False, f"refused: {subject} has not been scored on the golden set; evaluate it", ()),
                "",
                model_id,
            )
        sides[name] = found
    ours, champion, best = (sides.get(name) for name in ("challenger", registry.CHAMPION, registry.BEST))
    assert ours is not None
    challenger, held = ours.model, champion.model if champion else None
    earlier = best.model if best and rivals[registry.BEST] != rivals.get(registry.CHAMPION) else None
    if held is not None:
        mine, its = timed_beside(ledger, store, model_id, rivals[registry.CHAMPION])
        challenger, held = replace(challenger, seconds=mine), replace(held, seconds=its)
    verdict = judge(challenger, held, ours.teacher, earlier, rules)
    told = {name: rivals.get(name) for name in (registry.CHAMPION, registry.BEST)}
    key = keys.verdict(model_id, golden.version)
    shown = {name: side for name, side in sides.items() if name != registry.BEST}
    data = canonical(sheet.to_json(model_id, told, golden, verdict))
    store.put(f"{key}.json", data)
    store.put(f"{key}.html", sheet.page(model_id, told, golden, verdict, shown).encode())
    return verdict, f"{key}.html", _best(model_id, rivals, sides)


def _refused(why: str) -> Verdict:
    return Verdict(False, f"refused: {why}", ())


def _best(model_id: str, rivals: Mapping[str, str], sides: Mapping[str, Results]) -> str:
    """The id of the model with the best macro-F1 of all that were compared; a tie goes to the challenger."""
    named = {"challenger": model_id, **rivals}
    figures = {name: float(macro_f1(side.model.total)) for name, side in sides.items()}
    return named[max(figures, key=lambda name: (figures[name], name == "challenger"))]


def timed_beside(ledger: Ledger, store: ObjectStore, first: str, second: str) -> tuple[float, float]:
    """Seconds that each of two models takes for the same square, the least of three, taken in turns.

    The machine's other work then falls on both.
    """
    models = [registry.load(ledger, store, each) for each in (first, second)]
    rng, least = np.random.default_rng(1), [np.inf, np.inf]
    for _ in range(3):
        for number, loaded in enumerate(models):
            bands = len(loaded.card.manifest.preprocessing.bands)
            image = rng.integers(0, 255, (_SQUARE, _SQUARE, bands)).astype(np.uint8)
            started = time.perf_counter()
            probabilities(loaded, image, np.ones((_SQUARE, _SQUARE), np.bool_))
            least[number] = min(least[number], time.perf_counter() - started)
    return least[0], least[1]


def _rivals(ledger: Ledger, model_id: str) -> dict[str, str]:
    """The ids of the champion and of the best champion so far, by alias, without `model_id` itself."""
    with ledger.begin() as session:
        found = {alias: model_by_alias(session, alias) for alias in (registry.CHAMPION, registry.BEST)}
    return {alias: row.id for alias, row in found.items() if row is not None and row.id != model_id}


def _golden(ledger: Ledger, manifest: Manifest, rivals: Mapping[str, str], truth: Truth) -> Golden:
    learnt = {scene for rival in rivals.values() for scene in registry.find(ledger, rival).manifest.train}
    return tables.golden_set(manifest, learnt, truth.known, truth.content)


def _is_challenger(ledger: Ledger, model_id: str) -> bool:
    with ledger.begin() as session:
        waiting = model_by_alias(session, registry.CHALLENGER)
    return waiting is not None and waiting.id == model_id


def _known(ledger: Ledger, model_id: str) -> bool:
    with ledger.begin() as session:
        return session.get(Model, model_id) is not None


def _manifest(store: ObjectStore, model_id: str) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(store.get(keys.model(model_id, MANIFEST)))
    except (ObjectMissing, ValidationError) as error:
        raise ConfigError(f"there is no snapshot of {model_id}: {error}; take one first") from error
    if manifest.model_id != model_id:
        raise ConfigError(f"the snapshot of {model_id} was changed; take one again")
    return manifest


def _job(ledger: Ledger, store: ObjectStore, manifest: Manifest, folder: Path) -> Job:
    cut = chips.build(ledger, store, manifest, folder)
    if len(cut) < manifest.recipe.ranks:
        raise ConfigError(f"{len(cut)} chips are too few for {manifest.recipe.ranks} ranks; lower training.ranks")
    return job_of(manifest, folder, cut.counts)


def _finished(job: Job) -> bool:
    return job.checkpoint.exists() and len(load_weights(job.checkpoint)[1]) == job.recipe.epochs
