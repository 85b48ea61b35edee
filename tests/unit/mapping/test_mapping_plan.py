"""Which maps are due: the rules of the plan, and that following it always ends with the right maps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from seaice_ops.ledger.tables import Map, Scene
from seaice_ops.mapping.due.plan import Due, due_maps, method_of, one_grid
from seaice_ops.versions import MAPS

START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def scene(number: float, version: str = "a", **values: object) -> Scene:
    grid = {"crs": "EPSG:32701", "transform": [10.0, 0.0, 0.0, 0.0, -10.0, 0.0], "width": 100, "height": 80}
    return Scene(id=f"s{number}{version}", sensed_at=day(number), **(grid | values))


def issue(
    issued: dict[datetime, Map], due: Sequence[Due], scenes: Sequence[Scene], model: str = "m", method: str = MAPS
) -> dict[datetime, Map]:
    """The newest maps after all of `due` was published."""
    made = {
        item.window_end: Map(
            id=f"{item.window_end:%Y%m%d}r{item.revision}",
            window_end=item.window_end,
            revision=item.revision,
            supersedes=item.supersedes,
            scene_ids=[scenes[i].id for i in item.window],
            source=model,
            statistics={"method": method},
        )
        for item in due
    }
    return dict(sorted({**issued, **made}.items()))


def season(count: int, n: int) -> tuple[list[Scene], dict[datetime, Map]]:
    scenes = [scene(d) for d in range(count)]
    return scenes, issue({}, due_maps(scenes, {}, n, "m"), scenes)


def ends(due: Sequence[Due]) -> list[datetime]:
    return [item.window_end for item in due]


def test_one_map_an_acquisition_each_one_in_and_one_out() -> None:
    scenes, issued = season(8, 3)
    assert list(issued) == [s.sensed_at for s in scenes]
    lists = [m.scene_ids for m in issued.values()]
    assert lists[0] == ["s0a"] and lists[1] == ["s0a", "s1a"]
    for before, after in pairwise(lists[2:]):
        assert before[1:] == after[:-1] and len(after) == 3
    assert all(m.revision == 1 and m.supersedes is None for m in issued.values())


def test_nothing_to_do_is_nothing() -> None:
    scenes, issued = season(8, 3)
    assert due_maps(scenes, issued, 3, "m") == []
    assert due_maps([], {}, 3, "m") == []


def test_a_new_acquisition_makes_one_map() -> None:
    scenes, issued = season(8, 3)
    assert due_maps([*scenes, scene(8)], issued, 3, "m") == [Due(day(8), range(6, 9), 1, None)]


def test_a_late_arrival_makes_its_map_and_reissues_those_that_hold_it() -> None:
    scenes, issued = season(8, 3)
    late = sorted([*scenes, scene(3.5)], key=lambda s: s.sensed_at)
    due = due_maps(late, issued, 3, "m")
    assert ends(due) == [day(3.5), day(4), day(5)]
    assert [(d.revision, d.supersedes) for d in due] == [(1, None), (2, "20260105r1"), (2, "20260106r1")]


def test_a_newer_baseline_reissues_the_n_maps_that_hold_the_scene() -> None:
    scenes, issued = season(8, 3)
    scenes[4] = scene(4, "b")
    due = due_maps(scenes, issued, 3, "m")
    assert ends(due) == [day(4), day(5), day(6)] and {d.revision for d in due} == {2}


def test_a_withdrawn_scene_leaves_every_map_that_held_it_also_the_one_that_ended_with_it() -> None:
    scenes, issued = season(8, 3)
    del scenes[4]
    due = due_maps(scenes, issued, 3, "m")
    assert ends(due) == [day(4), day(5), day(6)]
    again = issue(issued, due, scenes)
    assert again[day(4)].scene_ids == ["s1a", "s2a", "s3a"] == again[day(3)].scene_ids
    assert due_maps(scenes, again, 3, "m") == []


def test_a_map_is_withdrawn_once_where_nothing_is_left_and_comes_back_with_its_acquisition() -> None:
    scenes, issued = season(2, 3)
    due = due_maps(scenes[1:], issued, 3, "m")
    assert due == [Due(day(0), range(0), 2, "20260101r1"), Due(day(1), range(0, 1), 2, "20260102r1")]
    issued = issue(issued, due, scenes[1:])
    assert due_maps(scenes[1:], issued, 3, "m") == []
    due = due_maps([], issued, 3, "other")
    assert due == [Due(day(1), range(0), 3, "20260102r2")]
    issued = issue(issued, due, [])
    assert due_maps([], issued, 3, "another") == []
    assert ends(due_maps(scenes[:1], issued, 3, "m")) == [day(0), day(1)]


def test_a_new_champion_or_method_reissues_the_newest_map_only() -> None:
    scenes, issued = season(8, 3)
    assert due_maps(scenes, issued, 3, "other") == [Due(day(7), range(5, 8), 2, "20260108r1")]
    old = issue({}, due_maps(scenes, {}, 3, "m"), scenes, method="window-0")
    assert ends(due_maps(scenes, old, 3, "m")) == [day(7)]


def test_another_land_mask_is_another_method() -> None:
    scenes, issued = season(8, 3)
    methods = {method_of(mask) for mask in ("", "coastline", "land/{tile}.tif")}
    assert len(methods) == 3 and MAPS in methods
    assert ends(due_maps(scenes, issued, 3, "m", method_of("coastline"))) == [day(7)]
    assert due_maps(scenes, issued, 3, "m", method_of("")) == []


def test_two_acquisitions_at_one_moment_share_a_map() -> None:
    scenes = [scene(0), scene(1, "a"), scene(1, "b"), scene(2)]
    assert [d.window for d in due_maps(scenes, {}, 2, "m")] == [range(1), range(1, 3), range(2, 4)]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["add", "replace", "withdraw", "champion"]), st.integers(0, 20)), max_size=25),
    st.integers(1, 5),
)
def test_following_the_plan_always_ends_with_the_right_maps(events: list[tuple[str, int]], n: int) -> None:
    alive: dict[int, int] = {}
    issued: dict[datetime, Map] = {}
    champion = 0
    for serial, (what, when) in enumerate(events):
        champion += what == "champion"
        if what == "withdraw":
            alive.pop(when, None)
        elif what == "add" or when in alive:
            alive[when] = serial
        scenes = [scene(d, f"-{alive[d]}") for d in sorted(alive)]
        due = due_maps(scenes, issued, n, f"m{champion}")
        alive_ends = {s.sensed_at for s in scenes}
        assert sum(item.window_end in alive_ends for item in due) <= n + 1  # at most n, and the champion's newest
        issued = issue(issued, due, scenes, f"m{champion}")
        assert due_maps(scenes, issued, n, f"m{champion}") == []
        for end, newest in issued.items():
            right = [s.id for s in scenes if s.sensed_at <= end][-n:]
            assert newest.scene_ids == right
        assert alive_ends <= issued.keys()


def test_a_scene_on_another_grid_is_refused_by_name() -> None:
    scenes = [scene(2), scene(0), scene(1, width=90), scene(3)]
    kept, refused = one_grid(scenes)
    assert [s.id for s in kept] == ["s0a", "s2a", "s3a"]
    assert list(refused) == ["s1a"] and "90 x 80" in refused["s1a"] and "100 x 80" in refused["s1a"]
    assert one_grid([]) == ([], {})


def test_the_newest_grid_stands_where_two_are_as_common() -> None:
    kept, refused = one_grid([scene(0), scene(1, crs="EPSG:32702")])
    assert [s.id for s in kept] == ["s1a"] and list(refused) == ["s0a"]
