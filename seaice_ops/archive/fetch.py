"""The fetch stage: the files that discovered scenes need, checked and complete in the inbox."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seaice_ops.archive.product import Product, ProductFile
from seaice_ops.archive.source import Archive, open_archive
from seaice_ops.archive.transfer import is_complete
from seaice_ops.errors import CorruptProduct
from seaice_ops.ledger.operations import fail_scene, get_scene, move_scene, recorded
from seaice_ops.ledger.session import begin
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FetchRequest:
    """The scenes to fetch, as a search's `Summary.items` names them."""

    scene_ids: tuple[str, ...]


def run(settings: Settings, request: FetchRequest) -> Summary:
    """Bring the files of each scene into its inbox; the scene is then `fetched`.

    Files that are there already and right are not copied again. A scene whose files are missing or not what was
    published fails with its reason, and the others go on. Raises `ConfigError` for an unknown scene, and where the
    inbox cannot be written.
    """
    with recorded(settings, "fetch") as summary:
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
        with begin(settings) as session:
            scene = get_scene(session, scene_id)
        yield scene


def _fetch(settings: Settings, archive: Archive, scene: Scene, summary: Summary) -> None:
    inbox, product = settings.inbox(scene.id), _product(scene)
    missing = [file for file in product.files if not is_complete(file, inbox / file.path)]
    try:
        paths = archive.fetch(product, missing, inbox)
    except CorruptProduct as error:
        with begin(settings) as session:
            failed = fail_scene(session, scene.id, str(error))
        if failed:
            summary.failed[scene.id] = str(error)
            log.warning("%s: %s", scene.id, error)
        return
    summary.bytes_in += sum(path.stat().st_size for path in paths)
    with begin(settings) as session:
        moved = move_scene(session, scene.id, (SceneState.DISCOVERED,), SceneState.FETCHED)
    (summary.done if moved or paths else summary.unchanged)["scenes"] += 1


def _product(scene: Scene) -> Product:
    """The product as the search found it, from its row."""
    details = scene.details or {}
    return Product(
        id=scene.id,
        kind=details["kind"],
        platform=scene.platform,
        tile=scene.tile,
        sensed_at=scene.sensed_at,
        relative_orbit=scene.relative_orbit,
        baseline=scene.baseline,
        generated_at=scene.generated_at,
        published_at=scene.published_at,
        href=scene.href,
        files=tuple(ProductFile(**file) for file in details["files"]),
    )
