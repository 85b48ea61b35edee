"""Training chips: squares cut from labelled scenes, kept as two memory-mapped arrays in the work folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from seaice_ops import files
from seaice_ops.classes.legend import CLASSES
from seaice_ops.errors import ConfigError
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import LabelSet, Scene
from seaice_ops.models.card import Manifest
from seaice_ops.pixels.imagery import read_scaled
from seaice_ops.pixels.mending import open_labels
from seaice_ops.storage.store import ObjectStore
from seaice_ops.training.data.snapshot import labelled

log = logging.getLogger(__name__)

#: A target pixel that takes no part in the loss: not observed, cloud, low sun, land.
IGNORE = 255

Corner = tuple[int, int]


@dataclass(frozen=True)
class Chips:
    """The `n` training chips."""

    pixels: NDArray[np.uint8]
    """(n, chip, chip, bands + 1): the bands, then 255 where observed."""
    targets: NDArray[np.uint8]
    """(n, chip, chip): class index in `legend.CLASSES` order, or IGNORE."""
    origins: list[list[Any]]
    """Scene id, row and column of each chip."""
    counts: list[int]
    """Number of target pixels of each class."""

    def __len__(self) -> int:
        return len(self.targets)


def build(ledger: Ledger, store: ObjectStore, manifest: Manifest, folder: Path) -> Chips:
    """Cut the chips of the manifest's training scenes into `folder`, or open them if that was done before.

    Raises `ConfigError` where no scene has a labelled pixel, `ExpectedSkip` where a scene has changed since the
    snapshot, `ObjectMissing` or `ObjectDamaged` where pixels or labels are not in the store as they were written (such
    labels are made again), and `TransientError` until they are.
    """
    if not (folder / "chips.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(ledger, store, manifest, folder)
    return load(folder)


def load(folder: Path) -> Chips:
    """The chips that `build` wrote."""
    about = json.loads((folder / "chips.json").read_text())
    pixels, targets = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("pixels", "targets"))
    return Chips(pixels, targets, about["origins"], about["counts"])


def _write(ledger: Ledger, store: ObjectStore, manifest: Manifest, folder: Path) -> None:
    chip, pairs = manifest.recipe.chip, labelled(ledger, manifest.train, manifest)
    usable = [labelled_corners(_targets(ledger, store, labels), chip) for _, labels in pairs]
    chosen = thin(usable, manifest.recipe.max_chips)
    total = sum(map(len, chosen))
    if not total:
        raise ConfigError(f"none of the {len(pairs)} training scenes has a labelled pixel; see `seaice status`")
    shape = (total, chip, chip, len(manifest.preprocessing.bands) + 1)
    pixels = open_memmap(folder / "pixels.npy.part", mode="w+", dtype=np.uint8, shape=shape)
    targets = open_memmap(folder / "targets.npy.part", mode="w+", dtype=np.uint8, shape=(total, chip, chip))
    origins: list[list[Any]] = []
    counts = np.zeros(256, np.int64)
    for (scene, labels), corners in zip(pairs, chosen, strict=True):
        for corner, image, target in _cut(ledger, store, scene, labels, corners, manifest):
            pixels[len(origins)], targets[len(origins)] = image, target
            origins.append([scene.id, *corner])
            counts += np.bincount(target.ravel(), minlength=256)
    pixels.flush()
    targets.flush()
    for name in ("pixels.npy", "targets.npy"):
        (folder / f"{name}.part").replace(folder / name)
    index = {"origins": origins, "counts": counts[: len(CLASSES)].tolist()}
    files.write(folder / "chips.json", json.dumps(index).encode())
    log.info("cut %d chips of %d pixels from %d scenes", total, chip, len(pairs))


def _targets(ledger: Ledger, store: ObjectStore, labels: LabelSet) -> NDArray[np.uint8]:
    index = np.full(256, IGNORE, np.uint8)
    index[list(CLASSES)] = range(len(CLASSES))
    with open_labels(ledger, store, labels) as dataset:
        targets: NDArray[np.uint8] = index[dataset.read(1)]
    return targets


def _cut(
    ledger: Ledger,
    store: ObjectStore,
    scene: Scene,
    labels: LabelSet,
    corners: Sequence[Corner],
    manifest: Manifest,
) -> Iterator[tuple[Corner, NDArray[np.uint8], NDArray[np.uint8]]]:
    if not corners:
        return
    chip, seen = manifest.recipe.chip, manifest.preprocessing
    bands, valid, _ = read_scaled(store, scene, seen.bands, seen.ceiling)
    targets = np.where(valid, _targets(ledger, store, labels), np.uint8(IGNORE))
    image = np.dstack([bands, valid.astype(np.uint8) * 255])
    for row, column in corners:
        window = slice(row, row + chip), slice(column, column + chip)
        yield (row, column), _padded(image[window], chip, 0), _padded(targets[window], chip, IGNORE)


def _padded(part: NDArray[np.uint8], chip: int, value: int) -> NDArray[np.uint8]:
    margins = [(0, chip - part.shape[0]), (0, chip - part.shape[1])] + [(0, 0)] * (part.ndim - 2)
    return np.pad(part, margins, constant_values=value)


def starts(size: int, chip: int) -> list[int]:
    """First pixels of chips along an edge of `size` pixels: as few as cover it, evenly spread; 0 if it is shorter."""
    count = -(-size // chip)
    return [int(start) for start in np.linspace(0, max(size - chip, 0), count).round()]


def labelled_corners(targets: NDArray[np.uint8], chip: int) -> list[Corner]:
    """(row, column) of the chips of `targets` (rows, columns) that hold at least one pixel of a class."""
    rows, columns = targets.shape
    return [
        (row, column)
        for row in starts(rows, chip)
        for column in starts(columns, chip)
        if (targets[row : row + chip, column : column + chip] != IGNORE).any()
    ]


def thin(corners: Sequence[Sequence[Corner]], limit: int) -> list[list[Corner]]:
    """At most `limit` corners, evenly over scenes and, within a scene, evenly over its chips."""
    return [
        [scene[i] for i in np.linspace(0, len(scene) - 1, share).round().astype(int)]
        for scene, share in zip(corners, quotas([len(scene) for scene in corners], limit), strict=True)
    ]


def quotas(counts: Sequence[int], limit: int) -> list[int]:
    """The number of each of `counts` to keep so that at most `limit` remain; the largest shrink first."""
    shares, left = [0] * len(counts), limit
    order = sorted(range(len(counts)), key=lambda i: (counts[i], i))
    for place, i in enumerate(order):
        shares[i] = min(counts[i], left // (len(order) - place))
        left -= shares[i]
    return shares


def augment(
    pixels: NDArray[np.uint8], targets: NDArray[np.uint8], seed: int, epoch: int, index: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One of the eight flips and quarter turns of a chip, drawn from (seed, epoch, chip), the same on every rank."""
    turns, flip = divmod(int(np.random.default_rng([seed, epoch, index]).integers(8)), 2)
    pixels, targets = np.rot90(pixels, turns), np.rot90(targets, turns)
    return (pixels[:, ::-1], targets[:, ::-1]) if flip else (pixels, targets)
