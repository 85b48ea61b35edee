"""Planning: worked examples, and what must hold for every history of publications, failures and repairs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from seaice_ops.archive.plan import Plan, plan
from seaice_ops.archive.product import Product, ProductFile, files_json
from seaice_ops.ledger.operations import scene_rank
from seaice_ops.ledger.tables import Scene, SceneState

T0 = datetime(2026, 2, 1, 20, tzinfo=UTC)


def version(baseline: str = "05.11", generated: int = 0, day: int = 0, problem: str | None = None, size: int = 1):
    sensed = T0 + timedelta(days=day)
    generated_at = sensed + timedelta(hours=1 + generated)
    return Product(
        id=f"{day}-{baseline}-{generated}",
        kind="product",
        platform="S2B",
        tile="01CCV",
        sensed_at=sensed,
        relative_orbit=28,
        baseline=baseline,
        generated_at=generated_at,
        published_at=generated_at,
        href="x.SAFE",
        files=(ProductFile("MTD_MSIL1C.xml", size),),
        problem=problem,
    )


def row(product: Product, state: SceneState, attempts: int = 0, reason: str | None = None) -> Scene:
    return Scene(
        id=product.id,
        identity=product.identity,
        tile=product.tile,
        platform=product.platform,
        relative_orbit=product.relative_orbit,
        baseline=product.baseline,
        generated_at=product.generated_at,
        published_at=product.published_at,
        href=product.href,
        sensed_at=product.sensed_at,
        state=state,
        attempts=attempts,
        reason=reason,
        details={"kind": product.kind, "files": files_json(product.files), "parts": list(product.parts)},
    )


def states(result: Plan) -> dict[str, str]:
    return {decision.id: decision.state.value for decision in result.decisions}


OLD, NEW = version("05.09"), version("05.11")


def test_first_time_best_is_ingested_and_older_is_superseded():
    result = plan([NEW, OLD], [])
    assert states(result) == {OLD.id: "superseded", NEW.id: "discovered"}
    assert result.ingest == [NEW.id]
    assert next(d for d in result.decisions if d.id == OLD.id).superseded_by == NEW.id


def test_older_than_the_ready_one_is_superseded_at_once():
    result = plan([OLD], [row(NEW, SceneState.READY)])
    assert (states(result), result.ingest) == ({OLD.id: "superseded"}, [])


def test_newer_than_the_ready_one_is_ingested_while_the_old_stays_ready():
    result = plan([NEW], [row(OLD, SceneState.READY)])
    assert (states(result), result.ingest) == ({NEW.id: "discovered"}, [NEW.id])


def test_failed_newest_gives_way_to_the_next_older_even_when_that_is_not_found_again():
    rows = [row(NEW, SceneState.FAILED, attempts=1), row(OLD, SceneState.SUPERSEDED)]
    result = plan([], rows)
    assert (states(result), result.ingest) == ({OLD.id: "discovered"}, [OLD.id])


def test_failed_newest_over_a_ready_older_one_changes_nothing():
    result = plan([NEW], [row(NEW, SceneState.FAILED, attempts=1), row(OLD, SceneState.READY)])
    assert (states(result), result.ingest) == ({}, [])


def test_failed_product_is_tried_again_once_its_files_have_changed():
    failed = row(NEW, SceneState.FAILED, attempts=1)
    assert plan([NEW], [failed]).ingest == []
    repaired = replace(NEW, files=(ProductFile("MTD_MSIL1C.xml", 2),))
    result = plan([repaired], [failed])
    assert (states(result), result.ingest) == ({NEW.id: "discovered"}, [NEW.id])


def test_unfinished_scene_whose_files_changed_is_found_anew():
    changed = replace(NEW, files=(ProductFile("MTD_MSIL1C.xml", 2),))
    assert states(plan([changed], [row(NEW, SceneState.FETCHED)])) == {NEW.id: "discovered"}
    assert states(plan([NEW], [row(NEW, SceneState.FETCHED)])) == {}


def test_problem_is_told_once_and_forgotten_when_it_is_gone():
    unknown = replace(NEW, problem="tile 01CCV is in no configured region")
    result = plan([unknown], [])
    assert (states(result), result.ingest) == ({NEW.id: "failed"}, [])
    told = row(unknown, SceneState.FAILED, reason=unknown.problem)
    assert plan([unknown], [told]).decisions == []
    result = plan([NEW], [told])
    assert (states(result), result.ingest) == ({NEW.id: "discovered"}, [NEW.id])


def test_a_product_with_a_problem_supersedes_nothing():
    result = plan([replace(NEW, problem="Level-2A"), OLD], [])
    assert (states(result), result.ingest) == ({NEW.id: "failed", OLD.id: "discovered"}, [OLD.id])


def test_damage_to_the_archive_does_not_touch_what_is_ready():
    lost = replace(NEW, problem="not JSON", tile="", platform="", sensed_at=T0 + timedelta(days=9))
    older = row(OLD, SceneState.SUPERSEDED)
    older.superseded_by = NEW.id
    result = plan([lost, OLD], [row(NEW, SceneState.READY), older])
    assert (states(result), result.ingest) == ({}, [])


def test_withdrawn_is_never_ingested():
    assert plan([NEW], [row(NEW, SceneState.WITHDRAWN)]).ingest == []


def test_oldest_sensing_time_first():
    days = [version(day=day) for day in (3, 1, 2)]
    assert plan(days, []).ingest == [version(day=day).id for day in (1, 2, 3)]


# ---- histories

versions = st.builds(
    version, st.sampled_from(["", "02.09", "05.9", "05.10", "10.00"]), st.integers(0, 2), day=st.integers(0, 1)
)


class World:
    """A ledger in memory, and the fetch and decode stages reduced to what they do to states."""

    def __init__(self) -> None:
        self.rows: dict[str, Scene] = {}

    def search(self, found: list[Product]) -> Plan:
        result = plan(found, self.rows.values())
        for decision in result.decisions:
            if decision.new:
                assert decision.id not in self.rows
                self.rows[decision.id] = row(decision.product, decision.state, reason=decision.reason)
            self.rows[decision.id].state = decision.state
            self.rows[decision.id].superseded_by = decision.superseded_by
        return result

    def ingest(self, ids: list[str], broken: set[str]) -> None:
        for id_ in ids:
            scene = self.rows[id_]
            if id_ in broken:
                scene.state, scene.attempts = SceneState.FAILED, 1
                continue
            for other in self.rows.values():
                if other.identity == scene.identity and other.state is SceneState.READY:
                    other.state = SceneState.SUPERSEDED
            scene.state = SceneState.READY

    def ready(self) -> dict[str, str]:
        ready = [scene for scene in self.rows.values() if scene.state is SceneState.READY]
        assert len({scene.identity for scene in ready}) == len(ready)
        return {scene.identity: scene.id for scene in ready}


@given(st.lists(st.lists(versions, max_size=4), max_size=5), st.sets(versions))
def test_any_history_ends_with_each_acquisition_at_its_best_sound_version(publications, broken):
    world, broken_ids = World(), {p.id for p in broken}
    for published in publications:
        world.ingest(world.search(published).ingest, broken_ids)
    for _ in range(6):  # each failure is met by the next search
        world.ingest(world.search([]).ingest, broken_ids)
    sound = {p.id: p for published in publications for p in published if p.id not in broken_ids}
    best = {}
    for product in sorted(sound.values(), key=lambda p: scene_rank(p.baseline, p.generated_at, p.id)):
        best[product.identity] = product.id
    assert world.ready() == best
    assert set(world.rows) == {p.id for published in publications for p in published}


@given(st.lists(versions), st.lists(versions), st.randoms())
def test_searching_again_in_any_order_decides_nothing(first, second, random):
    world = World()
    world.search(first)
    expected = world.search([*first, *second]).ingest
    again = [*first, *second]
    random.shuffle(again)
    result = world.search(again)
    assert (result.decisions, result.ingest) == ([], expected)
