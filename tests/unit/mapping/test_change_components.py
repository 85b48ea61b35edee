"""Changed pixels and their components against slow versions written from the text; what is known already."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from seaice_ops.geo.grid import Grid
from seaice_ops.mapping.change.chip import chip, window_of
from seaice_ops.mapping.change.components import AGREEMENT, NEAR, PIXELS, Component, components
from seaice_ops.mapping.change.match import Known, places_of, settle
from seaice_ops.mapping.change.outline import box_of, polygons
from seaice_ops.mapping.change.pixels import AGREEMENT as LEAST
from seaice_ops.mapping.change.pixels import CHANGE, SEEN, changed, segments
from seaice_ops.mapping.sequence import CONFIRMED, analyse

DAYS = [datetime(2026, 2, 1, tzinfo=UTC) + timedelta(days=2 * i) for i in range(40)]
WIDTH = 40


def slow_changed(maps: np.ndarray, single: np.ndarray, window: int) -> list[tuple]:
    """Every change of every pixel, one pixel and one step at a time."""
    found, times = [], DAYS[: len(single)]
    for row in range(maps.shape[1]):
        for column in range(maps.shape[2]):
            start, codes = 0, single[:, row, column]
            for _ in range(3):
                one = (slice(None), slice(row, row + 1), column)
                step = analyse(maps[one], times, window, acquisitions=single[one], start=np.array([start], np.int16))
                at, start = int(step.index[0]), int(step.map_index[0])
                if at < 0:
                    break
                sides = []
                for low, high, code in ((at - window, at, step.before[0]), (at, at + window, step.after[0])):
                    seen = [c for c in codes[max(low, 0) : high] if c in (1, 2, 3)]
                    right = sum(c == code for c in seen)
                    sides.append(100 * right // len(seen) if len(seen) >= SEEN else 0)
                if min(sides) >= LEAST:
                    since = max(i for i in range(at) if codes[i] in (1, 2, 3))
                    confirmed = step.status[0] == CONFIRMED
                    found.append((row, column, step.before[0], step.after[0], since, at, min(sides), confirmed))
    return found


def test_changes_of_a_block_are_those_of_its_pixels() -> None:
    rng = np.random.default_rng(3)
    window, count = 5, 30
    single = np.full((count, 6, 9), 3, np.uint8)
    at = rng.integers(8, 20, (6, 9))
    number = np.arange(count)[:, None, None]
    single[number >= at] = 1
    single[np.broadcast_to((number >= at + 9) & (rng.random((6, 9)) < 0.4), single.shape)] = 2
    single[rng.random(single.shape) < 0.12] = 2
    single[rng.random(single.shape) < 0.15] = 255
    maps = np.stack([np.median(single[i : i + window], axis=0).astype(np.uint8) for i in range(count - window + 1)])
    found = changed(maps, single, DAYS[:count], window)
    assert [tuple(each) for each in found.tolist()] == slow_changed(maps, single, window)
    assert len(found) > 30 and len({(row, column) for row, column, *_ in found.tolist()}) < len(found)


def test_a_sequence_ends_where_three_weeks_are_missing() -> None:
    late = [DAYS[3] + timedelta(days=22), DAYS[3] + timedelta(days=43)]
    assert list(segments([*DAYS[:4], *late])) == [range(4), range(4, 6)]
    assert list(segments([])) == []


def some(mask: np.ndarray, index: np.ndarray | int, before: int = 3, after: int = 1, agreement: int = 95) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    found = np.zeros(len(rows), CHANGE)
    found["row"], found["column"], found["before"], found["after"] = rows, columns, before, after
    found["index"] = index[mask] if isinstance(index, np.ndarray) else index
    found["since"], found["agreement"], found["confirmed"] = found["index"] - 1, agreement, True
    return found


def slow_components(found: np.ndarray) -> list[set[tuple[int, int, int]]]:
    """Flood fill, pixel by pixel, of single changes a pixel."""
    entries = {(e["row"], e["column"], e["before"], e["after"]): int(e["index"]) for e in found}
    whole = []
    while entries:
        start = next(iter(entries))
        queue, part = [(start, entries.pop(start))], set()
        while queue:
            (row, column, before, after), at = queue.pop()
            part.add((int(row), int(column), at))
            for y in (-1, 0, 1):
                for x in (-1, 0, 1):
                    key = (row + y, column + x, before, after)
                    if key in entries and abs(DAYS[entries[key]] - DAYS[at]) <= NEAR:
                        queue.append((key, entries.pop(key)))
        whole.append(part)
    return whole


@pytest.mark.parametrize("seed", range(4))
def test_components_are_those_of_a_flood_fill(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((60, WIDTH)) < 0.62
    kind = rng.random((60, WIDTH)) < 0.03
    index = np.where(np.arange(WIDTH) < 17, 9, 14)[None].repeat(60, axis=0) + rng.integers(0, 2, (60, WIDTH))
    found = np.concatenate([some(mask & ~kind, index), some(mask & kind, index, after=2)])
    wanted = [part for part in slow_components(found) if len(part) >= PIXELS]
    got = components(found, DAYS, WIDTH)
    assert sorted(map(len, wanted), reverse=True) == [len(each.pixels) for each in got]
    assert len(got) >= 2
    parts = [{(e["row"], e["column"], e["index"]) for e in each.pixels} for each in got]
    assert all(part in wanted for part in parts)


def test_small_unsure_and_short_ones_do_not_count_and_a_lead_does() -> None:
    block, short, lead = np.zeros((3, 200, 200), np.bool_)
    block[:9, :11] = short[:6, :10] = True
    lead[np.arange(70), 2 * np.arange(70)] = lead[np.arange(70), 2 * np.arange(70) + 1] = True
    lead[60:], found = False, [components(some(mask, 5), DAYS, 200) for mask in (block, short)]
    assert [len(each) for each in found] == [0, 0]
    block[9] = block[8]
    assert len(components(some(block, 5), DAYS, 200)) == 1
    assert components(some(block, 5, agreement=AGREEMENT - 1), DAYS, 200) == []
    line = np.zeros((200, 200), np.bool_)
    line[3, 5:65] = True
    assert [each.box for each in components(some(line, 5), DAYS, 200)] == [(3, 5, 1, 60)]


def test_the_date_is_the_median_and_its_spread_that_of_eight_tenths() -> None:
    mask = np.ones((10, 20), np.bool_)
    index = np.full((10, 20), 10)
    index[:, 0], index[:, 19], index[:, 17] = 9, 11, 11
    [each] = components(some(mask, index), DAYS, 20)
    assert (each.date(), each.since) == (DAYS[10], DAYS[9])
    assert (each.date(0.04), each.date(0.9), each.date(0.91)) == (DAYS[9], DAYS[11], DAYS[11])
    assert each.confirmed and each.confidence == 95 and (each.before, each.after) == (3, 1)


def place(top: int, left: int, rows: int = 12, columns: int = 12, index: int = 9) -> Component:
    mask = np.zeros((60, WIDTH), np.bool_)
    mask[top : top + rows, left : left + columns] = True
    [each] = components(some(mask, index), DAYS, WIDTH)
    return each


def known(each: Component, name: str, decided: bool) -> Known:
    return Known(name, decided, each.before, each.after, each.since, each.date(0.9), places_of(each, WIDTH))


def test_what_was_decided_is_found_again_by_its_place_and_date() -> None:
    first = place(10, 10)
    decision = known(first, "decided", True)
    for again in (place(10, 10), place(12, 8), place(10, 10, index=11), place(8, 8, 14, 14)):
        assert settle([again], [decision], WIDTH).decided == ("decided",)
        assert settle([again], [decision], WIDTH).new == ()
    for other in (place(40, 10), place(10, 10, index=25)):
        assert settle([other], [decision], WIDTH).new == (other,)
    assert settle([place(10, 10)], [replace(decision, after=2)], WIDTH).new != ()
    assert settle([], [decision], WIDTH).gone == ()


def test_only_what_lies_outside_a_decision_is_asked() -> None:
    decision = known(place(10, 10), "decided", True)
    [rest] = settle([place(10, 10, 40, 12)], [decision], WIDTH).new
    assert rest.box == (22, 10, 28, 12) and len(rest.pixels) == 28 * 12


def test_what_is_open_takes_what_shares_most_with_it_and_else_is_gone() -> None:
    rows = [known(place(10, 10), "a", False), known(place(14, 10), "b", False), known(place(40, 2), "c", False)]
    grown = place(13, 10, 14, 14)
    settled = settle([grown], rows, WIDTH)
    assert [name for name, _ in settled.again] == ["b"] and set(settled.gone) == {"a", "c"} and settled.new == ()


GRID = Grid("EPSG:32701", (10.0, 0.0, 399960.0, 0.0, -10.0, 1600020.0), 1000, 1000)


def test_polygons_have_holes_run_counter_clockwise_and_cover_the_pixels() -> None:
    import shapely
    from shapely.geometry import shape

    mask = np.ones((20, 30), np.bool_)
    mask[5:9, 5:9] = False
    mask[-1, -1], mask[-2, -1] = True, False
    geometry = polygons(mask, 100, 200, GRID)
    whole = shape(geometry)
    assert whole.is_valid and sum(len(part.interiors) for part in whole.geoms) == 1
    assert all(shapely.is_ccw(part.exterior) for part in whole.geoms)
    lon, lat = GRID.places(np.array([200.5, 206.5]), np.array([100.5, 106.5]))
    assert shapely.contains_xy(whole, lon, lat).tolist() == [True, False]
    assert box_of(geometry)[0] < box_of(geometry)[2]


def test_polygons_are_cut_at_the_antimeridian() -> None:
    from shapely.geometry import shape

    grid = Grid("EPSG:32660", (100.0, 0.0, 600000.0, 0.0, -100.0, 7800000.0), 300, 300)
    lon, _ = grid.places(np.array([0.0, 300.0]), np.array([150.0, 150.0]))
    assert lon[0] > 178 and lon[1] < -178
    geometry = polygons(np.ones((100, 300), np.bool_), 100, 0, grid)
    west, _, east, _ = box_of(geometry)
    assert west > 178 and east < -178
    assert shape(geometry).is_valid and len(geometry["coordinates"]) == 2
    assert all(abs(x) <= 180 for part in geometry["coordinates"] for ring in part for x, _ in ring)


def test_a_picture_shows_colour_and_class_with_the_edge_of_the_change() -> None:
    top, left, rows, columns = window_of((0, 990, 5, 10), 1000, 1000)
    assert (top, left, rows, columns) == (0, 904, 96, 96)
    mask = np.zeros((96, 96), np.bool_)
    mask[10:40, 10:40] = True
    codes = np.full((96, 96), 3, np.uint8)
    codes[:, 50:] = 255
    picture = chip(np.zeros((96, 96, 3), np.uint8), np.ones((96, 96), np.bool_), codes, mask)
    assert picture.shape == (480, 966, 3)
    assert picture[100, 100].tolist() == [0, 0, 0] and picture[50, 50].tolist() == [255, 0, 200]
    assert picture[100, 486 + 100].tolist() == [240, 246, 250] and picture[100, 486 + 300].tolist() == [189] * 3
    long, narrow = np.zeros((2000, 500), np.uint8), np.zeros((2000, 500), np.bool_)
    assert chip(np.zeros((2000, 500, 3), np.uint8), narrow, long, narrow).shape[0] <= 512
