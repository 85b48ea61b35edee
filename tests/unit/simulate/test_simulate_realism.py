"""The checks of benchmarks/simulator_realism.py at a reduced size."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from seaice_ops.simulate.example import acquisition

ROOT = Path(__file__).parents[3]


def module(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def realism():
    return module("simulator_realism")


def test_every_check_holds(realism, outside_data: Path) -> None:
    examples = [acquisition(seed, 384) for seed in range(6, 12)]
    figures = realism.measure(384, 4, examples, outside_data)
    assert [name for name, held in realism.checks(figures).items() if not held] == []


def test_pictures_are_drawn_and_spectra_lie_in_published_ranges(realism, outside_data: Path, tmp_path: Path) -> None:
    pictures = module("simulator_pictures")
    for name, ranges in pictures.PUBLISHED.items():
        assert all(low <= v <= high for v, (low, high) in zip(pictures.simulated(name), ranges, strict=True)), name
    drawn = pictures.draw(tmp_path, [acquisition(seed, 64) for seed in range(12)], outside_data)
    assert [path.name for path in drawn] == ["spectra.png", "cloud_and_ice.png", "examples.png"]
    assert all(path.stat().st_size > 10_000 for path in drawn)


def test_best_thresholds_find_what_a_slow_search_finds(realism, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realism, "BINS", 12)
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 50, (3, 12))
    best = 0.0
    for order in realism.permutations(range(3)):
        for low in range(13):
            for high in range(low, 13):
                predicted = np.repeat(order, [low, high - low, 12 - high])
                matrix = np.array([[counts[t][predicted == p].sum() for p in range(3)] for t in range(3)])
                f1 = 2 * np.diag(matrix) / (matrix.sum(0) + matrix.sum(1))
                best = max(best, f1.mean())
    assert realism.best_thresholds(counts)["macro_f1"] == pytest.approx(best, abs=1e-4)


def test_a_perfectly_separable_band_is_found_separable(realism) -> None:
    counts = np.zeros((3, realism.BINS), np.int64)
    counts[0, :20], counts[1, 20:90], counts[2, 90:] = 5, 7, 9
    assert realism.best_thresholds(counts) == {"macro_f1": 1.0, "below": 0.1, "above": 0.45}
