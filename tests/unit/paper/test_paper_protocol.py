"""The published protocol at tiny sizes: what is cut, split, scored and said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from seaice_ops.cli import app
from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.paper import patches as cutting
from seaice_ops.paper import protocol
from seaice_ops.paper.networks import answers
from seaice_ops.paper.patches import AUTO, FILTERED, MAN, ORIGINAL, PATCH, Patches, by_acquisition, by_patch, cut
from seaice_ops.paper.protocol import ALL, HONEST, LITTLE, MUCH, PUBLISHED, TABLE
from seaice_ops.paper.scenes import LabelledScene, from_folder, names_in
from seaice_ops.settings import LabelSettings

torch.set_num_threads(1)
SETTINGS = LabelSettings()


def scene(number: int, rows: int = 300, columns: int = 520, veiled: bool = True) -> LabelledScene:
    """Stripes of the three classes; the left half of the second patch lies under cloud."""
    hand = np.repeat(np.array([1, 2, 3, 3], np.uint8), columns // 4)[None].repeat(rows, 0)
    grey = np.array([0, 10, 120, 240], np.uint8)[hand]
    grey[:, :40] += number  # scenes differ
    valid = np.ones(hand.shape, bool)
    valid[:20] = False
    cloud = np.zeros(hand.shape, bool)
    cloud[:, PATCH : PATCH + 128] = True
    return LabelledScene(f"s{number}", np.dstack([grey] * 3), valid, hand, cloud if veiled else None, 54.0)


def test_patches_carry_image_filter_labels_and_cover() -> None:
    seen: list[str] = []
    found = cut([scene(0), scene(1)], SETTINGS, seen.append)
    assert seen == ["s0", "s1"] and len(found) == 4 and found.scene.tolist() == [0, 0, 1, 1]
    assert found.images[ORIGINAL].shape == found.images[FILTERED].shape == (4, PATCH, PATCH, 4)
    assert found.cover.tolist() == [0.0, 0.5, 0.0, 0.5]
    assert (found.labels[AUTO][:, :20] == 255).all() and (found.labels[MAN][:, :20] == 255).all()
    grey = found.images[FILTERED][:, 20:, :, 0]
    assert set(np.unique(grey)) <= {0, 155, 255}
    np.testing.assert_array_equal(np.array([0, 155, 255])[found.labels[AUTO][:, 20:]], grey)
    assert found.labels[MAN][0, 100, 0] == 0 and found.labels[MAN][0, 100, 140] == 1
    assert found.similar[ORIGINAL] == pytest.approx(1.0) and found.similar[FILTERED] is not None


def test_without_a_cloud_mask_the_cover_is_unknown() -> None:
    assert np.isnan(cut([scene(0, veiled=False)], SETTINGS).cover).all()
    assert len(cut([scene(0, rows=200)], SETTINGS)) == 0


def numbered(scenes: int, each: int) -> Patches:
    number = np.repeat(np.arange(scenes), each)
    empty = np.zeros((len(number), 1, 1), np.uint8)
    return Patches({}, {AUTO: empty}, number, np.zeros(len(number)), {})


@pytest.mark.parametrize("seed", range(5))
def test_the_honest_split_shares_no_scene_and_the_published_one_does(seed: int) -> None:
    patches = numbered(10, 20)
    random, honest = by_patch(patches, seed), by_acquisition(patches, seed)
    assert random.sum() == honest.sum() == 40
    assert not set(patches.scene[honest]) & set(patches.scene[~honest])
    assert set(patches.scene[random]) <= set(patches.scene[~random])
    np.testing.assert_array_equal(random, by_patch(patches, seed))


def test_the_table_gets_all_auto_labels_right_and_that_is_not_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With networks that answer what they are asked to learn nothing for, only rulers and groups remain to be seen."""
    monkeypatch.setattr(protocol, "answers", lambda images, labels, asked, **_: (asked[..., 0] > 30).astype(np.uint8))
    patches = cut([scene(number) for number in range(5)], SETTINGS)
    patches.labels[AUTO][:, :, :64] = np.where(patches.labels[AUTO][:, :, :64] == 255, 255, 2)
    found = {(s.labels, s.images, s.protocol, s.group): s for s in protocol.run(patches, protocol.SMALL, tmp_path)}
    assert len(found) == 2 * (4 + 1) * 3
    assert found[TABLE, FILTERED, PUBLISHED, ALL].accuracy == 1.0
    honest = found[TABLE, FILTERED, HONEST, ALL]
    assert honest.accuracy is not None and honest.accuracy < 1.0
    assert found[AUTO, ORIGINAL, HONEST, ALL].accuracy == found[MAN, ORIGINAL, HONEST, ALL].accuracy
    assert found[AUTO, ORIGINAL, PUBLISHED, ALL].accuracy != found[MAN, ORIGINAL, PUBLISHED, ALL].accuracy
    assert found[MAN, ORIGINAL, HONEST, MUCH].patches == found[MAN, ORIGINAL, HONEST, LITTLE].patches == 1


def test_scores_are_means_over_classes() -> None:
    said, ruler = np.array([[[0, 0, 1, 2]]], np.uint8), np.array([[[0, 1, 1, 255]]], np.uint8)
    (score, much, little) = protocol._scores(said, ruler, np.array([np.nan]), (AUTO, ORIGINAL, HONEST))
    assert (score.accuracy, score.precision, score.recall) == (pytest.approx(2 / 3), 0.75, 0.75)
    assert much.patches == little.patches == 0 and much.accuracy is None


def test_a_network_answers_with_classes_and_the_same_seed_is_the_same_network(tmp_path: Path) -> None:
    patches = cut([scene(0)], SETTINGS)
    images, labels = patches.images[ORIGINAL], patches.labels[MAN]
    told: list[int] = []
    recipe = {"width": 2, "epochs": 1, "batch": 2, "seed": 5, "work": tmp_path}
    first = answers(images, labels, images[:1], **recipe, epoch_done=lambda: told.append(1))
    assert len(told) == 1 and first.shape == (1, PATCH, PATCH) and first.max() <= 2
    np.testing.assert_array_equal(first, answers(images, labels, images[:1], **recipe))
    assert list(tmp_path.iterdir()) == []


def test_too_little_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 patches of 1 scene "):
        protocol.run(numbered(1, 2), protocol.SMALL, tmp_path)


def labelled_folder(folder: Path, count: int = 2) -> Path:
    folder.mkdir()
    for number in range(count):
        made = scene(number)
        Image.fromarray(made.rgb).save(folder / f"s{number}.png")
        Image.fromarray(made.hand).save(folder / f"s{number}.labels.png")
        assert made.veiled is not None
        Image.fromarray(made.veiled.astype(np.uint8)).save(folder / f"s{number}.veiled.png")
    return folder


def test_a_folder_of_hand_labels(tmp_path: Path) -> None:
    folder = labelled_folder(tmp_path / "labelled")
    first, second = from_folder(folder)
    assert (first.name, second.name) == ("s0", "s1") and first.pixel_m == 54.0
    np.testing.assert_array_equal(first.hand, scene(0).hand)
    np.testing.assert_array_equal(first.rgb, scene(0).rgb)
    assert first.veiled is not None and first.veiled.sum() == 128 * 300
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(folder / "s1.labels.png")
    with pytest.raises(CorruptProduct, match="its scene needs uint8"):
        list(from_folder(folder))
    (folder / "s1.labels.png").unlink()
    with pytest.raises(ConfigError, match="holds 1 labelled scenes"):
        names_in(folder)


def test_the_verb_prints_both_protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAICE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(protocol, "answers", lambda images, labels, asked, **_: (asked[..., 0] > 30).astype(np.uint8))
    monkeypatch.setattr(cutting, "PATCH", 64)
    folder = str(labelled_folder(tmp_path / "labelled", 3))
    shown = CliRunner().invoke(app, ["paper-protocol", folder])
    assert shown.exit_code == 0, shown.output
    for words in ("98.97", "89.00 %", "99.64 %", "honest", "table", "hand labels"):
        assert words in shown.output
    told = json.loads(CliRunner().invoke(app, ["paper-protocol", folder, "--json", "--seed", "2"]).stdout)
    assert told["recipe"]["seed"] == 2 and len(told["scores"]) == 30
    assert CliRunner().invoke(app, ["paper-protocol", str(tmp_path)]).exit_code == 1
