"""Chips: every labelled pixel is in one, nothing that was not observed is learnt from, thinning is even."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.training_cases import DAY, add_labelled, add_labels, small, snapshot
from seaice_ops.errors import ConfigError, ExpectedSkip, ObjectDamaged, TransientError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import LabelSet, Scene, SceneState
from seaice_ops.pixels import imagery, radiometry
from seaice_ops.sensors.sentinel2 import BANDS, TRUE_COLOUR
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import read_raster
from seaice_ops.storage.store import open_store
from seaice_ops.training.data import chips


@given(st.integers(1, 3000), st.sampled_from([32, 64, 256]))
def test_starts_cover_an_edge_with_as_few_chips_as_can(size: int, chip: int) -> None:
    begins = chips.starts(size, chip)
    assert len(begins) == -(-size // chip) and begins[0] == 0
    assert begins[-1] + chip == max(size, chip)
    assert all(0 < b - a <= chip for a, b in pairwise(begins))


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(1, 200))
def test_quotas_keep_as_much_as_allowed_and_share_it_evenly(counts: list[int], limit: int) -> None:
    kept = chips.quotas(counts, limit)
    assert sum(kept) == min(limit, sum(counts))
    assert all(0 <= k <= c for k, c in zip(kept, counts, strict=True))
    cut = [k for k, c in zip(kept, counts, strict=True) if k < c]
    assert not cut or max(kept) <= min(cut) + 1


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 100))
def test_thin_picks_different_corners_in_order(counts: list[int], limit: int) -> None:
    scenes = [[(i, 0) for i in range(count)] for count in counts]
    for all_of, some in zip(scenes, chips.thin(scenes, limit), strict=True):
        assert sorted(set(some)) == some and set(some) <= set(all_of)


@given(st.integers(0, 3), st.integers(0, 99))
def test_augmentation_moves_pixels_and_targets_alike(epoch: int, index: int) -> None:
    targets = np.arange(16, dtype=np.uint8).reshape(4, 4)
    pixels = np.repeat(targets[..., None], 4, axis=-1)
    a, b = chips.augment(pixels, targets, 5, epoch, index)
    assert np.array_equal(a[..., 0], b) and sorted(b.ravel()) == list(range(16))
    assert np.array_equal(b, chips.augment(pixels, targets, 5, epoch, index)[1])


def test_all_eight_orientations_occur_equally_often() -> None:
    targets = np.arange(4, dtype=np.uint8).reshape(2, 2)
    seen = [chips.augment(np.zeros((2, 2, 4), np.uint8), targets, 1, 0, i)[1].tobytes() for i in range(1600)]
    counts = [seen.count(kind) for kind in set(seen)]
    assert len(counts) == 8 and min(counts) > 150


@pytest.mark.parametrize("bands", [TRUE_COLOUR, BANDS])
def test_chips_are_the_scenes_pixels(
    settings: Settings, add_scene: Callable[..., Scene], bands: tuple[str, ...]
) -> None:
    settings = small(settings, chip=64, bands=bands)
    for day in range(3):
        add_labelled(settings, add_scene, day, size=160)
    manifest, store = snapshot(settings), open_store(settings.store)
    cut = chips.build(open_ledger(settings), open_store(settings.store), manifest, settings.work / "chips")
    assert len(cut) == len(cut.origins) == 2 * 9
    assert cut.counts == [int((cut.targets == i).sum()) for i in range(3)]
    for i, (scene_id, row, column) in enumerate(cut.origins):
        with open_ledger(settings).begin() as session:
            scene = session.get_one(Scene, scene_id)
            labels = session.query(LabelSet).filter_by(scene_id=scene_id).one()
        window = slice(row, row + 64), slice(column, column + 64)
        values, valid, _ = imagery.read_bands(store, scene, bands)
        scale = 255.0 / (settings.scenes.ceiling * radiometry.SCALE)
        seen = np.rint(values * scale).clip(0, 255) * valid
        codes = read_raster(store, labels.key)[0][0][window]
        assert np.array_equal(cut.pixels[i, ..., :-1], np.moveaxis(seen, 0, -1)[window])
        assert np.array_equal(cut.pixels[i, ..., -1] > 0, valid[window])
        assert np.array_equal(cut.targets[i], np.where(np.isin(codes, (1, 2, 3)), codes - 1, 255))
    assert {origin[0] for origin in cut.origins} == set(manifest.train)


def test_codes_that_are_no_class_and_unobserved_pixels_are_ignored(
    settings: Settings, add_scene: Callable[..., Scene]
) -> None:
    settings = small(settings, chip=64)
    labels = np.full((40, 100), 2, np.uint8)
    labels[:10, :20] = np.repeat([205, 210, 254, 255], 5)
    reflectance = np.full((5, 40, 100), 1500, np.int16)
    reflectance[2, 30:, :50] = radiometry.UNOBSERVED
    for day in range(2):
        add_labels(settings, add_scene(reflectance, sensed_at=DAY.replace(day=1 + day)), labels)
    add_labelled(settings, add_scene, 5)
    manifest = snapshot(settings)
    cut = chips.build(open_ledger(settings), open_store(settings.store), manifest, settings.work / "chips")
    first = [i for i, origin in enumerate(cut.origins) if origin[0] == manifest.train[0]]
    assert [cut.origins[i][1:] for i in first] == [[0, 0], [0, 36]]
    target, pixels = cut.targets[first[0]], cut.pixels[first[0]]
    assert (target[:10, :20] == 255).all() and (target[10:30][:, 20:] == 1).all()
    assert (target[30:40, :50] == 255).all() and not pixels[30:40, :50].any()
    assert (target[40:] == 255).all() and not pixels[40:].any()  # the scene is lower than a chip


def test_chips_without_a_label_are_dropped_and_the_rest_thinned(
    settings: Settings, add_scene: Callable[..., Scene]
) -> None:
    settings = small(settings, max_chips=5)
    empty = np.full((128, 128), 205, np.uint8)
    empty[70, 70] = 3
    scene = add_scene(np.full((5, 128, 128), 3000, np.int16), sensed_at=DAY)
    add_labels(settings, scene, empty)
    for day in (1, 2):
        add_labelled(settings, add_scene, day)
    cut = chips.build(open_ledger(settings), open_store(settings.store), snapshot(settings), settings.work / "chips")
    origins = [tuple(origin) for origin in cut.origins]
    assert len(origins) == 5 and [o for o in origins if o[0] == scene.id] == [(scene.id, 64, 64)]


def test_scenes_withdrawn_since_the_snapshot_are_not_learnt_from(
    settings: Settings, add_scene: Callable[..., Scene]
) -> None:
    settings = small(settings)
    rows = [add_labelled(settings, add_scene, day) for day in range(4)]
    manifest = snapshot(settings)
    with open_ledger(settings).begin() as session:
        session.get_one(Scene, rows[0].id).state = SceneState.WITHDRAWN
    assert rows[0].id in manifest.train
    with pytest.raises(ExpectedSkip, match=f"{rows[0].id}: withdrawn or published again since"):
        chips.build(open_ledger(settings), open_store(settings.store), manifest, settings.work / "chips")
    assert rows[0].id not in snapshot(settings).train


def test_built_once(settings: Settings, add_scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = small(settings)
    for day in range(3):
        add_labelled(settings, add_scene, day)
    manifest, folder = snapshot(settings), settings.work / "chips"
    first = chips.build(open_ledger(settings), open_store(settings.store), manifest, folder)
    monkeypatch.setattr(chips, "_write", None)
    assert np.array_equal(
        chips.build(open_ledger(settings), open_store(settings.store), manifest, folder).pixels, first.pixels
    )


def test_nothing_to_learn_from(settings: Settings, add_scene: Callable[..., Scene]) -> None:
    settings = small(settings)
    for day in range(3):
        scene = add_scene(np.full((5, 64, 64), 3000, np.int16), sensed_at=DAY.replace(day=1 + day))
        add_labels(settings, scene, np.full((64, 64), 205, np.uint8))
    with pytest.raises(ConfigError, match="none of the 2 training scenes"):
        chips.build(open_ledger(settings), open_store(settings.store), snapshot(settings), settings.work / "chips")


@pytest.mark.parametrize("at", [0.0, 0.3, 0.7, 0.99])
def test_labels_that_are_not_as_they_were_written_are_not_learnt_from(
    settings: Settings, add_scene: Callable[..., Scene], at: float
) -> None:
    settings = small(settings)
    for day in range(3):
        add_labelled(settings, add_scene, day, size=64)
    manifest = snapshot(settings)
    with open_ledger(settings).begin() as session:
        path = Path(settings.store) / session.query(LabelSet).filter_by(scene_id=manifest.train[0]).one().key
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0x10
    path.write_bytes(bytes(data))
    with pytest.raises(ObjectDamaged, match=manifest.train[0]):
        chips.build(open_ledger(settings), open_store(settings.store), manifest, settings.work / "chips")
    assert not (settings.work / "chips" / "chips.json").exists()
    with open_ledger(settings).begin() as session:  # they are made again
        assert not session.query(LabelSet).filter_by(scene_id=manifest.train[0]).all()
    with pytest.raises(TransientError, match=f"the labels of {manifest.train[0]} are to be made again"):
        chips.build(open_ledger(settings), open_store(settings.store), manifest, settings.work / "chips")
