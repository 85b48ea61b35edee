"""The registry: versions, aliases, and that nothing foreign gets in."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from sqlalchemy import select

from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.session import Ledger, open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import Evaluation, Model, ModelAlias
from seaice_ops.models import exchange, registry
from seaice_ops.models.card import Architecture, Card, Epoch, Labels, Manifest, Preprocessing, Recipe
from seaice_ops.models.families.build import build
from seaice_ops.models.weights import describe, weights_bytes
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore, open_store


def manifest(seed: int = 1) -> Manifest:
    return Manifest(
        algorithm=1,
        architecture=Architecture(width=2),
        preprocessing=Preprocessing(ceiling=0.3558),
        labels=Labels(method="colour", version="1-0"),
        recipe=Recipe(epochs=1, batch=1, chip=64, max_chips=1, learning_rate=1e-3, ranks=1, seed=seed),
        train=("a",),
        held_out=("b",),
    )


def made(seed: int = 1) -> tuple[Card, bytes]:
    torch.manual_seed(seed)
    weights = weights_bytes(build(Architecture(width=2)).state_dict())
    return describe(manifest(seed), weights, (Epoch(loss=1.0, accuracy=0.5),)), weights


def opened(settings: Settings) -> tuple[Ledger, ObjectStore]:
    return open_ledger(settings), open_store(settings.store)


def register(settings: Settings, seed: int = 1) -> str:
    card, weights = made(seed)
    registry.register(*opened(settings), card, weights)
    return card.id


def aliases(settings: Settings) -> dict[str, str]:
    with open_ledger(settings).begin() as session:
        return {row.alias: row.model_id for row in session.scalars(select(ModelAlias))}


def test_the_version_stands_for_the_whole_manifest() -> None:
    assert manifest().version == manifest().version
    others = [
        manifest(2),
        manifest().model_copy(update={"train": ("a", "c")}),
        manifest().model_copy(update={"labels": Labels(method="colour", version="2-0")}),
        manifest().model_copy(update={"algorithm": 2}),
    ]
    assert len({m.version for m in [manifest(), *others]}) == 5


def test_weights_have_the_same_bytes_however_they_are_ordered() -> None:
    tensors = build(Architecture(width=2)).state_dict()
    assert weights_bytes(tensors) == weights_bytes(dict(reversed(tensors.items())))


def test_register_and_load(settings: Settings) -> None:
    card, weights = made()
    assert registry.register(*opened(settings), card, weights)
    assert aliases(settings) == {"challenger": card.id}
    loaded = registry.load(*opened(settings), "challenger")
    assert loaded.card == card and not loaded.module.training
    for name, tensor in loaded.module.state_dict().items():
        assert torch.equal(tensor, load(weights)[name])
    assert card.weights.parameters == sum(p.numel() for p in loaded.module.parameters())


def test_a_known_model_is_never_replaced(settings: Settings) -> None:
    first = register(settings)
    torch.manual_seed(99)  # the same training on another processor: other bits
    other = weights_bytes(build(Architecture(width=2)).state_dict())
    assert not registry.register(*opened(settings), describe(manifest(), other, ()), other)
    assert registry.load(*opened(settings), first).card == made()[0]


def test_aliases_through_a_life(settings: Settings) -> None:
    one, two = register(settings, 1), register(settings, 2)
    assert aliases(settings) == {"challenger": two}
    assert registry.champion(open_ledger(settings)) is None
    assert registry.promote(open_ledger(settings), one, "first")
    assert aliases(settings) == {"challenger": two, "champion": one}
    assert registry.promote(open_ledger(settings), "challenger", "better")
    assert aliases(settings) == {"champion": two, "previous": one}
    assert not registry.promote(open_ledger(settings), two, "again")
    assert registry.rollback(open_ledger(settings)) == one == registry.champion(open_ledger(settings))
    assert aliases(settings) == {"champion": one, "previous": two}
    assert registry.rollback(open_ledger(settings)) == two


def test_unknown_models_and_rollback_to_nothing(settings: Settings) -> None:
    for attempt in (
        lambda: registry.load(*opened(settings), "champion"),
        lambda: registry.promote(open_ledger(settings), "unet-2/feedfeedfeed", "?"),
        lambda: registry.rollback(open_ledger(settings)),
        lambda: exchange.import_model(*opened(settings), settings.home / "nowhere"),
    ):
        with pytest.raises(ConfigError):
            attempt()


def test_explain_notes_only_what_still_holds(settings: Settings) -> None:
    model_id = register(settings)
    registry.explain(open_ledger(settings), "challenger", model_id, "refused: x")
    registry.explain(open_ledger(settings), "challenger", "another", "never")
    registry.explain(open_ledger(settings), "champion", model_id, "never")
    with open_ledger(settings).begin() as session:
        assert [row.reason for row in session.scalars(select(ModelAlias))] == ["refused: x"]


def test_export_and_import_between_homes(settings: Settings, tmp_path: Path) -> None:
    model_id = register(settings)
    with open_ledger(settings).begin() as session:
        row = Evaluation(subject=model_id, dataset="d", against="truth", metrics={"macro_f1": 0.9}, created_at=now())
        insert_new(session, row)
    registry.promote(open_ledger(settings), model_id, "first")
    folder = exchange.export_model(*opened(settings), "champion", tmp_path / "model")
    elsewhere = Settings.model_validate({"home": tmp_path / "else", "regions": settings.model_dump()["regions"]})
    initialise(elsewhere)
    assert (
        exchange.import_model(*opened(elsewhere), folder)
        == model_id
        == exchange.import_model(*opened(elsewhere), folder)
    )
    assert aliases(elsewhere) == {}
    assert registry.load(*opened(elsewhere), model_id).card == registry.load(*opened(settings), model_id).card
    with open_ledger(elsewhere).begin() as session:
        assert [(r.against, r.metrics["macro_f1"]) for r in session.scalars(select(Evaluation))] == [("truth", 0.9)]
    again = exchange.export_model(*opened(elsewhere), model_id, tmp_path / "again")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {p.name: p.read_bytes() for p in again.iterdir()}


class Bomb:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("bomb-went-off"),)


def _card(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        card = json.loads((folder / "card.json").read_text())
        change(card)
        (folder / "card.json").write_text(json.dumps(card))

    return apply


def _weights(data: bytes) -> Callable[[Path], None]:
    """Other weights, with a card that owns up to them."""

    def apply(folder: Path) -> None:
        import hashlib

        (folder / "weights.safetensors").write_bytes(data)
        _card(lambda card: card["weights"].update(sha256=hashlib.sha256(data).hexdigest()))(folder)

    return apply


def _changed(**tensors: torch.Tensor) -> bytes:
    return save(build(Architecture(width=2)).state_dict() | tensors)


def _metrics(**metrics: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        scores = [{"dataset": "d", "against": "truth", "metrics": {"pixels": 10, "accuracy": 0.5} | metrics}]
        (folder / "evaluations.json").write_text(json.dumps(scores))

    return apply


FORGERIES = {
    "a score is a text": _metrics(macro_f1="0.9 [red]"),
    "a score is a list": _metrics(accuracy=[0.9]),
    "a score above 1": _metrics(accuracy=1.5),
    "a score is no number": _metrics(macro_f1=float("nan")),
    "a class's score is a text": _metrics(classes={"open_water": {"f1": "high"}}),
    "a count is a text": _metrics(confusion=[["many"]]),
    "a figure that nobody knows": _metrics(pixles=3),
    "bit flipped": lambda folder: (folder / "weights.safetensors").write_bytes(made()[1][:-1] + b"\1"),
    "pickle": _weights(pickle.dumps(Bomb())),
    "torch file": _weights(b"PK\x03\x04" + bytes(64)),
    "empty": _weights(b""),
    "one tensor more": _weights(_changed(extra=torch.zeros(1))),
    "other shape": _weights(_changed(**{"head.bias": torch.zeros(4)})),
    "other type": _weights(_changed(**{"head.bias": torch.zeros(3, dtype=torch.float64)})),
    "not finite": _weights(_changed(**{"head.bias": torch.tensor([1.0, float("nan"), 0.0])})),
    "card is a pickle": lambda folder: (folder / "card.json").write_bytes(pickle.dumps(Bomb())),
    "id leads elsewhere": _card(lambda card: card.update(id="../../etc/passwd")),
    "id of another manifest": _card(lambda card: card["manifest"]["recipe"].update(seed=7)),
    "field unknown": _card(lambda card: card.update(run="rm")),
    "other legend": _card(lambda card: card.update(classes=[0, 1, 2])),
    "other architecture": _card(lambda card: card["manifest"]["architecture"].update(name="os.system")),
    "endless width": _card(lambda card: card["manifest"]["architecture"].update(width=10**9)),
    "scores are not scores": lambda folder: (folder / "evaluations.json").write_text('{"a": 1}'),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_import_refuses(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgery: str) -> None:
    monkeypatch.chdir(tmp_path)
    folder = exchange.export_model(*opened(settings), register(settings), tmp_path / "model")
    with open_ledger(settings).begin() as session:
        session.delete(session.get(ModelAlias, "challenger"))
        session.flush()
        session.delete(session.scalars(select(Model)).one())
    before = sorted(open_store(settings.store).list())
    FORGERIES[forgery](folder)
    with pytest.raises(CorruptProduct):
        exchange.import_model(*opened(settings), folder)
    with open_ledger(settings).begin() as session:
        assert session.scalars(select(Model)).all() == []
    assert sorted(open_store(settings.store).list()) == before
    assert not (tmp_path / "bomb-went-off").exists()


def test_a_model_whose_bands_no_scene_has_is_refused(
    settings: Settings, tmp_path: Path, add_scene: Callable[..., Any]
) -> None:
    wide, n = ("B02", "B03", "B04", "B08", "B11"), 5
    other = Settings.model_validate({"home": tmp_path / "else", "regions": settings.model_dump()["regions"]})
    initialise(other)
    constants = Preprocessing(bands=wide, ceiling=0.3558, mean=(0.5,) * n, std=(0.25,) * n)
    changed = {"architecture": Architecture(width=2, bands=n), "preprocessing": constants}
    weights = weights_bytes(build(Architecture(width=2, bands=n)).state_dict())
    card = describe(manifest().model_copy(update=changed), weights, ())
    registry.register(*opened(other), card, weights)
    folder = exchange.export_model(*opened(other), card.id, tmp_path / "model")
    add_scene(np.zeros((3, 8, 8), np.int16), bands=("B04", "B03", "B02"))
    with pytest.raises(ConfigError, match=r"no ready scene has them all \(the scenes have B04, B03, B02\)"):
        exchange.import_model(*opened(settings), folder)
    with open_ledger(settings).begin() as session:
        assert session.scalars(select(Model)).all() == []
    add_scene(np.zeros((5, 8, 8), np.int16), tile="60CWS")
    assert exchange.import_model(*opened(settings), folder) == card.id


def test_cards_of_older_versions_keep_their_ids() -> None:
    """A manifest without contents has the id that it had before manifests held them."""
    assert manifest().model_id == "unet-2/8b7c135f4342"


def test_weights_changed_in_the_store_are_noticed(settings: Settings) -> None:
    model_id = register(settings)
    open_store(settings.store).put(keys.model(model_id, registry.WEIGHTS), _changed())
    with pytest.raises(CorruptProduct, match="SHA-256"):
        registry.load(*opened(settings), model_id)
