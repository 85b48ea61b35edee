"""The metadata parsers against every real Level-1C product and granule there is, with values read by hand."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime

import pytest

from helpers.factories import SENSED, product_name, product_xml, tile_xml
from seaice_ops.errors import CorruptProduct, TransientError, unreadable
from seaice_ops.scenes.sentinel2.metadata import read_product, read_tile
from seaice_ops.sensors.sentinel2 import BAND_IDS

NO_OFFSETS = dict.fromkeys(BAND_IDS, 0.0)


@pytest.mark.parametrize(
    ("folder", "orbit", "baseline", "sensed", "generated"),
    [
        (
            "S2A_MSIL1C_20200717T221941_R029_T01LAC_20200717T234135.SAFE",
            29,
            "02.09",
            datetime(2020, 7, 17, 22, 19, 41, 24000, UTC),
            datetime(2020, 7, 17, 23, 41, 35, tzinfo=UTC),
        ),
        (
            "S2A_MSIL1C_20210908T042701_N0301_R133_T46RER_20210908T070248.SAFE",
            133,
            "03.01",
            datetime(2021, 9, 8, 4, 27, 1, 24000, UTC),
            datetime(2021, 9, 8, 7, 2, 48, tzinfo=UTC),
        ),
    ],
)
def test_real_products(outside_data, folder, orbit, baseline, sensed, generated):
    product = read_product(outside_data / "s2_metadata" / folder / "MTD_MSIL1C.xml")
    assert (product.platform, product.relative_orbit, product.baseline) == ("S2A", orbit, baseline)
    assert (product.sensed_at, product.generated_at) == (sensed, generated)
    assert product.quantification == 10000
    assert product.offsets == NO_OFFSETS


def test_real_product_of_2018(outside_data, tmp_path):
    archive = next((outside_data / "copernicus_answers" / "eodag").glob("*.zip"))
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            if name.endswith(".xml"):
                (tmp_path / name.rsplit("/", 1)[-1]).write_bytes(opened.read(name))
    product, tile = read_product(tmp_path / "MTD_MSIL1C.xml"), read_tile(tmp_path / "MTD_TL.xml")
    assert (product.platform, product.relative_orbit, product.baseline, product.offsets) == (
        "S2A",
        51,
        "02.06",
        NO_OFFSETS,
    )
    assert product.sensed_at.replace(microsecond=0) == datetime(2018, 1, 1, 10, 54, 41, tzinfo=UTC)
    assert (tile.tile, tile.grids[10].crs) == ("31TDH", "EPSG:32631")


@pytest.mark.parametrize(
    ("path", "tile", "epsg", "left", "top", "zenith", "azimuth"),
    [
        (
            "S2A_MSIL1C_20200717*/GRANULE/*/MTD_TL.xml",
            "01LAC",
            32701,
            99960,
            8300020,
            45.183085206095,
            36.1960474596642,
        ),
        (
            "S2A_MSIL1C_20210908*/GRANULE/*/MTD_TL.xml",
            "46RER",
            32646,
            499980,
            3100020,
            26.4931642669439,
            142.987598836457,
        ),
        (
            "S2A_MSIL2A_20230625*/GRANULE/*/MTD_TL.xml",
            "01WCS",
            32601,
            300000,
            7700040,
            45.5892458407657,
            174.235064324747,
        ),
        (
            "S2B_MSIL2A_20220413*/GRANULE/*/MTD_TL.xml",
            "33XWJ",
            32633,
            499980,
            8900040,
            76.5286190227361,
            246.540424743604,
        ),
        (
            "S2A_T60CWS_20240109T203651_L2A/metadata.xml",
            "60CWS",
            32760,
            499980,
            1200040,
            66.5075732334466,
            84.2999551111562,
        ),
        (
            "../copernicus_answers/xcube_stac_cdse/eodata_MTD_TL_S2A_20200301.xml",
            "35UPU",
            32635,
            600000,
            5900040,
            61.3954206436756,
            163.166371717763,
        ),
    ],
)
def test_real_granules(outside_data, path, tile, epsg, left, top, zenith, azimuth):
    found = read_tile(next((outside_data / "s2_metadata").glob(path)))
    assert (found.tile, found.sun_zenith, found.sun_azimuth) == (tile, zenith, azimuth)
    for resolution, size in ((10, 10980), (20, 5490), (60, 1830)):
        grid = found.grids[resolution]
        assert (grid.crs, grid.width, grid.height) == (f"EPSG:{epsg}", size, size)
        assert grid.transform == (resolution, 0, left, 0, -resolution, top)


def test_offsets_by_band_since_baseline_0400(tmp_path):
    path = tmp_path / "MTD_MSIL1C.xml"
    text = product_xml(product_name(), SENSED, -1000)
    path.write_text(text.replace('<RADIO_ADD_OFFSET band_id="11">-1000', '<RADIO_ADD_OFFSET band_id="11">-850'))
    product = read_product(path)
    assert product.offsets == {**dict.fromkeys(BAND_IDS, -1000.0), "B11": -850.0}
    assert (product.platform, product.baseline, product.relative_orbit) == ("S2B", "05.11", 28)


BOMB = '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not XML"),
        ("PK\x03\x04 not xml at all", "is not XML"),
        (tile_xml("01CCV", SENSED, 64, 62.5)[:-200], "is not XML"),
        (BOMB, "document type or entities"),
        (OUTSIDE, "document type or entities"),
        ('<?xml version="1.0" encoding="none"?><x/>', "is not XML"),
        ('<?xml version="1.0" encoding="shift_jis"?><x/>', "is not XML"),
        ("<x/>", "has no TILE_ID"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("_T01CCV", ""), "TILE_ID names no tile"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("62.5", "NaN"), "'NaN' is not a number"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("Mean_Sun_Angle", "Sun"), "has no Mean_Sun_Angle/ZENITH_ANGLE"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace('"20"', '"21"'), "has no Size of 10 and of 20 m"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("<ULX>300000", "<ULX>here"), "'here' is not a number"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("T20:15", "T99:15"), "is not a time"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("2026-02-01", "0001-01-01"), "is not a time"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("EPSG:32701", "EPSG:999999"), "HORIZONTAL_CS_CODE 'EPSG:999999'"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("EPSG:32701", "EPSG:4326"), "must be a projected system"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("<NCOLS>64", "<NCOLS>1000000000"), "NCOLS"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("<NROWS>64", "<NROWS>-64"), "NROWS"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("<NROWS>64", "<NROWS>64.5"), "NROWS"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("<ULX>300000", "<ULX>1e300"), "not on the Earth"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("<XDIM>10", "<XDIM>0.00001"), "Geoposition"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("62.5", "1e300"), "is not between 0 and 180"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace('"20"', '"²0"'), "has no Size of 10 and of 20 m"),
        (tile_xml("01CCV", SENSED, 64, 62.5).replace("<ULX>300000", "<ULX>\n[/b]\x85"), "'[/b]' is not a number"),
    ],
)
def test_wrong_granule_xml_names_the_file_and_the_fault(tmp_path, text, words):
    path = tmp_path / "MTD_TL.xml"
    path.write_text(text)
    with pytest.raises(CorruptProduct, match=f"^{path}") as caught:
        read_tile(path)
    assert words in str(caught.value)
    assert "root:" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('band_id="3"', 'band_id="13"', "band_id '13'"),
        ('band_id="3"', 'band_id="²"', "band_id '²'"),
        (">10000<", ">1e-300<", "is below 1"),
        (">10000<", ">0<", "is below 1"),
        (">10000<", "><", "has no QUANTIFICATION_VALUE"),
        ("SPACECRAFT_NAME", "CRAFT", "has no SPACECRAFT_NAME"),
    ],
)
def test_wrong_product_xml_names_the_file_and_the_fault(tmp_path, old, new, words):
    path = tmp_path / "MTD_MSIL1C.xml"
    path.write_text(product_xml(product_name(), SENSED, -1000).replace(old, new))
    with pytest.raises(CorruptProduct, match=f"^{path}") as caught:
        read_product(path)
    assert words in str(caught.value)


def test_level_2a_metadata_are_not_taken_for_level_1c(outside_data):
    path = next((outside_data / "s2_metadata").glob("S2B_MSIL2A*/MTD_MSIL2A.xml"))
    with pytest.raises(CorruptProduct, match="has no QUANTIFICATION_VALUE"):
        read_product(path)


def test_missing_file(tmp_path):
    with pytest.raises(CorruptProduct, match=r"MTD_TL.xml cannot be read: No such file"):
        read_tile(tmp_path / "MTD_TL.xml")


def test_a_machine_without_projections_is_not_the_product_s_fault(tmp_path):
    """PROJ reads its database once, so that this is a process of its own."""
    path = tmp_path / "MTD_TL.xml"
    path.write_text(tile_xml("01CCV", SENSED, 64, 62.5))
    code = (
        "import sys; from pathlib import Path; from seaice_ops.errors import ConfigError\n"
        "from seaice_ops.scenes.sentinel2.metadata import read_tile\n"
        "try:\n    read_tile(Path(sys.argv[1]))\n"
        "except ConfigError as error:\n    print(error)\n"
    )
    env = {**os.environ, "PROJ_DATA": str(tmp_path), "PROJ_LIB": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code, path], env=env, capture_output=True, text=True)
    assert f"PROJ_DATA={tmp_path}" in done.stdout and "unset it" in done.stdout, done.stderr


@pytest.mark.parametrize(("number", "error"), [(errno.EMFILE, TransientError), (errno.EIO, TransientError)])
def test_a_machine_that_cannot_read_for_now_is_not_the_product_s_fault(tmp_path, number, error):
    assert isinstance(unreadable(tmp_path, OSError(number, "no")), error)
    assert isinstance(unreadable(tmp_path, OSError(errno.ENOENT, "no")), CorruptProduct)
