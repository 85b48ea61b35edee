"""How long does the decode stage take beside pure JPEG 2000 decoding of the same bands, and how much memory?

    python benchmarks/decode.py [--size 2048] [--repeat 3] [--json]

A product of --size pixels (10980 is a whole tile) is made in a temporary home, fetched, and decoded --repeat times;
between the runs its five bands are only read, in the same blocks. Printed are the medians in seconds of processor
time of all threads (what else runs on the machine does not count) and their ratio within this run; the seconds that
the stage took on the cores there are; and the decoding process's peak of resident memory. The target is a ratio of at
most 1.5.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine

from seaice_ops.archive import fetch, search
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.archive.search import SearchRequest
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.scenes import decode
from seaice_ops.scenes.decode import DecodeRequest
from seaice_ops.scenes.source import STRIP, open_image, read_rows
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.settings import Settings

NAME = "S2B_MSIL1C_20260201T201529_N0511_R028_T01CCV_20260201T214500"
SENSED = "2026-02-01T20:15:29"
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def band(size: int, seed: int) -> np.ndarray:
    """Digital numbers with floes of some 100 px and sensor noise; (size, size) uint16."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((size // 64 + 2, size // 64 + 2), np.float32)
    field = np.kron(coarse, np.ones((64, 64), np.float32))[:size, :size]
    return (1500 + 8000 * field + rng.normal(0, 25, (size, size)).astype(np.float32)).astype(np.uint16)


def make_product(archive: Path, size: int) -> None:
    """A bare product folder with the files a scene needs."""
    granule = archive / f"{NAME}.SAFE" / "GRANULE" / "L1C_T01CCV_A046123_20260201T201530"
    (granule / "IMG_DATA").mkdir(parents=True)
    offsets = "".join(f'<RADIO_ADD_OFFSET band_id="{i}">-1000</RADIO_ADD_OFFSET>' for i in range(13))
    (archive / f"{NAME}.SAFE" / "MTD_MSIL1C.xml").write_text(
        "<x><SPACECRAFT_NAME>Sentinel-2B</SPACECRAFT_NAME><SENSING_ORBIT_NUMBER>28</SENSING_ORBIT_NUMBER>"
        f"<DATATAKE_SENSING_START>{SENSED}.024Z</DATATAKE_SENSING_START><PROCESSING_BASELINE>05.11</PROCESSING_BASELINE>"
        "<GENERATION_TIME>2026-02-01T21:45:00Z</GENERATION_TIME><QUANTIFICATION_VALUE>10000</QUANTIFICATION_VALUE>"
        f"{offsets}</x>"
    )
    grids = "".join(
        f'<Size resolution="{r}"><NROWS>{size * 10 // r}</NROWS><NCOLS>{size * 10 // r}</NCOLS></Size>'
        f'<Geoposition resolution="{r}"><ULX>300000</ULX><ULY>2000020</ULY><XDIM>{r}</XDIM><YDIM>-{r}</YDIM>'
        "</Geoposition>"
        for r in (10, 20)
    )
    (granule / "MTD_TL.xml").write_text(
        "<x><TILE_ID>S2B_OPER_MSI_L1C_TL_2BPS_20260201T214500_A046123_T01CCV_N05.11</TILE_ID>"
        f"<SENSING_TIME>{SENSED}.758Z</SENSING_TIME><HORIZONTAL_CS_CODE>EPSG:32701</HORIZONTAL_CS_CODE>{grids}"
        "<Mean_Sun_Angle><ZENITH_ANGLE>62.5</ZENITH_ANGLE><AZIMUTH_ANGLE>71</AZIMUTH_ANGLE></Mean_Sun_Angle></x>"
    )
    for seed, name in enumerate(BANDS):
        edge, pixel = (size // 2, 20) if name == "B11" else (size, 10)
        profile = {"driver": "JP2OpenJPEG", "count": 1, "dtype": "uint16", "height": edge, "width": edge}
        place = {"crs": "EPSG:32701", "transform": Affine(pixel, 0, 300000, 0, -pixel, 2000020)}
        options = {"QUALITY": 100, "REVERSIBLE": "YES", "BLOCKXSIZE": 1024, "BLOCKYSIZE": 1024}
        path = granule / "IMG_DATA" / f"T01CCV_20260201T201529_{name}.jp2"
        with rasterio.open(path, "w", **profile, **place, **options) as target:
            target.write(band(edge, seed), 1)


def read_only(inbox: Path) -> None:
    """Decode the five bands and drop them."""
    with rasterio.Env(GDAL_CACHEMAX=256):
        for path in sorted(inbox.glob("GRANULE/*/IMG_DATA/*.jp2")):
            with open_image(path) as dataset:
                for row in range(0, dataset.height, STRIP):
                    read_rows(path, dataset, 1, row, min(STRIP, dataset.height - row))


def timed(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def rewind(settings: Settings) -> None:
    with open_ledger(settings).begin() as session:
        scene = session.get(Scene, NAME)
        assert scene is not None
        scene.state = SceneState.DISCOVERED
    fetch.run(settings, FetchRequest((NAME,)))


def measure(settings: Settings, repeat: int) -> dict[str, float]:
    """In a process of its own, so that its peak of memory is the decoder's."""
    search.run(settings, SearchRequest("sensed", *EVER))
    whole, pure, waited = [], [], []
    for _ in range(repeat):
        rewind(settings)
        pure.append(timed(lambda: read_only(settings.inbox(NAME))))
        start = time.perf_counter()
        whole.append(timed(lambda: decode.run(settings, DecodeRequest((NAME,)))))
        waited.append(time.perf_counter() - start)
    with open_ledger(settings).begin() as session:
        scene = session.get(Scene, NAME)
        assert scene is not None and scene.bytes is not None and scene.state is SceneState.READY
        size = scene.bytes
    return {
        "stage_seconds": statistics.median(whole),
        "jp2_seconds": statistics.median(pure),
        "ratio": statistics.median(whole) / statistics.median(pure),
        "stage_wall_seconds": statistics.median(waited),
        "cog_mb": size / 1e6,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seaice-decode-") as home:
        regions = {"bench": {"title": "Bench", "tiles": ["01CCV"]}}
        settings = Settings.model_validate({"home": home, "regions": regions})
        spawn = get_context("spawn")
        with spawn.Pool(1) as pool:
            pool.apply(make_product, (settings.archive_path, arguments.size))
        initialise(settings)
        with spawn.Pool(1) as pool:
            result = {"size": arguments.size, **pool.apply(measure, (settings, arguments.repeat))}
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:20} {value:10.2f}")


if __name__ == "__main__":
    main()
