"""The reasons of the account: whatever the facts are there is one, and the right one where that is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from seaice_ops.ledger.coverage import joined
from seaice_ops.ledger.tables import SceneState
from seaice_ops.ops.account.facts import Acquisition, Circumstances, Coverage, Made, Offer, Version
from seaice_ops.ops.account.reasons import Reason
from seaice_ops.ops.account.sample import PERIOD, is_due
from seaice_ops.ops.account.table import STEPS, tally
from seaice_ops.ops.account.why import account_for, covered

AT = datetime(2026, 2, 20, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = Circumstances(AT, grace=36 * HOUR, overlap=48 * HOUR)

moments = st.integers(-40 * 24, 48).map(lambda hours: AT + hours * HOUR)  # some are yet to come
versions = st.builds(
    Version,
    id=st.sampled_from(["a", "b", "c"]),
    state=st.sampled_from(SceneState),
    since=moments,
    touched=moments,
    reason=st.sampled_from([None, "night: dark", "no data: none", "cut off\x1b"]),
    before=st.sampled_from([None, *SceneState]),
)
made = st.builds(
    Made,
    labelled=st.booleans(),
    encoded=st.booleans(),
    mapped=st.booleans(),
    obstacle=st.sampled_from([None, (Reason.DATA, "another grid")]),
    lost=st.sampled_from(["", "class.tif: it is missing"]),
    lost_part=st.sampled_from(["scene", "map"]),
    ready_to_map=st.none() | moments,
)
acquisitions = st.builds(
    Acquisition,
    identity=st.uuids().map(str),
    tile=st.sampled_from(["01CCV", "60CWS"]),
    sensed_at=moments,
    offered=st.none() | st.builds(Offer, st.sampled_from(["a", "b", "new"]), moments),
    versions=st.lists(versions, max_size=3).map(tuple),
    wanted=st.sampled_from([None, "a", "b", "new"]),
    made=made,
    gone=st.sampled_from(["", "Duplicated"]),
).filter(lambda each: each.offered or each.versions)
coverages = st.builds(
    Coverage,
    until=st.none() | moments,
    since=st.none() | moments,
    spans=st.lists(st.tuples(moments, moments, moments), max_size=2).map(tuple),
    known=st.none() | st.tuples(moments, moments),
)
standing = st.builds(
    Circumstances,
    at=st.just(AT),
    grace=st.just(36 * HOUR),
    overlap=st.sampled_from([timedelta(), 48 * HOUR]),
    asked=st.booleans(),
    lists_withdrawals=st.booleans(),
    outage=st.sampled_from(["", "cdse has not answered"]),
    quota=st.sampled_from(["", "12 TB"]),
    resumed=st.none() | moments,
    queue=st.sampled_from([timedelta(), 3 * DAY]),
    model=st.sampled_from([None, "unet/1"]),
)


@given(st.lists(acquisitions, max_size=6), coverages, standing)
def test_every_difference_has_one_reason_and_nothing_else_has(
    found: list[Acquisition], tile: Coverage, now: Circumstances
) -> None:
    lines = [line for each in found if (line := account_for(each, tile, now))]
    for line in lines:
        whole = all(getattr(line, step) for step in STEPS)
        assert line.reason is not None or whole
        if whole and line.reason is not None:  # what is held is not what is offered, or not what was written
            assert line.reason in (Reason.SUPERSEDED, Reason.UNEXPLAINED, Reason.WITHDRAWN)
        assert line.reason is None or (line.words.isprintable() and line.words)
        held_up = line.reason in (Reason.OUTAGE, Reason.QUOTA)
        assert not held_up or now.outage or now.quota
    table, total = tally(lines)
    for step in STEPS:
        slow = sum(1 for line in lines if getattr(line, step))
        assert total.steps[step] == slow == sum(c.steps[step] for days in table.values() for c in days.values())
    assert sum(total.reasons.values()) == sum(1 for line in lines if line.reason)
    dropped = len(found) - len(lines)
    assert dropped <= sum(1 for each in found if each.ready is None and not (now.asked and each.offered))


def test_parts_without_the_scene_that_they_make_are_told() -> None:
    parts = tuple(Version(name, SceneState.SUPERSEDED, AT - 9 * DAY, AT - 9 * DAY) for name in "ab")
    for asked in (True, False):
        now = Circumstances(AT, 36 * HOUR, asked=asked)
        line = account_for(Acquisition("i", "01CCV", AT - 10 * DAY, None, parts, "a_with_b"), Coverage(), now)
        assert line and line.reason is Reason.UNEXPLAINED and "not the scene" in line.words


def test_what_searches_must_have_found() -> None:
    followed = Coverage(until=AT - HOUR, since=AT - 20 * DAY)
    for published, must in ((-21, False), (-19, True), (-3, True), (-1.9, False), (-0.01, False)):
        assert covered(followed, AT + published * DAY, AT - 30 * DAY, NOW) is must, published
    # Before a note was kept of it, a tile was followed from its oldest product on.
    older = Coverage(until=AT - HOUR, known=(AT - 10 * DAY, AT - DAY))
    assert covered(older, AT - 9 * DAY, AT - 9 * DAY, NOW) and not covered(older, AT - 9 * DAY, AT - 11 * DAY, NOW)
    # A backfill searched what was published until two days before it.
    span = Coverage(spans=((AT - 30 * DAY, AT - 20 * DAY, AT - 5 * DAY),))
    assert covered(span, AT - 19 * DAY, AT - 25 * DAY, NOW)
    assert not covered(span, AT - 6 * DAY, AT - 25 * DAY, NOW) and not covered(span, AT - 19 * DAY, AT - 20 * DAY, NOW)
    # A watermark that is yet to come is not believed.
    assert not covered(Coverage(until=AT + DAY, since=AT - 20 * DAY), AT - 9 * DAY, AT - 9 * DAY, NOW)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6), st.integers(0, 9)), max_size=6))
def test_joined_spans_cover_the_same_times_and_none_of_them_touch(spans: list[tuple[int, int, int]]) -> None:
    given_ = [(AT + a * DAY, AT + (a + n) * DAY, AT + w * HOUR) for a, n, w in spans]
    result = joined(given_)
    for hour in range(0, 28 * 24, 12):
        moment = AT + hour * HOUR
        inside = [when for start, end, when in given_ if start <= moment < end]
        found = [when for start, end, when in result if start <= moment < end]
        assert len(found) == bool(inside) and (not inside or found[0] <= min(inside))
    assert all(first[1] < second[0] for first, second in pairwise(result))


@given(st.text(min_size=1), st.integers(0, 10**5))
def test_each_map_is_compared_once_in_any_thirty_days(map_id: str, offset: int) -> None:
    first = datetime(2020, 1, 1).date() + timedelta(days=offset)
    assert sum(is_due(map_id, first + n * DAY) for n in range(PERIOD)) == 1
