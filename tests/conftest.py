"""Fixtures that every kind of test shares: settings with an empty home, and ready scenes made from arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.pixels import radiometry
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import Grid, cog_bytes
from seaice_ops.storage.store import open_store

ROOT = Path(__file__).parent.parent
TILE = "01CCV"

# The same code passes or fails alike wherever it is tested; HYPOTHESIS_EXPLORE=1 looks for new examples.
hypothesis.settings.register_profile("seaice", derandomize=not os.environ.get("HYPOTHESIS_EXPLORE"), deadline=None)
hypothesis.settings.load_profile("seaice")


@pytest.fixture(scope="session")
def outside_data() -> Path:
    """The folder of real imagery (SEAICE_TEST_DATA, default ../shared/data). Its absence fails, it never skips."""
    folder = Path(os.environ.get("SEAICE_TEST_DATA", ROOT.parent / "shared" / "data"))
    assert folder.is_dir(), f"outside test data not found at {folder}; set SEAICE_TEST_DATA"
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a new home with a migrated ledger."""
    settings = Settings.model_validate(
        {
            "home": tmp_path / "home",
            "regions": {"test": {"title": "Test", "tiles": [TILE, "60CWS"]}},
            "reference": "archive/truth",
        }
    )
    initialise(settings)
    return settings


@pytest.fixture
def add_scene(settings: Settings) -> Callable[..., Scene]:
    """add_scene(reflectance int16 (bands, h, w), sensed_at=..., tile=...) -> a ready scene, in store and ledger."""

    def add(
        reflectance: np.ndarray,
        sensed_at: datetime = datetime(2026, 2, 1, 20, tzinfo=UTC),
        tile: str = TILE,
        baseline: str = "05.11",
        bands: tuple[str, ...] = BANDS,
    ) -> Scene:
        scene_id = (
            f"S2B_MSIL1C_{sensed_at:%Y%m%dT%H%M%S}_N{baseline.replace('.', '')}_R028_T{tile}_{sensed_at:%Y%m%dT%H%M%S}"
        )
        grid = Grid("EPSG:32701", (10.0, 0.0, 399960.0, 0.0, -10.0, 1600020.0), *reflectance.shape[:0:-1])
        key = keys.scene(tile, sensed_at, scene_id)
        data = cog_bytes(reflectance, grid, nodata=radiometry.UNOBSERVED, names=bands)
        scene = Scene(
            id=scene_id,
            identity=f"S2B_{sensed_at:%Y%m%dT%H%M%S}_T{tile}_R028",
            tile=tile,
            platform="S2B",
            sensed_at=sensed_at,
            relative_orbit=28,
            baseline=baseline,
            generated_at=sensed_at,
            published_at=sensed_at,
            href="memory",
            state=SceneState.READY,
            key=key,
            sha256=open_store(settings.store).put(key, data),
            bytes=len(data),
            crs=grid.crs,
            transform=list(grid.transform),
            width=grid.width,
            height=grid.height,
            bands=list(bands),
            sun_zenith=62.0,
            attempts=1,
            valid_share=float((reflectance != radiometry.UNOBSERVED).all(0).mean()),
            discovered_at=now(),
            updated_at=now(),
        )
        with open_ledger(settings).begin() as session:
            session.add(scene)
        return scene

    return add
