"""One acquisition from two ground stations: which parts, under which name, and what the plan makes of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_archive_plan import row

from seaice_ops.archive.merge import MAX_PARTS, merged, parts_of
from seaice_ops.archive.plan import Plan, plan
from seaice_ops.archive.product import Product, ProductFile, Withdrawn
from seaice_ops.ledger.tables import Scene, SceneState

T0 = datetime(2026, 2, 1, 20, 15, 29, tzinfo=UTC)
HOUR = timedelta(hours=1)


def product(station: int, generated: int = 1, baseline: str = "05.11") -> Product:
    """What `station` received, generated so many hours after the sensing; its datastrip begins `station` minutes on."""
    made, strip = T0 + generated * HOUR, T0 + timedelta(minutes=station)
    version = baseline.replace(".", "")
    granule = f"GRANULE/L1C_T01CCV_A046123_{strip:%Y%m%dT%H%M%S}"
    return Product(
        id=f"S2B_MSIL1C_{T0:%Y%m%dT%H%M%S}_N{version}_R028_T01CCV_{made:%Y%m%dT%H%M%S}",
        kind="product",
        platform="S2B",
        tile="01CCV",
        sensed_at=T0,
        relative_orbit=28,
        baseline=baseline,
        generated_at=made,
        published_at=made + HOUR,
        href="x.SAFE",
        files=(ProductFile("MTD_MSIL1C.xml", 1), ProductFile(f"{granule}/MTD_TL.xml", 2)),
    )


A, B, C = product(0, 1), product(1, 2), product(2, 3)
AB, ABC = f"{B.id}_with_20260201T211529", f"{C.id}_with_20260201T221529_20260201T211529"


def apply(rows: dict[str, Scene], decided: Plan) -> None:
    for decision in decided.decisions:
        if decision.new:
            rows[decision.id] = row(decision.product, decision.state)
        known = rows[decision.id]
        known.state, known.superseded_by, known.reason = decision.state, decision.superseded_by, decision.reason
        if decision.withdrawn_at:
            known.details = {**known.details, "withdrawn_at": decision.withdrawn_at.isoformat()}
        if decision.product:
            fresh = row(decision.product, decision.state)
            known.details, known.published_at = fresh.details, fresh.published_at


def search(rows: dict[str, Scene], found=(), withdrawn=()) -> list[str]:
    decided = plan(found, rows.values(), withdrawn)
    apply(rows, decided)
    again = plan(found, rows.values(), withdrawn)
    assert (again.decisions, again.ingest) == ([], decided.ingest)
    return decided.ingest


def ready(rows: dict[str, Scene], id_: str) -> None:
    for other in rows.values():
        if other.state is SceneState.READY:
            other.state, other.superseded_by = SceneState.SUPERSEDED, id_
    rows[id_].state = SceneState.READY


def states(rows: dict[str, Scene]) -> dict[str, str]:
    return {id_: scene.state.value for id_, scene in rows.items()}


def test_datastrip_is_read_from_the_granules_folder(outside_data):
    for name, start in {
        "S2A_MSIL1C_20210908T042701_N0301_R133_T46RER_20210908T070248": "20210908T043714",
        "S2A_MSIL1C_20200717T221941_R029_T01LAC_20200717T234135": "20200717T221944",
    }.items():
        folder = outside_data / "s2_metadata" / f"{name}.SAFE"
        files = [ProductFile(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file()]
        assert replace(A, files=tuple(files)).datastrip == start
    assert (A.datastrip, B.datastrip) == ("20260201T201529", "20260201T201629")
    assert replace(A, files=(ProductFile("metadata.xml"),)).datastrip == ""


def test_merged_product_names_its_parts_and_holds_their_files_apart():
    whole = merged([B, A])
    assert (whole.id, whole.parts, whole.identity) == (AB, (B.id, A.id), A.identity)
    assert [file.path for file in whole.files] == [f"{p.id}/{file.path}" for p in (B, A) for file in p.files]
    assert (whole.generated_at, whole.published_at) == (B.generated_at, B.published_at)
    assert B.rank < whole.rank < merged([C, B, A]).rank
    assert len(merged([product(n, n) for n in range(MAX_PARTS, 0, -1)]).id) <= 128


def test_parts_are_the_newest_generations_of_the_highest_baseline():
    newer, older = product(0, 9), product(1, 5, "05.10")
    assert parts_of([A, B, newer, older]) == [newer, B]
    assert parts_of([]) == []
    assert parts_of([replace(A, files=()), B]) == [B]  # nobody can say whether its datastrip is another one
    assert len(parts_of([product(n, n) for n in range(9)])) == MAX_PARTS


def test_two_stations_found_together_become_one_scene():
    rows: dict[str, Scene] = {}
    assert search(rows, [A, B]) == [AB]
    assert states(rows) == {A.id: "superseded", B.id: "superseded", AB: "discovered"}
    assert rows[A.id].superseded_by == rows[B.id].superseded_by == AB
    assert rows[AB].details["parts"] == [B.id, A.id]


def test_second_station_supersedes_the_first_once_both_are_merged():
    rows: dict[str, Scene] = {}
    assert search(rows, [A]) == [A.id]
    ready(rows, A.id)
    assert search(rows, [B]) == [AB]
    assert states(rows) == {A.id: "ready", B.id: "superseded", AB: "discovered"}
    ready(rows, AB)
    assert search(rows, [A, B]) == []


def test_third_part_and_newer_baseline_supersede_the_merged_scene():
    rows: dict[str, Scene] = {}
    search(rows, [A, B])
    ready(rows, AB)
    assert search(rows, [C]) == [ABC]
    ready(rows, ABC)
    assert states(rows)[AB] == "superseded"
    newer = product(0, 9, "05.12")
    assert search(rows, [newer]) == [newer.id]


def test_withdrawn_part_takes_the_merged_scene_with_it_and_the_other_part_stands_alone():
    rows: dict[str, Scene] = {}
    search(rows, [A, B])
    ready(rows, AB)
    gone = Withdrawn(B.id, "Corrupted", B.published_at + HOUR)
    assert search(rows, [A], [gone]) == [A.id]
    assert states(rows) == {A.id: "discovered", B.id: "withdrawn", AB: "withdrawn"}
    assert rows[AB].reason == f"its part {B.id} was withdrawn: Corrupted"
    ready(rows, A.id)
    again = replace(B, published_at=gone.at + HOUR)
    assert search(rows, [again]) == [AB]
    assert states(rows) == {A.id: "ready", B.id: "superseded", AB: "discovered"}


def test_withdrawals_that_are_old_or_of_what_is_still_offered_change_nothing():
    rows: dict[str, Scene] = {}
    search(rows, [A])
    ready(rows, A.id)
    assert search(rows, [], [Withdrawn(A.id, "Obsolete", A.published_at)]) == []
    assert search(rows, [A], [Withdrawn(A.id, "Duplicated", A.published_at + HOUR)]) == []
    assert search(rows, [], [Withdrawn("of no interest", "Obsolete", T0 + 99 * HOUR)]) == []
    assert states(rows) == {A.id: "ready"}


@pytest.mark.parametrize("state", list(SceneState))
def test_withdrawn_in_every_state_gives_way_to_the_next_best(state):
    old = product(0, 1, "05.09")
    rows = {A.id: row(A, state), old.id: row(old, SceneState.SUPERSEDED)}
    rows[A.id].details["withdrawn_at"] = (A.published_at + HOUR).isoformat()
    assert search(rows, [], [Withdrawn(A.id, "Obsolete", A.published_at + HOUR)]) == [old.id]
    assert states(rows) == {A.id: "withdrawn", old.id: "discovered"}


def test_failed_part_leaves_the_others_and_a_merged_scene_that_failed_as_a_whole_is_not_tried_in_pieces():
    rows: dict[str, Scene] = {}
    search(rows, [A, B])
    for id_ in (AB, B.id):
        rows[id_].state, rows[id_].attempts = SceneState.FAILED, 1
    assert search(rows, [A, B]) == [A.id]
    old = product(0, 1, "05.09")
    rows = {}
    search(rows, [A, B, old])
    rows[AB].state, rows[AB].attempts = SceneState.FAILED, 1
    assert search(rows) == [old.id]
    ready(rows, old.id)
    assert search(rows, [A, B, old]) == []


def test_part_that_was_repaired_is_merged_again():
    rows: dict[str, Scene] = {}
    search(rows, [A, B])
    for id_ in (AB, B.id):
        rows[id_].state, rows[id_].attempts = SceneState.FAILED, 1
    search(rows)
    ready(rows, A.id)
    repaired = replace(B, files=tuple(replace(file, size=7) for file in B.files))
    assert search(rows, [repaired]) == [AB]
    assert states(rows) == {A.id: "ready", B.id: "superseded", AB: "discovered"}


@given(
    st.lists(st.builds(product, st.integers(0, 2), st.integers(1, 4), st.sampled_from(["05.09", "05.11"]))),
    st.randoms(),
)
def test_order_of_arrival_never_matters(products, random):
    products = list({p.id: p for p in products}.values())
    together: dict[str, Scene] = {}
    for id_ in search(together, products):
        ready(together, id_)
    one_by_one: dict[str, Scene] = {}
    random.shuffle(products)
    for each in products:
        for id_ in search(one_by_one, [each]):
            if random.random() < 0.7:
                ready(one_by_one, id_)
    for id_ in search(one_by_one):
        ready(one_by_one, id_)
    best = {id_ for id_, scene in together.items() if scene.state is SceneState.READY}
    assert {id_ for id_, scene in one_by_one.items() if scene.state is SceneState.READY} == best
    assert len(best) == bool(products)
    assert all(one_by_one[p.id].superseded_by in best for p in products if p.id not in best)
