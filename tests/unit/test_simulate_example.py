"""One acquisition in memory: what the product's files decode to, with its truth and conditions."""

from __future__ import annotations

import numpy as np
import pytest

from seaice_ops import conditions, imagery, legend
from seaice_ops.simulate.example import Example, acquisition


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return [acquisition(seed, 256) for seed in range(8)]


def test_same_seed_same_bytes(examples: list[Example]) -> None:
    again = acquisition(3, 256)
    for name in ("reflectance", "valid", "truth", "conditions"):
        assert getattr(again, name).tobytes() == getattr(examples[3], name).tobytes()
    assert again.sun_zenith == examples[3].sun_zenith
    assert (again.truth != examples[4].truth).mean() > 0.05


def test_shapes_types_and_no_data(examples: list[Example]) -> None:
    for example in examples:
        assert example.reflectance.shape == (len(imagery.BANDS), 256, 256)
        assert example.reflectance.dtype == np.int16
        assert example.truth.dtype == example.conditions.dtype == np.uint8
        assert (example.valid == (example.reflectance != imagery.NODATA).all(axis=0)).all()
        assert ((example.truth == legend.NODATA) == (example.reflectance[:4] == imagery.NODATA).any(axis=0)).all()
        assert set(np.unique(example.truth)) <= {*legend.CLASSES, legend.CLOUD, legend.LAND, legend.NODATA}
        assert example.conditions.max() < 2 * max(conditions.NAMES)
        assert not example.conditions[~np.isin(example.truth, legend.CLASSES)].any()


def test_the_sun_can_be_set() -> None:
    low = acquisition(5, 128, sun_zenith=78.0)
    assert low.sun_zenith == 78.0
    classed = np.isin(low.truth, legend.CLASSES)
    assert (low.conditions[classed] & conditions.LOW_SUN).all()
    assert not (acquisition(5, 128, sun_zenith=70.0).conditions & conditions.LOW_SUN).any()
