"""Aliases moved by two processes at once end as if one had come after the other, on both databases."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import select

from helpers.racing import race
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Model, ModelAlias
from seaice_ops.models import registry  # here, so that each racer has loaded torch before the race begins
from seaice_ops.settings import Settings

ONE, TWO, THREE = (f"unet-2/{digit * 12}" for digit in "123")


@pytest.fixture
def models(ledger: Settings) -> Ledger:
    """A ledger of three models, without aliases."""
    opened = Ledger(ledger.ledger)
    with opened.begin() as session:
        for model_id in (ONE, TWO, THREE):
            name, version = model_id.split("/")
            session.add(Model(id=model_id, name=name, version=version, sha256="0" * 64, card={}, created_at=now()))
    return opened


def aliases(ledger: Ledger) -> dict[str, str]:
    with ledger.begin() as session:
        return {row.alias: row.model_id for row in session.scalars(select(ModelAlias))}


def move(ledger: Ledger, verb: str, *arguments: str) -> Any:
    """Call a function of the registry, slowed down between what it reads and what it writes."""
    read = registry.model_by_alias

    def slow(*values: Any) -> Any:
        found = read(*values)
        time.sleep(0.4)
        return found

    registry.model_by_alias = slow  # type: ignore[attr-defined]
    return getattr(registry, verb)(ledger, *arguments)


def test_two_first_promotions(models: Ledger) -> None:
    answers = race(move, [(models, "promote", ONE, "a"), (models, "promote", TWO, "b")])
    assert answers == [True, True]
    assert aliases(models) in ({"champion": ONE, "previous": TWO}, {"champion": TWO, "previous": ONE})


def test_a_rollback_beside_a_promotion(models: Ledger) -> None:
    registry.promote(models, ONE, "first")
    registry.promote(models, TWO, "second")
    answers = race(move, [(models, "promote", THREE, "third"), (models, "rollback")])
    assert not [answer for answer in answers if isinstance(answer, BaseException)]
    promoted_first, rolled_back_first = {"champion": TWO, "previous": THREE}, {"champion": THREE, "previous": ONE}
    assert aliases(models) == (rolled_back_first if answers[1] == ONE else promoted_first)


def test_a_challenger_is_not_promoted_over_another_champion_than_it_was_judged_against(models: Ledger) -> None:
    registry.promote(models, ONE, "first")
    with models.begin() as session:
        session.add(ModelAlias(alias="challenger", model_id=TWO, reason="trained", updated_at=now()))
    registry.promote(models, THREE, "by hand, in the meantime")
    assert not registry.promote_challenger(models, TWO, ONE, "better than one")
    assert aliases(models) == {"champion": THREE, "previous": ONE, "challenger": TWO}
    assert registry.promote_challenger(models, TWO, THREE, "better than three")
    assert aliases(models) == {"champion": TWO, "previous": THREE, "best": TWO}
