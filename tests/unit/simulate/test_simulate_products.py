"""The archive folder: names, metadata, pixels, entries; repeated, day by day, killed, unwritable."""

from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seaice_ops.classes import legend
from seaice_ops.errors import ConfigError
from seaice_ops.geo.tiles import tile_of
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.settings import Settings
from seaice_ops.simulate import metadata, product
from seaice_ops.simulate.example import decoded
from seaice_ops.simulate.product import render
from seaice_ops.simulate.season import NEWER, OLDER, TRUNCATED
from seaice_ops.simulate.stage import Planned, SimulateRequest, plan, run

SMALL = SimulateRequest(tiles=("01CCV", "60CWS"), size=128, acquisitions=6)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "archive"
    settings = Settings.model_validate(
        {"home": out.parent, "regions": {"t": {"title": "T", "tiles": ["01CCV", "60CWS"]}}}
    )
    summary = run(settings, SimulateRequest(size=128, acquisitions=6))
    assert summary.done["products"] == 13
    assert set(summary.items) == {p.id for p in plan(SMALL)}
    assert summary.bytes_out > 0
    return out


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def entry(archive: Path, planned: Planned) -> dict:
    return json.loads((archive / f"{planned.id}.json").read_text())


def values(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for element in ET.parse(path).iter():
        found.setdefault(element.tag.split("}")[-1], []).append((element.text or "").strip())
    return found


def test_the_folder_holds_products_entries_and_truth_only(archive: Path) -> None:
    ids = {p.id for p in plan(SMALL)}
    assert {path.name for path in archive.iterdir()} == {
        *(f"{name}.SAFE" for name in ids), *(f"{name}.json" for name in ids), "truth",
    }  # fmt: skip
    assert {path.name for path in (archive / "truth").iterdir()} == {
        *(f"{name}.tif" for name in ids), *(f"{name}.conditions.tif" for name in ids),
        *(f"{name}.surface.tif" for name in ids),
        "01CCV.land.tif", "60CWS.land.tif",
    }  # fmt: skip


def test_entries_list_every_file_and_only_the_truncated_differs(archive: Path) -> None:
    for planned in plan(SMALL):
        listed, safe = entry(archive, planned), archive / f"{planned.id}.SAFE"
        assert (listed["kind"], listed["name"]) == ("product", planned.id)
        assert datetime.fromisoformat(listed["published"]) == planned.published
        assert set(listed["files"]) == set(contents(safe))
        assert {Path(name).stem[-3:] for name in listed["files"] if name.endswith(".jp2")} == set(metadata.IMAGES)
        wrong = [
            name
            for name, file in listed["files"].items()
            if (safe / name).stat().st_size != file["size"]
            or hashlib.md5((safe / name).read_bytes()).hexdigest() != file["md5"]
        ]
        assert wrong == ([metadata.image_path(planned, "B08")] if planned.kind == TRUNCATED else [])


def test_metadata_are_structured_like_real_ones(archive: Path, outside_data: Path) -> None:
    real = next((outside_data / "s2_metadata").glob("S2A_MSIL1C_*N0301*.SAFE"))
    planned = plan(SMALL)[0]
    safe = archive / f"{planned.id}.SAFE"
    granule = next((safe / "GRANULE").iterdir())
    for ours, theirs in ((safe / "MTD_MSIL1C.xml", real / "MTD_MSIL1C.xml"),
                         (granule / "MTD_TL.xml", next(real.rglob("MTD_TL.xml")))):  # fmt: skip
        mine, other = ET.parse(ours).getroot(), ET.parse(theirs).getroot()
        assert mine.tag == other.tag
        known = {path for path, _ in paths(other)}
        new = {path.split("/")[-1] for path, _ in paths(mine) if path not in known}
        assert new <= {"Radiometric_Offset_List", "RADIO_ADD_OFFSET"}  # came with baseline 04.00


def paths(element: ET.Element, prefix: str = "") -> list[tuple[str, ET.Element]]:
    name = f"{prefix}/{element.tag}"
    return [(name, element), *(found for child in element for found in paths(child, name))]


def test_metadata_say_what_the_name_says(archive: Path) -> None:
    for planned in plan(SMALL):
        safe = archive / f"{planned.id}.SAFE"
        info = values(safe / "MTD_MSIL1C.xml")
        assert info["PRODUCT_URI"] == [f"{planned.id}.SAFE"]
        assert info["PROCESSING_BASELINE"] == [planned.baseline]
        assert info["SENSING_ORBIT_NUMBER"] == [str(planned.relative_orbit)]
        assert info["QUANTIFICATION_VALUE"] == ["10000"]
        assert info.get("RADIO_ADD_OFFSET", []) == ([] if planned.kind == OLDER else ["-1000"] * 13)
        assert all((safe / f"{name}.jp2").exists() for name in info["IMAGE_FILE"])
        tile = values(next(safe.rglob("MTD_TL.xml")))
        where = tile_of(planned.tile)
        assert tile["HORIZONTAL_CS_CODE"] == [f"EPSG:{where.epsg}"]
        assert (tile["ULX"], tile["ULY"]) == ([str(where.ulx)] * 2, [str(where.uly)] * 2)
        assert 50 < float(tile["ZENITH_ANGLE"][0]) < 82


def test_pixels_decode_to_what_was_rendered(archive: Path) -> None:
    planned = plan(SMALL)[0]
    image = render(SMALL, planned)
    for index, (band, pixel) in enumerate(metadata.PIXEL_M.items()):
        with rasterio.open(archive / f"{planned.id}.SAFE" / metadata.image_path(planned, band)) as dataset:
            assert dataset.crs.to_epsg() == tile_of(planned.tile).epsg
            assert (dataset.transform.a, dataset.transform.e) == (pixel, -pixel)
            assert (dataset.transform.c, dataset.transform.f) == (tile_of(planned.tile).ulx, tile_of(planned.tile).uly)
            assert dataset.dtypes == ("uint16",)
            numbers = dataset.read(1)
        if pixel == 10:
            error = (numbers.astype(float) - 1000) / 10_000 - image.reflectance[index]
            assert np.abs(error[image.valid]).max() < 0.0001
        else:
            assert numbers.shape == (64, 64)
            blocks = image.reflectance[index].reshape(64, 2, 64, 2).mean(axis=(1, 3))
            assert np.abs((numbers / 10_000 - 0.1 - blocks)[numbers > 0]).max() < 0.0003
    with rasterio.open(archive / "truth" / f"{planned.id}.tif") as dataset:
        assert dataset.nodata == legend.NODATA
        np.testing.assert_array_equal(dataset.read(1), image.truth)


def test_an_example_is_what_the_files_decode_to(archive: Path) -> None:
    planned = next(p for p in plan(SMALL) if p.kind not in (OLDER, TRUNCATED))
    expected = decoded(render(SMALL, planned), 65.0)
    for band, values in zip(metadata.BANDS, expected.reflectance, strict=True):
        with rasterio.open(archive / f"{planned.id}.SAFE" / metadata.image_path(planned, band)) as dataset:
            numbers = dataset.read(1).astype(int)
        repeat = metadata.PIXEL_M[band] // 10
        read = (
            np.where(numbers == 0, UNOBSERVED, numbers - metadata.offset(planned)).repeat(repeat, 0).repeat(repeat, 1)
        )
        np.testing.assert_array_equal(read, values)


def test_conditions_and_land_lie_on_the_truth_s_grid(archive: Path) -> None:
    for planned in plan(SMALL):
        with rasterio.open(archive / "truth" / f"{planned.id}.tif") as dataset:
            truth, transform = dataset.read(1), dataset.transform
        with rasterio.open(archive / "truth" / f"{planned.id}.conditions.tif") as dataset:
            assert dataset.transform == transform
            assert not dataset.read(1)[~np.isin(truth, legend.CLASSES)].any()
        with rasterio.open(archive / "truth" / f"{planned.tile}.land.tif") as dataset:
            assert dataset.transform == transform
            assert ((truth == legend.LAND) == (dataset.read(1) == 1))[truth != legend.NODATA].all()


def test_both_baselines_show_the_same_ground(archive: Path) -> None:
    (older,), (newer,) = ([p for p in plan(SMALL) if p.kind == kind] for kind in (OLDER, NEWER))
    read = [
        rasterio.open(archive / f"{p.id}.SAFE" / metadata.image_path(p, "B04")).read(1).astype(int)
        for p in (older, newer)
    ]
    seen = read[0] > 1
    assert np.abs(read[1][seen] - read[0][seen] - 1000).max() <= 1  # rounded apart
    assert contents(archive / "truth")[f"{older.id}.tif"] == contents(archive / "truth")[f"{newer.id}.tif"]


def test_a_truncated_band_cannot_be_read(archive: Path) -> None:
    (cut,) = [p for p in plan(SMALL) if p.kind == TRUNCATED]
    path = archive / f"{cut.id}.SAFE" / metadata.image_path(cut, "B08")
    assert 0 < path.stat().st_size < entry(archive, cut)["files"][metadata.image_path(cut, "B08")]["size"]


def test_day_by_day_gives_the_same_bytes_as_at_once(archive: Path, settings: Settings, tmp_path: Path) -> None:
    out, seen = tmp_path / "daily", 0
    for until in (datetime(2026, 2, 3, tzinfo=UTC), datetime(2026, 2, 5, tzinfo=UTC), None):
        summary = run(settings, replace(SMALL, out=out, publish_until=until))
        due = [p for p in plan(SMALL) if until is None or p.published <= until]
        assert {path.stem for path in out.glob("*.json")} == {p.id for p in due}
        assert summary.unchanged["products"] == seen
        seen = len(due)
        assert run(settings, replace(SMALL, out=out, publish_until=until)).nothing_new
    assert contents(out) == contents(archive)


@pytest.mark.parametrize("step", ["images", "truth", "folder", "entry"])
def test_killed_anywhere_it_is_completed_with_the_same_bytes(
    step: str, archive: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    original = product._replace

    def replacing(path: Path, work: Path, data: bytes) -> None:
        if (path.suffix == ".tif") == (step == "truth"):
            die()
        original(path, work, data)

    request = replace(SMALL, out=tmp_path / "killed", publish_until=datetime(2026, 2, 2, tzinfo=UTC))
    with monkeypatch.context() as patch:
        if step == "images":
            patch.setattr(product, "_listing", die)
        elif step == "folder":
            patch.setattr(product.shutil, "rmtree", lambda path, **_: die() if str(path).endswith(".SAFE") else None)
        else:
            patch.setattr(product, "_replace", replacing)
        with pytest.raises(Killed):
            run(settings, request)
    assert not list(request.out.glob("*.json"))
    run(settings, request)
    expected = contents(archive)
    found = contents(request.out)
    assert found == {name: expected[name] for name in found}
    assert len(list(request.out.glob("*.json"))) == 4
    assert not list(request.out.glob(".*"))


def test_seed_and_size_change_what_is_seen(settings: Settings) -> None:
    planned = plan(SMALL)[0]
    images = [render(replace(SMALL, seed=seed), planned).truth for seed in (1, 1, 2)]
    assert (images[0] == images[1]).all()
    assert (images[0] != images[2]).mean() > 0.05


def test_progress_counts_every_product(settings: Settings, tmp_path: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    request = replace(SMALL, out=tmp_path / "a", size=64, acquisitions=1)
    run(settings, request, progress=lambda *call: calls.append(call))
    assert calls == [(1, 2, plan(request)[0].id), (2, 2, plan(request)[1].id)]


def test_an_unwritable_archive_is_a_clear_error(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot write the archive"):
        run(settings, replace(SMALL, out=tmp_path / "file" / "archive"))
