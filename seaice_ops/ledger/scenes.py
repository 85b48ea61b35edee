"""The life of a scene. Only this module changes a scene's state.

Each change is one guarded statement: it changes the row only if the scene is still as the caller saw it. It follows a
move of `MOVES`, and its row in `scene_event` is written in the same transaction. Each operation takes an open session.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from seaice_ops.errors import ConfigError
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.tables import Scene, SceneEvent, SceneState

DISCOVERED, FETCHED, READY = SceneState.DISCOVERED, SceneState.FETCHED, SceneState.READY
FAILED, SUPERSEDED, WITHDRAWN = SceneState.FAILED, SceneState.SUPERSEDED, SceneState.WITHDRAWN

#: Every move that there is, and when it is made. None is a scene that the ledger does not know yet.
MOVES: Mapping[tuple[SceneState | None, SceneState], str] = MappingProxyType(
    {
        (None, DISCOVERED): "search finds a new product, the best of its acquisition",
        (None, FAILED): "search finds a product that cannot be used",
        (None, SUPERSEDED): "search finds a product of which a better version is known",
        (DISCOVERED, DISCOVERED): "the archive holds other files now, or its transfer failed and is tried again",
        (DISCOVERED, FETCHED): "fetch has all its files",
        (DISCOVERED, FAILED): "its files cannot be had, or are not what was published",
        (DISCOVERED, SUPERSEDED): "search finds a better version",
        (DISCOVERED, WITHDRAWN): "the archive withdraws it or a part of it",
        (FETCHED, DISCOVERED): "its fetched files are lost, or the archive holds other files now",
        (FETCHED, READY): "decode has stored its pixels",
        (FETCHED, FAILED): "its files cannot be decoded, or show nothing",
        (FETCHED, SUPERSEDED): "search finds a better version, or one became ready during its decoding",
        (FETCHED, WITHDRAWN): "the archive withdraws it or a part of it",
        (READY, DISCOVERED): "its stored pixels are missing or damaged",
        (READY, SUPERSEDED): "a better version becomes ready",
        (READY, FAILED): "its stored pixels cannot be labelled",
        (READY, WITHDRAWN): "the archive withdraws it or a part of it",
        (FAILED, DISCOVERED): "the archive holds other files now, or what was wrong with it is mended",
        (FAILED, FAILED): "it is still unusable, for another reason",
        (FAILED, SUPERSEDED): "what was wrong with it is mended, and a better version is known",
        (FAILED, WITHDRAWN): "the archive withdraws it or a part of it",
        (SUPERSEDED, DISCOVERED): "the better version failed or was withdrawn",
        (SUPERSEDED, SUPERSEDED): "another version is the best now, or the archive holds other files now",
        (SUPERSEDED, FAILED): "a merged scene failed because of this part",
        (SUPERSEDED, WITHDRAWN): "the archive withdraws it or a part of it",
        (WITHDRAWN, DISCOVERED): "the archive publishes it again",
        (WITHDRAWN, SUPERSEDED): "the archive publishes it again, and a better version is known",
    }
)

_CHUNK = 400


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """`values` in pieces of one statement's size: databases limit its parameters."""
    for first in range(0, len(values), _CHUNK):
        yield values[first : first + _CHUNK]


def get_scene(session: Session, scene_id: str) -> Scene:
    """The scene's row; raises `ConfigError` where the ledger does not know it."""
    scene = session.get(Scene, scene_id)
    if scene is None:
        raise ConfigError(f"the ledger knows no scene {scene_id}; search for it first")
    return scene


def add_scene(session: Session, scene: Scene, *, caller: str) -> bool:
    """Insert a new scene in its first state; False where its id is taken."""
    _require_move(None, scene.state)
    scene.moves = 1
    added = insert_new(session, scene)
    if added:
        session.add(_event(scene.id, 1, None, scene.state, scene.reason or _by(scene.superseded_by), caller))
    return added


def move_scene(
    session: Session,
    seen: Scene,
    after: SceneState,
    *,
    caller: str,
    reason: str | None = None,
    superseded_by: str | None = None,
    **values: Any,
) -> bool:
    """Bring a scene from the state in which it was `seen` to `after`, with other columns' `values`.

    False, and nothing changed, where it has moved since, even if it is in the same state again. `seen` may have been
    read in an earlier transaction. Raises `ValueError` for a move that is not in `MOVES`.
    """
    _require_move(seen.state, after)
    scene_id, before, number = seen.id, seen.state, seen.moves + 1
    fate = {"state": after, "reason": reason, "superseded_by": superseded_by, "moves": number, "updated_at": now()}
    guarded = update(Scene).where(Scene.id == scene_id, Scene.state == before, Scene.moves == number - 1)
    result: Any = session.execute(guarded.values(**fate, **values).execution_options(synchronize_session=False))
    if not result.rowcount:
        return False
    if seen in session:
        session.refresh(seen)
    why = reason or _by(superseded_by) or (f"sha256 {values['sha256']}" if after is READY else None)
    session.add(_event(scene_id, number, before, after, why, caller))
    return True


def fail_scene(session: Session, seen: Scene, reason: str, *, caller: str, part: str | None = None) -> bool:
    """Record that a scene cannot be used, and why: one more attempt, state `failed`. False where it has moved since.

    Where a merged scene fails because of one of its parts, that `part` fails with it, unless it is ready or withdrawn.
    """
    failed = _fail(session, seen, reason, caller)
    if failed and part is not None:
        row = session.scalar(select(Scene).where(Scene.id == part).with_for_update())
        if row is not None and row.state in (DISCOVERED, FETCHED, SUPERSEDED):
            _fail(session, row, reason, caller)
    return failed


def _fail(session: Session, seen: Scene, reason: str, caller: str) -> bool:
    return move_scene(session, seen, FAILED, caller=caller, reason=reason, attempts=Scene.attempts + 1)


def put_back_scene(session: Session, seen: Scene, reason: str, *, caller: str) -> bool:
    """Record that a scene's files could not be had this time, and why: one more attempt, for any next run to repeat."""
    fate: dict[str, Any] = {"attempts": Scene.attempts + 1, "claimed_by": None}
    return move_scene(session, seen, DISCOVERED, caller=caller, reason=reason, **fate)


def fetch_scene_again(session: Session, seen: Scene, reason: str, *, caller: str) -> bool:
    """Record that a ready scene's stored pixels are missing or damaged: the next search has it fetched again."""
    return move_scene(session, seen, DISCOVERED, caller=caller, reason=reason, claimed_by=None)


def has_moved(session: Session, seen: Scene) -> bool:
    """Whether the scene's state has changed since it was `seen`, even if it is in the same state again."""
    row = session.execute(select(Scene.state, Scene.moves).where(Scene.id == seen.id)).one()
    return (row.state, row.moves) != (seen.state, seen.moves)


def claim_scenes(session: Session, scene_ids: Sequence[str], caller: str) -> None:
    """Note that the run `caller` has these scenes in hand from now on."""
    for some in chunks(scene_ids):
        session.execute(update(Scene).where(Scene.id.in_(some)).values(claimed_by=caller, updated_at=now()))


def release_scenes(session: Session, scene_ids: Sequence[str]) -> None:
    """Note that the run that had these scenes in hand goes on with them no more: any next run may take them up."""
    for some in chunks(scene_ids):
        session.execute(update(Scene).where(Scene.id.in_(some)).values(claimed_by=None))


def forgive_scenes(session: Session, scene_ids: Sequence[str]) -> None:
    """Forget how often these failed scenes were tried: the next search that finds them has them tried again."""
    for some in chunks(scene_ids):
        session.execute(update(Scene).where(Scene.id.in_(some), Scene.state == FAILED).values(attempts=0))


def _require_move(before: SceneState | None, after: SceneState) -> None:
    if (before, after) not in MOVES:
        raise ValueError(f"a scene does not go from {before or 'nothing'} to {after}")


def _by(scene_id: str | None) -> str | None:
    return scene_id and f"by {scene_id}"


def _event(
    scene_id: str, number: int, before: SceneState | None, after: SceneState, reason: str | None, caller: str
) -> SceneEvent:
    return SceneEvent(
        scene_id=scene_id, number=number, at=now(), before=before, after=after, reason=reason, caller=caller
    )
