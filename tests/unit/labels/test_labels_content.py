"""Labels go by the content of their scene, and by that of their own raster."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import select

from seaice_ops.classes.legend import THICK, WATER
from seaice_ops.errors import ObjectDamaged, ObjectMissing
from seaice_ops.labels.stage import LabelRequest, run
from seaice_ops.ledger.operations import keep_labels, labels_in_force, now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import LabelSet, Scene
from seaice_ops.pixels.mending import open_labels
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.quality import stage as quality
from seaice_ops.sensors.sentinel2 import TRUE_COLOUR
from seaice_ops.storage.rasters import Grid, cog_bytes, read_raster
from seaice_ops.storage.store import open_store


def flat(value: int) -> np.ndarray:
    return np.full((3, 40, 40), value, np.int16)


def only_row(settings) -> LabelSet:
    with open_ledger(settings).begin() as session:
        return session.scalars(select(LabelSet)).one()


def republished(settings, scene: Scene, value: int) -> None:
    """Other pixels under the scene's name and key, as after a withdrawal and a new publication."""
    grid = Grid(scene.crs, tuple(scene.transform), scene.width, scene.height)
    data = cog_bytes(flat(value), grid, nodata=UNOBSERVED, names=TRUE_COLOUR)
    with open_ledger(settings).begin() as session:
        session.get_one(Scene, scene.id).sha256 = open_store(settings.store).put(scene.key, data)


def test_a_republished_scene_is_labelled_anew(settings, add_scene) -> None:
    scene = add_scene(flat(0), bands=TRUE_COLOUR)
    run(settings, LabelRequest("colour"))
    dark = only_row(settings)
    assert dark.scene_sha256 == scene.sha256 and dark.shares["open_water"] == 1
    republished(settings, scene, 9000)
    version = settings.label_version("colour")
    with open_ledger(settings).begin() as session:
        assert not list(session.scalars(labels_in_force("colour", version)))
    assert run(settings, LabelRequest("colour")).done["labels"] == 1
    bright = only_row(settings)
    assert (read_raster(open_store(settings.store), bright.key)[0][0] == THICK).all()
    assert bright.shares["thick_ice"] == 1 and bright.sha256 != dark.sha256
    assert run(settings, LabelRequest("colour")).nothing_new


def test_the_same_content_again_keeps_its_labels(settings, add_scene) -> None:
    scene = add_scene(flat(0), bands=TRUE_COLOUR)
    run(settings, LabelRequest("colour"))
    first = only_row(settings)
    republished(settings, scene, 0)
    assert run(settings, LabelRequest("colour")).nothing_new
    assert only_row(settings).created_at == first.created_at


def test_of_two_who_label_the_same_content_the_first_wins(settings, add_scene) -> None:
    add_scene(flat(0), bands=TRUE_COLOUR)
    run(settings, LabelRequest("colour"))
    first = only_row(settings)
    again = LabelSet(**{c.name: getattr(first, c.name) for c in LabelSet.__table__.columns} | {"created_at": now()})
    with open_ledger(settings).begin() as session:
        assert not keep_labels(session, again)
    assert only_row(settings).created_at == first.created_at


@pytest.mark.parametrize("harm", ["cut", "other", "gone"])
def test_labels_whose_raster_is_damaged_or_gone_are_made_again(settings, add_scene, harm: str) -> None:
    add_scene(flat(0), bands=TRUE_COLOUR)
    run(settings, LabelRequest("colour"))
    row, store, ledger = only_row(settings), open_store(settings.store), open_ledger(settings)
    whole = store.get(row.key)
    if harm == "gone":
        store.delete(row.key)
    else:
        store.put(row.key, whole[:300] if harm == "cut" else whole + b"x")
    kind = ObjectMissing if harm == "gone" else ObjectDamaged
    with pytest.raises(kind, match="will make these labels again"), open_labels(ledger, store, row):
        pass
    assert run(settings, LabelRequest("colour")).done["labels"] == 1
    assert store.get(row.key) == whole
    with open_labels(ledger, store, only_row(settings)) as dataset:
        assert (dataset.read(1) == WATER).all()


def test_label_quality_tells_damaged_labels_and_goes_on(settings, add_scene) -> None:
    from datetime import UTC, datetime

    bad, good = (
        add_scene(flat(v), datetime(2026, 2, d, tzinfo=UTC), bands=TRUE_COLOUR) for d, v in ((1, 0), (2, 9000))
    )
    run(settings, LabelRequest("colour"))
    store = open_store(settings.store)
    with open_ledger(settings).begin() as session:
        row = session.scalars(select(LabelSet).where(LabelSet.scene_id == bad.id)).one()
    store.put(row.key, store.get(row.key)[:300])
    found, summary = quality.assess(settings, quality.QualityRequest())
    assert list(found.scenes) == [good.id]
    assert summary.failed[bad.id].startswith("damaged since it was written")
    assert run(settings, LabelRequest("colour")).items == [bad.id]
