"""Product names, identity, order of versions, and the files a scene needs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from seaice_ops.archive.product import Product, ProductFile, needed_files, parse_name
from seaice_ops.errors import CorruptProduct

NAME = "S2B_MSIL1C_20260201T201529_N0511_R028_T01CCV_20260201T214500"
GRANULE = "GRANULE/L1C_T01CCV_A046123_20260201T201530"
FILES = [
    ProductFile("MTD_MSIL1C.xml"),
    ProductFile(f"{GRANULE}/MTD_TL.xml"),
    *(
        ProductFile(f"{GRANULE}/IMG_DATA/T01CCV_20260201T201529_{band}.jp2")
        for band in ("B01", "B02", "B03", "B04", "B08", "B8A", "B11", "B12", "TCI")
    ),
    ProductFile("manifest.safe"),
]


def product(**fields) -> Product:
    values = {
        "id": NAME,
        "kind": "product",
        "platform": "S2B",
        "tile": "01CCV",
        "sensed_at": datetime(2026, 2, 1, 20, 15, 29, tzinfo=UTC),
        "relative_orbit": 28,
        "baseline": "05.11",
        "generated_at": datetime(2026, 2, 1, 21, 45, tzinfo=UTC),
        "published_at": datetime(2026, 2, 1, 23, tzinfo=UTC),
        "href": f"{NAME}.SAFE",
    }
    return Product(**(values | fields))


def test_current_name():
    name = parse_name(f"{NAME}.SAFE")
    assert (name.platform, name.level, name.baseline, name.relative_orbit, name.tile) == (
        "S2B",
        "L1C",
        "05.11",
        28,
        "01CCV",
    )
    assert name.sensed_at == datetime(2026, 2, 1, 20, 15, 29, tzinfo=UTC)
    assert name.generated_at == datetime(2026, 2, 1, 21, 45, tzinfo=UTC)


def test_name_without_baseline():
    name = parse_name("S2A_MSIL1C_20200717T221941_R029_T01LAC_20200717T234135")
    assert (name.platform, name.baseline, name.relative_orbit, name.tile) == ("S2A", "", 29, "01LAC")


def test_all_real_names(outside_data):
    folders = [path.name for path in (outside_data / "s2_metadata").glob("*.SAFE")]
    assert len(folders) == 4
    assert {(parse_name(name).level, parse_name(name).tile) for name in folders} == {
        ("L1C", "01LAC"),
        ("L1C", "46RER"),
        ("L2A", "01WCS"),
        ("L2A", "33XWJ"),
    }


@pytest.mark.parametrize("platform", ["S2A", "S2B", "S2C", "S2D"])
@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_every_platform_and_level(platform, level):
    name = parse_name(NAME.replace("S2B", platform).replace("L1C", level))
    assert (name.platform, name.level) == (platform, level)


@pytest.mark.parametrize(
    "name",
    [
        "notes",
        NAME + "_2",
        NAME.replace("S2B", "S2E"),
        NAME.replace("L1C", "L1B"),
        NAME.replace("20260201T201529", "20261301T201529"),
        NAME.replace("T01CCV", "T1CCV"),
    ],
)
def test_other_names_are_refused_and_named(name):
    with pytest.raises(CorruptProduct, match=name):
        parse_name(name)


def test_identity_leaves_out_version_and_publication():
    one = product()
    other = product(id="x", baseline="05.12", generated_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert one.identity == other.identity == "S2B_20260201T201529_T01CCV_R028"
    assert product(relative_orbit=29).identity != one.identity


def test_newest_baseline_then_newest_generation_wins():
    later = datetime(2026, 3, 1, tzinfo=UTC)
    versions = [
        product(baseline="", generated_at=later),
        product(baseline="02.09", generated_at=later),
        product(baseline="05.09", generated_at=later),
        product(baseline="05.10"),
        product(baseline="05.10", generated_at=later),
        product(baseline="10.00"),
    ]
    assert sorted(reversed(versions), key=lambda p: p.rank) == versions


def test_needed_files_are_two_xml_and_five_bands():
    paths = [file.path for file in needed_files("p", reversed(FILES))]
    assert paths[:2] == ["MTD_MSIL1C.xml", f"{GRANULE}/MTD_TL.xml"]
    assert [path[-7:-4] for path in paths[2:]] == ["B02", "B03", "B04", "B08", "B11"]


def test_missing_band_is_named():
    with pytest.raises(CorruptProduct, match=r"p has no files GRANULE/\*/IMG_DATA/\*_B11.jp2"):
        needed_files("p", [file for file in FILES if "B11" not in file.path])


def test_two_granules_are_refused():
    with pytest.raises(CorruptProduct, match="2 files GRANULE"):
        needed_files("p", [*FILES, ProductFile("GRANULE/other/MTD_TL.xml")])


@pytest.mark.parametrize(
    "path",
    [
        "../escape.jp2",
        "/etc/passwd",
        "a/../../b",
        "GRANULE/../../x/MTD_TL.xml",
        "a\\..\\b",
        "",
        "a\0b",
        "a\ud800",
        "a\nb",
    ],
)
def test_names_that_lead_out_are_refused(path):
    with pytest.raises(CorruptProduct, match="outside itself"):
        needed_files("p", [*FILES, replace(FILES[0], path=path)])
