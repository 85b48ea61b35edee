"""The steps of a training, each safe to repeat and to kill. What they hand on is a model's id.

`snapshot` leaves the manifest in the model's folder of the store, so that `train` may run on another machine.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from pydantic import ValidationError

from seaice_ops.errors import ConfigError, ObjectMissing, writing
from seaice_ops.ledger.operations import model_by_alias
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Model
from seaice_ops.models import registry
from seaice_ops.models.card import Card, Manifest, canonical
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.store import open_store
from seaice_ops.summary import Summary
from seaice_ops.training.data import chips
from seaice_ops.training.data import snapshot as snapshots
from seaice_ops.training.fit.checkpoint import load_weights
from seaice_ops.training.judge import evaluate, gate
from seaice_ops.training.ranks.job import Job, job_of
from seaice_ops.training.ranks.launch import launch

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"


def snapshot(settings: Settings, summary: Summary) -> str:
    """Freeze what would be trained now; the id of the model it makes. Raises `ExpectedSkip` with the reason."""
    manifest = snapshots.take(settings)
    summary.items.append(manifest.model_id)
    if not _known(settings, manifest.model_id):
        open_store(settings.store).put(
            keys.model(manifest.model_id, MANIFEST), canonical(manifest.model_dump(mode="json"))
        )
    log.info("%s: %d scenes to learn from, %d held out", manifest.model_id, len(manifest.train), len(manifest.held_out))
    return manifest.model_id


def train(settings: Settings, model_id: str, summary: Summary) -> None:
    """Train the model unless it is known, resuming where a killed training left off, and register it as challenger.

    Raises `TrainingFailed`, and `ConfigError` where there was no such snapshot or there are fewer chips than ranks.
    """
    folder = settings.work / "training" / model_id.rpartition("/")[2]
    if _known(settings, model_id):
        summary.unchanged["models"] += 1
    else:
        manifest = _manifest(settings, model_id)
        with writing(folder):
            job = _job(settings, manifest, folder)
        if not _finished(job):
            launch(job.write(), manifest.recipe.ranks)
        tensors, history = load_weights(job.checkpoint)
        weights = registry.weights_bytes(tensors)
        new = registry.register(settings, registry.describe(manifest, weights, history), weights)
        (summary.done if new else summary.unchanged)["models"] += 1
        summary.bytes_out += len(weights)
    shutil.rmtree(folder, ignore_errors=True)


def score(settings: Settings, model_id: str, summary: Summary) -> None:
    """Evaluate the model on its held-out scenes, and it and the champion where the gate will compare them."""
    card = registry.find(settings, model_id)
    pairs = [(card.id, card.manifest.held_out)]
    rival = _champion(settings)
    if rival is not None and rival.id != card.id:
        common = fair_scenes(card.manifest, rival.manifest)
        pairs += [(card.id, common), (rival.id, common)]
    for subject, scenes in dict.fromkeys(pairs):
        new = evaluate.evaluate(settings, subject, scenes, card.manifest.labels)
        (summary.done if new else summary.unchanged)["evaluations"] += new or 1


def decide(settings: Settings, model_id: str, summary: Summary) -> None:
    """Let the gate decide on a challenger that `score` has seen; a model that is not challenger is left alone.

    So a repeated run does not promote again what a person has rolled back.
    """
    with open_ledger(settings).begin() as session:
        waiting = model_by_alias(session, registry.CHALLENGER)
    if waiting is None or waiting.id != model_id:
        summary.unchanged["promotions"] += 1
        return
    verdict = _verdict(settings, registry.find(settings, model_id))
    log.info("%s: %s", model_id, verdict.reason)
    if verdict.promote and registry.promote(settings, model_id, verdict.reason):
        summary.done["promotions"] += 1
    elif not verdict.promote:
        registry.explain(settings, registry.CHALLENGER, model_id, verdict.reason)
        summary.skipped[model_id] = verdict.reason


def fair_scenes(challenger: Manifest, champion: Manifest) -> tuple[str, ...]:
    """The challenger's held-out scenes that the champion did not learn from either; all of them where none is left."""
    unseen = tuple(scene for scene in challenger.held_out if scene not in set(champion.train))
    return unseen or challenger.held_out


def _verdict(settings: Settings, card: Card) -> gate.Verdict:
    rival, labels = _champion(settings), card.manifest.labels
    if rival is None:
        return gate.decide({}, None, settings.training.gate_margin)
    dataset = evaluate.dataset_of(fair_scenes(card.manifest, rival.manifest), labels)
    ours, theirs = (evaluate.stored(settings, subject, dataset) for subject in (card.id, rival.id))
    return gate.decide(ours, theirs, settings.training.gate_margin)


def _champion(settings: Settings) -> Card | None:
    model_id = registry.champion(settings)
    return registry.find(settings, model_id) if model_id else None


def _known(settings: Settings, model_id: str) -> bool:
    with open_ledger(settings).begin() as session:
        return session.get(Model, model_id) is not None


def _manifest(settings: Settings, model_id: str) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(open_store(settings.store).get(keys.model(model_id, MANIFEST)))
    except (ObjectMissing, ValidationError) as error:
        raise ConfigError(f"there is no snapshot of {model_id}: {error}; take one first") from error
    if manifest.model_id != model_id:
        raise ConfigError(f"the snapshot of {model_id} was changed; take one again")
    return manifest


def _job(settings: Settings, manifest: Manifest, folder: Path) -> Job:
    cut = chips.build(settings, manifest, folder)
    if len(cut) < manifest.recipe.ranks:
        raise ConfigError(f"{len(cut)} chips are too few for {manifest.recipe.ranks} ranks; lower training.ranks")
    return job_of(manifest, folder, cut.counts)


def _finished(job: Job) -> bool:
    return job.checkpoint.exists() and len(load_weights(job.checkpoint)[1]) == job.recipe.epochs
