"""Why an acquisition is not a published map: pure decisions from its facts. No ledger, no archive, no store.

Healthy work is never called broken: each step has the time that the settings promise, counted from when the work could
last go on (after an outage, behind a queue). A time that is yet to come, from a clock that was ahead, is no age.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from seaice_ops.errors import plain
from seaice_ops.ledger.tables import SceneState
from seaice_ops.ops.account.facts import Acquisition, Circumstances, Coverage, Line, Version
from seaice_ops.ops.account.reasons import Reason

#: How the reasons of scenes that show nothing begin (`scenes.decode`, `scenes.raster`).
NIGHT, EMPTY = "night:", "no data:"

#: A scene claimed so lately is in work now.
IN_HAND = timedelta(hours=1)

Why = tuple[Reason, str, datetime | None, bool]
"""The reason, its words, since when, and whether ingesting again may help."""

_FILES = (None, SceneState.DISCOVERED)
_WORDS = 300


def covered(tile: Coverage, published: datetime, sensed: datetime, now: Circumstances) -> bool:
    """True where a search that ended must have found what was published and sensed at these times."""
    # What shows up later than its time of publication is found by the next search, which reaches back so far.
    found_by = now.overlap
    if any(start <= sensed < end and published <= at - found_by for start, end, at in tile.spans):
        return True
    if tile.until and tile.until <= now.at:
        followed = published >= tile.since if tile.since else bool(tile.known and tile.known[0] <= sensed)
        return followed and published <= tile.until - found_by
    if tile.until or tile.spans or not tile.known:
        return False
    return tile.known[0] <= sensed <= tile.known[1] and published <= now.at - found_by


def account_for(found: Acquisition, tile: Coverage, now: Circumstances) -> Line | None:
    """The line of one acquisition; None where there is nothing to account for: not offered, and nothing made of it."""
    made, held = found.made, found.ready is not None
    why = _why(found, tile, now)
    expected = found.offered is not None if now.asked else _known(found)
    if not (expected or held or (why and why[0] in _KEPT)):
        return None
    known = found.versions[-1].id if found.versions else found.identity
    reason, words, since, ingest = why or (None, "", None, False)
    product = found.wanted or (found.ready.id if found.ready else found.offered.id if found.offered else known)
    return Line(
        tile=found.tile,
        day=found.sensed_at.astimezone(UTC).date(),
        identity=found.identity,
        product=product,
        expected=expected,
        held=held,
        labelled=held and made.labelled,
        encoded=held and made.encoded,
        mapped=held and made.mapped,
        published=held and made.mapped and made.lost_part != "map",
        reason=reason,
        words=words,
        since=since,
        ingest=ingest,
    )


#: Reasons that are told although the archive does not offer the acquisition and nothing is held.
_KEPT = (Reason.WITHDRAWN, Reason.UNEXPLAINED, Reason.NOT_YET)


def _known(found: Acquisition) -> bool:
    gone = (SceneState.WITHDRAWN, SceneState.SUPERSEDED)
    return any(version.state not in gone for version in found.versions)


def _why(found: Acquisition, tile: Coverage, now: Circumstances) -> Why | None:
    if found.gone:
        return Reason.WITHDRAWN, f"{plain(found.gone)}; the next search takes note", None, False
    if found.ready is None:
        return _ingest(found, tile, now) if found.wanted or not found.versions else _settled(found)
    if now.asked and found.offered is None:
        return _vanished(found, now)
    if found.made.lost:
        return Reason.UNEXPLAINED, found.made.lost, None, found.made.lost_part == "scene"
    return _made(found, found.ready, now) or _better(found, tile, now)


def _ingest(found: Acquisition, tile: Coverage, now: Circumstances) -> Why:
    """It is to be ingested, or the ledger does not know it at all."""
    version = next((version for version in found.versions if version.id == found.wanted), None)
    if version is None:
        return _unknown(found, tile, now)
    if version.state not in (SceneState.DISCOVERED, SceneState.FETCHED):
        return _again(version, now)
    by = f", last in the hands of {version.claimed_by}" if version.claimed_by else ""
    put_back = f" ({plain(version.reason)[:_WORDS]})" if version.reason else ""
    stage = "fetch" if version.state is SceneState.DISCOVERED else "decode"
    stands, ended = f"{version.state} since {_stamp(version.since)}{put_back}{by}", _ended(now, stage)
    if version.state is SceneState.DISCOVERED and (held_up := _held_up(now)):
        return *held_up, version.since, False
    since = max(version.since, now.resumed or version.since)
    if now.at - since <= now.grace + now.queue or now.at - version.touched <= IN_HAND:
        return Reason.NOT_YET, stands + ended, version.since, False
    return Reason.UNEXPLAINED, stands + (ended or "; nothing says why it goes no further"), version.since, True


def _again(version: Version, now: Circumstances) -> Why:
    """The ledger has it as failed, superseded or withdrawn, and a search that finds it has it ingested after all."""
    stands = f"{version.state} since {_stamp(version.since)}"
    if now.at - max(version.since, now.resumed or version.since) <= now.grace:
        return Reason.NOT_YET, f"{stands}; the next search takes it up again", version.since, True
    if version.state is SceneState.FAILED:
        return _failed(version)
    return Reason.UNEXPLAINED, f"{stands}, and it is the best version that is left", version.since, True


def _unknown(found: Acquisition, tile: Coverage, now: Circumstances) -> Why:
    """The ledger does not know the product that is wanted."""
    if found.offered is None:
        words = "the ledger holds parts of it, and not the scene that they make"
        return Reason.UNEXPLAINED, words, None, True
    published = found.offered.published_at
    said = f"published {_stamp(published)}"
    if covered(tile, published, found.sensed_at, now):
        words = f"{said}; a search that covers it has ended, and the ledger does not know it"
        return Reason.UNEXPLAINED, words, published, True
    if held_up := _held_up(now):
        return *held_up, published, True
    trusted = tile.until if tile.until and tile.until <= now.at else None
    if not tile.until or (trusted and published <= trusted - now.overlap):
        return Reason.NOT_YET, f"{said}; no search of its tile covers that; a backfill brings it", None, True
    reached = f"the last search reached {_stamp(trusted)}" if trusted else "no search is known to have reached it"
    if now.at - max(published, now.resumed or published) <= now.grace:
        return Reason.NOT_YET, f"{said}; {reached}, the next one looks for it", published, True
    words = f"{said}; {reached}: does seaice_ingest run?{_ended(now, 'search')}"
    return Reason.UNEXPLAINED, words, published, True


def _held_up(now: Circumstances) -> tuple[Reason, str] | None:
    if now.outage:
        return Reason.OUTAGE, now.outage
    return (Reason.QUOTA, now.quota) if now.quota else None


def _settled(found: Acquisition) -> Why:
    """No version is ready, and none is to be ingested."""
    failed = [version for version in found.versions if version.state is SceneState.FAILED]
    if failed:
        return _failed(max(failed, key=lambda version: (version.since, version.id)))
    if all(version.state is SceneState.WITHDRAWN for version in found.versions):
        last = max(found.versions, key=lambda version: (version.since, version.id))
        return Reason.WITHDRAWN, plain(last.reason or "no cause was given")[:_WORDS], last.since, False
    if any(version.state is SceneState.WITHDRAWN for version in found.versions):
        words = "one version was withdrawn, the others are superseded, and none is to be ingested"
        return Reason.WITHDRAWN, words, None, True
    return Reason.UNEXPLAINED, "all its versions are superseded, and none is ready", found.versions[0].since, True


def _failed(version: Version) -> Why:
    words = plain(version.reason or "no reason was kept")
    if words.startswith(NIGHT):
        return Reason.LOW_SUN, words, version.since, False
    if words.startswith(EMPTY):
        return Reason.NO_SEA, words, version.since, False
    return Reason.FILE if version.before in _FILES else Reason.DATA, words[:_WORDS], version.since, True


def _vanished(found: Acquisition, now: Circumstances) -> Why:
    words = "the catalogue does not offer it any more"
    if now.lists_withdrawals:
        return Reason.UNEXPLAINED, f"{words}, and it is not in the archive's list of withdrawn products", None, False
    return Reason.WITHDRAWN, f"{words}; this archive need not say what it withdraws", None, False


def _made(found: Acquisition, ready: Version, now: Circumstances) -> Why | None:
    """What is missing after the scene is ready."""
    made = found.made
    if not made.labelled:
        words = f"ready since {_stamp(ready.since)}{_ended(now, 'label')}"
        return Reason.LABELS, words, ready.since, False
    if made.mapped:
        return None
    if now.model and not made.encoded:
        return Reason.MODEL, f"not yet encoded by {now.model}{_ended(now, 'encode')}", ready.since, False
    since = max(ready.since, made.ready_to_map or ready.since)
    if made.obstacle:
        return *made.obstacle, since, False
    due, ended = f"its map has been due since {_stamp(since)}", _ended(now, "publish")
    if now.at - since <= now.grace:
        return Reason.NOT_YET, due + ended, since, False
    return Reason.UNEXPLAINED, due + (ended or "; nothing says why it is not made"), since, False


def _better(found: Acquisition, tile: Coverage, now: Circumstances) -> Why | None:
    """A map is published, and the archive offers a better version."""
    if found.wanted is None:
        return None
    reason, words, since, ingest = _ingest(found, tile, now)
    if reason is Reason.UNEXPLAINED:
        return reason, f"a better version: {words}", since, ingest
    return Reason.SUPERSEDED, f"a better version is on its way: {reason.value}, {words}", since, ingest


def _ended(now: Circumstances, stage: str) -> str:
    """How the newest run of `stage` ended, where that was an error."""
    error = now.errors.get(stage)
    return f"; the last run of {stage} ended with {plain(error)[:_WORDS]}" if error else ""


def _stamp(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}" if moment else "never"
