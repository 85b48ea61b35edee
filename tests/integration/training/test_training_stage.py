"""The stage from labelled scenes to a champion: through real ranks, repeated, refused, and killed at every write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from sqlalchemy import select

from helpers.crash import crash_everywhere
from helpers.training_cases import add_labelled, small
from seaice_ops.errors import ConfigError, ExpectedSkip
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Evaluation, Model, ModelAlias, Run, Scene
from seaice_ops.models import registry
from seaice_ops.models.predict import probabilities
from seaice_ops.settings import Settings
from seaice_ops.storage.store import open_store
from seaice_ops.training import stage
from seaice_ops.training.fit import loop, steps
from seaice_ops.training.judge.golden import Rules
from seaice_ops.training.ranks.comm import Alone
from seaice_ops.training.ranks.job import Job
from seaice_ops.training.stage import TrainRequest

torch.set_num_threads(1)


@pytest.fixture
def season(settings: Settings, add_scene: Callable[..., Scene], lenient: None) -> Settings:
    settings = small(settings)
    for day in range(4):
        add_labelled(settings, add_scene, day)
    return settings


#: A gate for networks that see three acquisitions: one is held out, and nobody has learnt anything.
LENIENT = Rules(acquisitions=1, class_pixels=10, bar=0, teacher=1, champion=1, recall=1, slice=1, acquisition=1,
                factor=100, calibration=1, slower=100)  # fmt: skip


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "RULES", LENIENT)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train in this process: the ranks' own tests are elsewhere."""
    monkeypatch.setattr(
        steps, "launch", lambda job, ranks: loop.train(Job.model_validate_json(job.read_bytes()), Alone())
    )


def aliases(settings: Settings) -> dict[str, str]:
    with open_ledger(settings).begin() as session:
        return {row.alias: row.model_id for row in session.scalars(select(ModelAlias))}


def verdict_of(settings: Settings, model_id: str) -> dict[str, Any]:
    """The stored verdict on a model."""
    store = open_store(settings.store)
    (key,) = [key for key in store.list(f"models/{model_id}") if "/verdict-" in key and key.endswith(".json")]
    found: dict[str, Any] = json.loads(store.get(key))
    return found


def test_two_ranks_from_scenes_to_champion(season: Settings) -> None:
    settings = small(season, ranks=2, batch=2)
    summary = stage.run(settings, TrainRequest())
    (model_id,) = summary.items
    assert summary.done == {"models": 1, "evaluations": 3, "judgements": 1, "promotions": 1}
    assert aliases(settings) == {"champion": model_id, "best": model_id}
    with open_ledger(settings).begin() as session:
        rows = {(row.subject, row.against): row.metrics for row in session.scalars(select(Evaluation))}
    labels = f"labels:colour-{settings.label_version('colour')}"
    assert set(rows) == {(model_id, "truth"), (model_id, "auto-labels"), (labels, "truth"), (model_id, "golden")}
    assert rows[model_id, "truth"]["pixels"] == rows[labels, "truth"]["pixels"] > 0
    loaded = registry.load(open_ledger(settings), open_store(settings.store), "champion")
    assert len(loaded.card.history) == 2 and loaded.card.manifest.recipe.ranks == 2
    assert probabilities(loaded, *_grey()).shape == (3, 40, 50)
    assert not (settings.work / "training").exists() or not any((settings.work / "training").iterdir())

    again = stage.run(settings, TrainRequest())
    assert again.nothing_new and again.items == [model_id]
    assert again.unchanged == {"models": 1, "evaluations": 1, "promotions": 1}


def _grey() -> tuple:  # type: ignore[type-arg]
    import numpy as np

    return np.full((40, 50, 3), 90, np.uint8), np.ones((40, 50), bool)


def test_the_steps_as_tasks(season: Settings, in_process: None) -> None:
    model_id = stage.snapshot(season)
    with pytest.raises(ConfigError, match="unet-2/feedfeedfeed"):
        stage.train(season, "unet-2/feedfeedfeed")
    assert stage.train(season, model_id).done == {"models": 1}
    assert aliases(season) == {"challenger": model_id}
    assert stage.evaluate(season, model_id).done == {"evaluations": 3, "judgements": 1}
    assert stage.promote(season, model_id).done == {"promotions": 1}
    assert aliases(season) == {"champion": model_id, "best": model_id}
    assert stage.snapshot(season) == model_id
    for step in (stage.train, stage.evaluate, stage.promote):
        assert step(season, model_id).nothing_new
    with open_ledger(season).begin() as session:
        assert {run.stage for run in session.scalars(select(Run))} >= {"train.snapshot", "train.fit", "train.promote"}


def test_too_little_to_learn_from(settings: Settings, add_scene: Callable[..., Scene]) -> None:
    with pytest.raises(ExpectedSkip, match="0 scenes have colour labels"):
        stage.run(small(settings), TrainRequest())
    for _ in range(2):
        add_labelled(small(settings), add_scene, 0 + _, size=32)
    with pytest.raises(ExpectedSkip, match="training waits for 3"):
        stage.run(small(settings), TrainRequest())
    assert list(open_store(settings.store).list("models")) == []


def test_more_ranks_than_chips(season: Settings) -> None:
    with pytest.raises(ConfigError, match="too few for 64 ranks"):
        stage.run(small(season, ranks=64), TrainRequest())


def test_a_challenger_is_judged_on_scenes_that_neither_learnt_from(
    season: Settings, in_process: None, add_scene: Callable[..., Scene]
) -> None:
    first = stage.run(season, TrainRequest()).items[0]
    # An earlier day moves every day after it to another place: what judged the champion now trains the challenger.
    for day in (-1, 4, 5):
        add_labelled(season, add_scene, day)
    second = stage.run(season, TrainRequest()).items[0]
    champion, challenger = (registry.find(open_ledger(season), model).manifest for model in (first, second))
    told = verdict_of(season, second)
    assert set(told["scenes"]) < set(challenger.held_out) and not set(told["scenes"]) & set(champion.train)
    assert (told["promote"], told["champion"], told["best"]) == (True, first, first)
    assert aliases(season).items() >= {"champion": second, "previous": first}.items()
    with open_ledger(season).begin() as session:
        reason = session.get_one(ModelAlias, "champion").reason
    assert "against truth" in reason


def test_refused_and_left_alone(
    season: Settings, in_process: None, add_scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stage.run(season, TrainRequest()).items[0]
    add_labelled(season, add_scene, 4)
    with monkeypatch.context() as patch:
        patch.setattr(steps, "RULES", replace(LENIENT, bar=1.1))
        summary = stage.run(season, TrainRequest())
        (refused,) = summary.items
        assert "is below the bar of 1.1" in summary.skipped[refused] and not summary.done["promotions"]
        assert stage.run(season, TrainRequest()).nothing_new
    assert aliases(season) == {"champion": first, "best": first, "challenger": refused}
    with open_ledger(season).begin() as session:
        assert session.get_one(ModelAlias, "challenger").reason == summary.skipped[refused]
    told = verdict_of(season, refused)
    assert not told["promote"] and [check["rule"] for check in told["checks"] if not check["kept"]] == ["bar"]


def test_a_first_model_is_judged_too(season: Settings, in_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "RULES", Rules())
    summary = stage.run(season, TrainRequest())
    assert "too little truth" in summary.skipped[summary.items[0]]
    assert aliases(season) == {"challenger": summary.items[0]}


def test_a_refused_model_is_not_trained_again_for_a_few_new_scenes(
    season: Settings, in_process: None, add_scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RULES", Rules())
    patient = small(season, min_new_scenes=2)
    first = stage.run(patient, TrainRequest()).items[0]
    add_labelled(season, add_scene, 4)
    with pytest.raises(ExpectedSkip, match=f"1 scene labelled since the challenger {first} was trained"):
        stage.run(patient, TrainRequest())
    add_labelled(season, add_scene, 5)
    assert stage.run(patient, TrainRequest()).done["models"] == 1


def test_without_truth_nothing_is_promoted(season: Settings, in_process: None) -> None:
    blind = season.model_copy(update={"reference": None})
    summary = stage.run(blind, TrainRequest())
    assert "no held-out acquisition has a reference" in summary.skipped[summary.items[0]]
    assert aliases(blind) == {"challenger": summary.items[0]}


def test_the_verdict_is_a_page_that_tells_all(season: Settings, in_process: None) -> None:
    (model_id,) = stage.run(season, TrainRequest()).items
    told = verdict_of(season, model_id)
    key = f"models/{model_id}/verdict-{told['golden_set']}.html"
    page = open_store(season.store).get(key).decode()
    for words in (model_id, told["reason"], "tile 01CCV", "region test", "month 02", told["scenes"][0]):
        assert words in page
    assert "<script" not in page and ElementTree.fromstring(page.split(">", 1)[1].strip()).tag == "html"


def test_few_new_scenes_are_not_worth_a_training(
    season: Settings, in_process: None, add_scene: Callable[..., Scene]
) -> None:
    patient = small(season, min_new_scenes=2)
    first = stage.run(patient, TrainRequest()).items[0]
    assert stage.run(patient, TrainRequest()).nothing_new
    add_labelled(season, add_scene, 4)
    with pytest.raises(ExpectedSkip, match=f"1 scene labelled since the champion {first} was trained"):
        stage.run(patient, TrainRequest())
    with open_ledger(season).begin() as session:
        newest = session.scalars(select(Run).order_by(Run.id.desc())).first()
    assert newest is not None and newest.error is None and "1 scene labelled" in newest.summary["skipped"]["train"]
    assert stage.run(small(patient, epochs=1), TrainRequest()).done["models"] == 1  # another recipe is always new
    add_labelled(season, add_scene, 5)
    assert stage.run(patient, TrainRequest()).done["models"] == 1


def test_what_a_person_rolled_back_stays_so(
    season: Settings, in_process: None, add_scene: Callable[..., Scene]
) -> None:
    first = stage.run(season, TrainRequest()).items[0]
    add_labelled(season, add_scene, 4)
    second = stage.run(season, TrainRequest()).items[0]
    assert registry.rollback(open_ledger(season)) == first
    assert stage.run(season, TrainRequest()).nothing_new
    assert aliases(season).items() >= {"champion": first, "previous": second}.items()


def test_what_passes_the_gate_can_wait_for_a_person(season: Settings, in_process: None) -> None:
    careful = small(season, promotion="person")
    summary = stage.run(careful, TrainRequest())
    (model_id,) = summary.items
    assert "passed: macro-F1 against truth" in summary.skipped[model_id]
    assert f"seaice model promote {model_id}" in summary.skipped[model_id]
    assert aliases(careful) == {"challenger": model_id} and verdict_of(careful, model_id)["promote"]
    assert stage.run(careful, TrainRequest()).nothing_new
    registry.promote(open_ledger(careful), model_id, "by hand")
    assert aliases(careful) == {"champion": model_id}


def test_promotion_can_wait_for_a_person(season: Settings, in_process: None) -> None:
    model_id = stage.run(season, TrainRequest(promote=False)).items[0]
    assert aliases(season) == {"challenger": model_id}
    assert stage.run(season, TrainRequest(promote=True)).done == {"promotions": 1}


def test_killed_at_every_write_it_ends_in_the_same_bytes(settings: Settings, add_scene: Callable[..., Scene]) -> None:
    season = small(settings)
    for day in range(3):
        add_labelled(season, add_scene, day, size=64)
    boundaries = crash_everywhere(
        season,
        """
        import torch
        import torch._dynamo  # the optimizer would load it, seconds after each fork
        from seaice_ops.training.fit import loop, steps
        from seaice_ops.training import stage
        from seaice_ops.training.ranks.comm import Alone
        from seaice_ops.training.ranks.job import Job

        torch.set_num_threads(1)
        steps.launch = lambda job, ranks: loop.train(Job.model_validate_json(job.read_bytes()), Alone())
        stage.run(settings, stage.TrainRequest())
        """,
    )
    assert boundaries >= 10
    with open_ledger(season).begin() as session:
        assert session.scalars(select(Model)).all() == []
