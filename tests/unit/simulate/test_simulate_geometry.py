"""Tile grid, sun and passes against the real products' metadata."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from seaice_ops.errors import ConfigError
from seaice_ops.geo.tiles import tile_of
from seaice_ops.simulate.passes import passes
from seaice_ops.simulate.sun import sun_angles

REAL = ["60CWS", "01LAC", "46RER", "33XWJ", "01WCS"]


def real_metadata(outside_data: Path, tile: str) -> str:
    (product,) = [
        path for path in (outside_data / "s2_metadata").iterdir() if path.is_dir() and f"_T{tile}_" in path.name
    ]
    (path,) = [path for path in product.rglob("*.xml") if path.name in ("MTD_TL.xml", "metadata.xml")]
    return path.read_text()


def number(text: str, tag: str) -> float:
    return float(re.search(rf"<{tag}[^>]*>([^<]+)</{tag}>", text)[1])


def sensing_time(text: str) -> datetime:
    return datetime.fromisoformat(re.search(r"<SENSING_TIME[^>]*>([^<]+)</SENSING_TIME>", text)[1])


@pytest.mark.parametrize("name", REAL)
def test_tile_starts_where_the_real_one_does(outside_data: Path, name: str) -> None:
    text, tile = real_metadata(outside_data, name), tile_of(name)
    assert (tile.ulx, tile.uly) == (number(text, "ULX"), number(text, "ULY"))
    assert f">EPSG:{tile.epsg}<" in text


def test_tile_of_the_second_demo_tile() -> None:
    # square CV of zone 1: 300 km east, its top 2,000 km from the false origin, moved to the 60 m grid from the equator
    assert (tile_of("01CCV").ulx, tile_of("01CCV").uly, tile_of("01CCV").epsg) == (300_000, 2_000_020, 32_701)


@pytest.mark.parametrize("name", ["", "1CCV", "99ZZZ", "60CIS", "T60CWS"])
def test_a_name_off_the_grid_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="has no tile"):
        tile_of(name)


@pytest.mark.parametrize("name", REAL)
def test_sun_stands_where_the_real_metadata_say(outside_data: Path, name: str) -> None:
    text = real_metadata(outside_data, name)
    mean = text[text.index("<Mean_Sun_Angle>") :]
    zenith, azimuth = sun_angles(*tile_of(name).centre(10_980), sensing_time(text))
    assert zenith == pytest.approx(number(mean, "ZENITH_ANGLE"), abs=0.02)
    assert azimuth == pytest.approx(number(mean, "AZIMUTH_ANGLE"), abs=0.05)


@pytest.mark.parametrize(
    ("name", "platform", "relative", "absolute"),
    [
        ("60CWS", "S2A", 41, 44654),
        ("01LAC", "S2A", 29, 26481),
        ("46RER", "S2A", 133, 32448),
        ("01WCS", "S2A", 73, 41826),
    ],
)
def test_a_real_pass_is_among_the_predicted(
    outside_data: Path, name: str, platform: str, relative: int, absolute: int
) -> None:
    when = sensing_time(real_metadata(outside_data, name))
    found = [p for p in passes(*tile_of(name).centre(10_980), when.date()) if p.relative_orbit == relative]
    assert [(p.platform, p.absolute_orbit) for p in found] == [(platform, absolute)]
    assert abs((found[0].sensed - when).total_seconds()) < 60


def test_passes_repeat_after_ten_days_on_the_same_orbits() -> None:
    place = tile_of("60CWS").centre(10_980)
    first, again = (passes(*place, datetime(2026, 2, day).date()) for day in (3, 13))
    assert [p.relative_orbit for p in first] == [p.relative_orbit for p in again]
    assert all(p.absolute_orbit + 143 == q.absolute_orbit for p, q in zip(first, again, strict=True))
