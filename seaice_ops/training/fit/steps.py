"""The steps of a training, each of which can be killed and repeated; they pass on the model's id.

`snapshot` writes the manifest to the model's folder in the store, so that `train` can run on another machine.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from pydantic import ValidationError

from seaice_ops.errors import ConfigError, ObjectMissing, writing
from seaice_ops.ledger.operations import model_by_alias
from seaice_ops.ledger.runs import StageRun
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Model
from seaice_ops.models import registry
from seaice_ops.models.card import Card, Labels, Manifest, canonical
from seaice_ops.models.weights import describe, weights_bytes
from seaice_ops.settings import TrainingSettings
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore
from seaice_ops.training.data import chips
from seaice_ops.training.data import snapshot as snapshots
from seaice_ops.training.fit.checkpoint import load_weights
from seaice_ops.training.judge import evaluate as evaluation
from seaice_ops.training.judge import gate
from seaice_ops.training.judge.evaluate import Truth
from seaice_ops.training.ranks.job import Job, job_of
from seaice_ops.training.ranks.launch import launch

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"


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


def evaluate(stage: StageRun, model_id: str, truth: Truth) -> None:
    """Evaluate the model on its held-out scenes, and both it and the champion on those that the gate compares."""
    manifest = registry.find(stage.ledger, model_id).manifest
    pairs = [(model_id, manifest.held_out)]
    rival = _champion(stage.ledger)
    if rival is not None and rival.id != model_id:
        common = fair_scenes(manifest, rival.manifest)
        pairs += [(model_id, common), (rival.id, common)]
    for subject, scenes in dict.fromkeys(pairs):
        new = evaluation.evaluate(stage.ledger, stage.store, truth, subject, scenes, manifest)
        (stage.summary.done if new else stage.summary.unchanged)["evaluations"] += new or 1


def promote(stage: StageRun, model_id: str, margin: float) -> None:
    """Let the gate judge a challenger that `evaluate` has seen; a model that is not challenger is left alone.

    A repeated run therefore does not promote a model again that a person has rolled back.
    """
    ledger, summary = stage.ledger, stage.summary
    with ledger.begin() as session:
        waiting = model_by_alias(session, registry.CHALLENGER)
    if waiting is None or waiting.id != model_id:
        summary.unchanged["promotions"] += 1
        return
    rival = _champion(ledger)
    verdict = _verdict(ledger, registry.find(ledger, model_id), rival, margin)
    log.info("%s: %s", model_id, verdict.reason)
    if not verdict.promote:
        registry.explain(ledger, registry.CHALLENGER, model_id, verdict.reason)
        summary.skipped[model_id] = verdict.reason
    elif registry.promote_challenger(ledger, model_id, rival.id if rival else None, verdict.reason):
        summary.done["promotions"] += 1
    else:
        summary.skipped[model_id] = "another model was promoted or rolled back while it was judged; repeat the run"


def fair_scenes(challenger: Manifest, champion: Manifest) -> tuple[str, ...]:
    """The challenger's held-out scenes that the champion did not learn from either; all of them where none is left."""
    unseen = tuple(scene for scene in challenger.held_out if scene not in set(champion.train))
    return unseen or challenger.held_out


def _verdict(ledger: Ledger, card: Card, rival: Card | None, margin: float) -> gate.Verdict:
    if rival is None:
        return gate.decide({}, None, margin)
    dataset = evaluation.dataset_of(fair_scenes(card.manifest, rival.manifest), card.manifest)
    ours, theirs = (evaluation.stored(ledger, subject, dataset) for subject in (card.id, rival.id))
    return gate.decide(ours, theirs, margin)


def _champion(ledger: Ledger) -> Card | None:
    model_id = registry.champion(ledger)
    return registry.find(ledger, model_id) if model_id else None


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
