"""The fetch stage: the files that discovered scenes need, checked and complete in the inbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from seaice_ops.archive.product import Product, from_row
from seaice_ops.archive.source import Archive, open_archive
from seaice_ops.archive.transport.transfer import is_complete
from seaice_ops.errors import BadTransfer, CorruptPart, CorruptProduct, TransientError
from seaice_ops.ledger.operations import fail_scene, get_scene, move_scene, put_back_scene, release_scene
from seaice_ops.ledger.runs import recorded
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

#: Runs that try to bring a scene's files before a service's wrong or missing ones are believed.
TRIES = 3


@dataclass(frozen=True)
class FetchRequest:
    """The scenes to fetch, as a search's `Summary.items` names them."""

    scene_ids: tuple[str, ...]


def run(settings: Settings, request: FetchRequest, *, caller: str = "") -> Summary:
    """Bring the files of each scene into its inbox; the scene is then `fetched`.

    Files that are there already and right are not copied again. A scene whose files are missing or not what was
    published fails with its reason, and the others go on; over a network only the third run in which that is so fails
    it. Raises `ConfigError` for an unknown scene, and where the inbox cannot be written.
    """
    with recorded(settings, "fetch", caller) as stage:
        summary = stage.summary
        archive = open_archive(settings)
        for scene in _scenes(settings, request.scene_ids):
            if scene.state in (SceneState.DISCOVERED, SceneState.FETCHED):
                _fetch(settings, archive, scene, summary)
            elif scene.state is SceneState.FAILED:
                summary.skipped[scene.id] = f"failed before: {scene.reason}"
            else:
                summary.unchanged["scenes"] += 1
    return summary


def _scenes(settings: Settings, scene_ids: Iterable[str]) -> Iterator[Scene]:
    """Each scene as it is when its turn comes: another worker may have changed it meanwhile."""
    for scene_id in scene_ids:
        with open_ledger(settings).begin() as session:
            scene = get_scene(session, scene_id)
        yield scene


def _fetch(settings: Settings, archive: Archive, scene: Scene, summary: Summary) -> None:
    paths: list[Path] = []
    try:
        for product, inbox in _products(settings, scene):
            paths += _bring(archive, product, inbox)
    except CorruptPart as error:
        if _set_aside(settings, scene, error):
            summary.failed[scene.id] = str(error)
        return
    except TransientError:
        with open_ledger(settings).begin() as session:
            release_scene(session, scene.id)
        raise
    summary.bytes_in += sum(path.stat().st_size for path in paths)
    with open_ledger(settings).begin() as session:
        moved = move_scene(session, scene.id, (SceneState.DISCOVERED,), SceneState.FETCHED)
    (summary.done if moved or paths else summary.unchanged)["scenes"] += 1


def _set_aside(settings: Settings, scene: Scene, error: CorruptPart) -> bool:
    """Fail the scene, or leave a bad transfer to the next run while there are tries left."""
    with open_ledger(settings).begin() as session:
        if isinstance(error.__cause__, BadTransfer) and scene.attempts + 1 < TRIES:
            return put_back_scene(session, scene.id, str(error))
        return fail_scene(session, scene.id, str(error), error.part)


def _products(settings: Settings, scene: Scene) -> list[tuple[Product, Path]]:
    """What is to be brought, and into which folder: the product, or each part of a merged one into its own."""
    product, inbox = from_row(scene), settings.inbox(scene.id)
    if not product.parts:
        return [(product, inbox)]
    with open_ledger(settings).begin() as session:
        return [(from_row(get_scene(session, part)), inbox / part) for part in product.parts]


def _bring(archive: Archive, product: Product, inbox: Path) -> list[Path]:
    """The files of `product` that were not complete in `inbox` and now are; raises `CorruptPart` of it."""
    missing = [file for file in product.files if not is_complete(file, inbox / file.path)]
    try:
        return archive.fetch(product, missing, inbox) if missing else []
    except CorruptProduct as error:
        raise CorruptPart(str(error), part=product.id) from error
