"""The fetch stage: bring the files of discovered scenes into the inbox, checked and complete."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seaice_ops.archive.product import Product, from_row
from seaice_ops.archive.source import Archive, open_archive
from seaice_ops.archive.transport.transfer import is_complete
from seaice_ops.errors import BadTransfer, ConfigError, CorruptPart, CorruptProduct, TransientError, sparing_data
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.ledger.scenes import fail_scene, get_scene, has_moved, move_scene, put_back_scene, release_scenes
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary, each_alone

#: So many runs try to bring a scene's files before a wrong or missing file of a service fails the scene.
TRIES = 3


@dataclass(frozen=True)
class FetchRequest:
    """The scenes to fetch, as a search's `Summary.items` names them."""

    scene_ids: tuple[str, ...]


def run(settings: Settings, request: FetchRequest, *, caller: str = "") -> Summary:
    """Bring the files of each scene into its inbox; the scene is then `fetched`.

    Files that are there already and right are not copied again. A scene whose files are missing or not what was
    published fails with its reason; over a network only the third run in which that is so fails it. Raises
    `ConfigError` for an unknown scene, and where the inbox cannot be written. Where the archive does not answer for a
    scene, or this machine lacks memory or room, that scene stays as it is, the others have their turn, and
    `TransientError` is raised.
    """
    with recorded(settings, "fetch", caller) as stage:
        archive, inbox = open_archive(settings), settings.inbox("")
        each_alone(request.scene_ids, lambda scene_id: _take(stage, archive, scene_id, inbox), stage.summary)
        return stage.summary


def _take(stage: StageRun, archive: Archive, scene_id: str, inbox: Path) -> None:
    with stage.ledger.begin() as session:  # now: another worker may have moved it since the run began
        scene = get_scene(session, scene_id)
    if scene.state in (SceneState.DISCOVERED, SceneState.FETCHED):
        _fetch(stage, archive, scene, inbox / scene_id)
    elif scene.state is SceneState.FAILED:
        stage.summary.skipped[scene_id] = f"failed before: {scene.reason}"
    else:
        stage.summary.unchanged["scenes"] += 1


def _fetch(stage: StageRun, archive: Archive, scene: Scene, inbox: Path) -> None:
    summary, paths = stage.summary, list[Path]()
    try:
        with sparing_data(scene.id):
            for product, folder in _products(stage.ledger, scene, inbox):
                paths += _bring(archive, product, folder)
    except CorruptPart as error:
        if _set_aside(stage.ledger, scene, error, stage.caller):
            summary.failed[scene.id] = str(error)
        return
    except (TransientError, ConfigError):
        with stage.ledger.begin() as session:
            if has_moved(session, scene):  # another worker has brought it on and removed the inbox meanwhile
                summary.unchanged["scenes"] += 1
                return
            release_scenes(session, [scene.id])
        raise
    summary.bytes_in += sum(path.stat().st_size for path in paths)
    moved = scene.state is SceneState.DISCOVERED and _fetched(stage.ledger, scene, stage.caller)
    (summary.done if moved or paths else summary.unchanged)["scenes"] += 1


def _fetched(ledger: Ledger, scene: Scene, caller: str) -> bool:
    with ledger.begin() as session:
        return move_scene(session, scene, SceneState.FETCHED, caller=caller)


def _set_aside(ledger: Ledger, scene: Scene, error: CorruptPart, caller: str) -> bool:
    """Fail the scene, or leave a bad transfer to the next run while there are tries left."""
    with ledger.begin() as session:
        if isinstance(error.__cause__, BadTransfer) and scene.attempts + 1 < TRIES:
            return put_back_scene(session, scene, str(error), caller=caller)
        return fail_scene(session, scene, str(error), caller=caller, part=error.part)


def _products(ledger: Ledger, scene: Scene, inbox: Path) -> list[tuple[Product, Path]]:
    """Each product to bring and its folder: the scene's own, or the parts of a merged one."""
    product = from_row(scene)
    if not product.parts:
        return [(product, inbox)]
    with ledger.begin() as session:
        return [(from_row(get_scene(session, part)), inbox / part) for part in product.parts]


def _bring(archive: Archive, product: Product, inbox: Path) -> list[Path]:
    """Bring the files of `product` that are not complete in `inbox`; returns their paths. Raises `CorruptPart`."""
    missing = [file for file in product.files if not is_complete(file, inbox / file.path)]
    try:
        return archive.fetch(product, missing, inbox) if missing else []
    except CorruptProduct as error:
        raise CorruptPart(str(error), part=product.id) from error
