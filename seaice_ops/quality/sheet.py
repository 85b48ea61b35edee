"""One picture a scene: the image, each method's labels, where they disagree, confidence, truth, figures and flags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from seaice_ops.classes import legend
from seaice_ops.ledger.tables import Scene
from seaice_ops.quality import panels, tables
from seaice_ops.quality.canvas import INK, PAPER, SOFT, Colour, Page, Point, width_of, wrapped
from seaice_ops.quality.judge import Judged
from seaice_ops.quality.reading import Picture

#: Edge of a panel, panels in a row, margins; pixels.
EDGE, ACROSS, MARGIN, GAP = 560, 4, 40, 28

_TITLE, _HEAD, _BODY, _SMALL = 34, 24, 19, 16
_HEADER, _CAPTION, _LINE = 112, 62, 30
_GOOD: Colour = (22, 120, 72)
_BAD: Colour = panels.TWO_STEPS

Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Panel:
    """A picture with a title, and a line of small print."""

    title: str
    note: str
    rgb: Rgb


def sheet(scene: Scene, picture: Picture, judged: Judged, ceiling: float) -> Rgb:
    """The sheet of a scene, (rows, columns, 3) u8; the same scene and labels give the same pixels."""
    small = {method: panels.shrunk(codes, EDGE) for method, codes in picture.labels.items()}
    truth = None if picture.truth is None else panels.shrunk(picture.truth, EDGE)
    shown = _panels(picture, judged, small, truth, ceiling)
    across = min(ACROSS, len(shown))
    rows = [shown[start : start + across] for start in range(0, len(shown), across)]
    width = max(across * EDGE + (across - 1) * GAP, 2 * EDGE + GAP) + 2 * MARGIN
    heights = [max(panel.rgb.shape[0] for panel in row) + _CAPTION + GAP for row in rows]
    flags = _flag_lines(judged, width - 2 * MARGIN)
    codes = panels.occurring([*small.values(), *([] if truth is None else [truth])])
    table = _LINE * (len(picture.labels) + 3)
    below = 96 + table + _LINE * (len(flags) + 2) + MARGIN
    page = Page(width, _HEADER + sum(heights) + below)
    _header(page, scene, picture)
    top = _HEADER
    for row, height in zip(rows, heights, strict=True):
        for place, panel in enumerate(row):
            _panel(page, (MARGIN + place * (EDGE + GAP), top), panel)
        top += height
    _scale_bar(page, (MARGIN + 16, _HEADER + _CAPTION + shown[0].rgb.shape[0] - 18), picture)
    _keys(page, (MARGIN, top), codes, bool(picture.confidence), len(picture.labels) > 1 or truth is not None)
    _figures(page, (MARGIN, top + 96), picture, judged)
    _flags(page, (MARGIN, top + 96 + table), flags)
    return page.array()


def _panels(picture: Picture, judged: Judged, small: dict[str, Rgb], truth: Rgb | None, ceiling: float) -> list[Panel]:
    image, gain = panels.true_colour(picture.rgb, picture.valid, EDGE)
    note = f"white is a reflectance of {ceiling / gain:.2f}; labellers see {ceiling:g} as 255"
    found = [Panel("true colour", note, image)]
    for method, codes in small.items():
        found.append(Panel(method, _standing(method, judged), panels.legend_colours(codes)))
    if truth is not None:
        found.append(Panel("truth", "reference labels; figures are against these", panels.legend_colours(truth)))
    if len(small) > 1:
        found.append(Panel("disagreement", _worst(judged), panels.disagreement(small)))
    for method, percent in picture.confidence.items():
        median = _median(percent)
        found.append(Panel(f"confidence of {method}", f"median {median}", panels.confidence(percent, EDGE)))
    if truth is not None:
        best = max(small, key=lambda method: _macro_f1(method, judged) or 0.0)
        found.append(
            Panel(f"errors of {best}", "truth, paled, and where the labels differ", panels.errors(truth, small[best]))
        )
    return found


def _median(percent: NDArray[np.uint8]) -> str:
    known = percent[percent <= 100]
    return f"{np.median(known):.0f} %" if known.size else "unknown"


def _macro_f1(method: str, judged: Judged) -> float | None:
    if method not in judged.truth:
        return None
    value: float | None = tables.figures(judged.truth[method])["all"]["macro_f1"]
    return value


def _standing(method: str, judged: Judged) -> str:
    value = _macro_f1(method, judged)
    return "labels" if value is None else f"macro-F1 {value:.3f} against truth"


def _worst(judged: Judged) -> str:
    pairs = [(tables.agreement(table)["same"], pair) for pair, table in judged.agreement.items()]
    known = [(same, pair) for same, pair in pairs if same is not None]
    if not known:
        return "the labellers share no pixel with a class"
    same, (first, second) = min(known)
    return f"least: {first} and {second} agree on {same:.1%}"


def _header(page: Page, scene: Scene, picture: Picture) -> None:
    pixel = picture.grid.pixel_size
    sun = "" if scene.sun_zenith is None else f"   ·   sun {90 - scene.sun_zenith:.1f}° above the horizon"
    extent = f"{picture.grid.width} x {picture.grid.height} pixels of {pixel:g} m"
    observed = f"{picture.valid.mean():.0%} observed"
    page.strong((MARGIN, 30), f"Tile {scene.tile}, {scene.sensed_at:%d %B %Y, %H:%M} UTC", _TITLE)
    page.text((MARGIN, 74), f"{scene.id}   ·   {extent}   ·   {observed}{sun}", _SMALL, SOFT)


def _panel(page: Page, at: Point, panel: Panel) -> None:
    page.strong(at, panel.title, _HEAD)
    page.text((at[0], at[1] + 32), panel.note, _SMALL, SOFT)
    page.picture((at[0], at[1] + _CAPTION), panel.rgb)


def _scale_bar(page: Page, at: Point, picture: Picture) -> None:
    """A bar of a round number of kilometres, up to a quarter of the panel long; none where pixels are not in metres."""
    if not picture.grid.crs or not CRS.from_string(picture.grid.crs).is_projected:
        return
    shown = max(picture.grid.width, picture.grid.height) * picture.grid.pixel_size / EDGE
    round_to = 10 ** np.floor(np.log10(shown * EDGE / 4))
    metres = float(max(step * round_to for step in (1, 2, 5) if step * round_to <= shown * EDGE / 4))
    words = f"{metres / 1000:g} km"
    length = round(metres / shown)
    page.swatch((at[0] - 8, at[1] - 26), PAPER, max(length, width_of(words, _SMALL)) + 16, 36)
    page.text((at[0], at[1] - 22), words, _SMALL)
    page.swatch((at[0], at[1]), INK, length, 4)


def _keys(page: Page, at: Point, codes: Sequence[int], confidence: bool, apart: bool) -> None:
    _key(page, at, "classes", [(legend.COLOURS[code][:3], legend.NAMES[code]) for code in codes])
    x, y = at[0], at[1] + 40
    if apart:
        apart_entries = [
            (panels.ONE_STEP, "one class apart"),
            (panels.TWO_STEPS, "water against thick ice"),
            (panels.ONE_ABSTAINS, "not all name a class"),
            (panels.paled(np.array([[legend.COLOURS[legend.THIN][:3]]], np.uint8))[0, 0].tolist(), "the same (paled)"),
        ]
        x = _key(page, (x, y), "differences", [(tuple(c), words) for c, words in apart_entries])
    if confidence:
        page.text((x, y), "confidence", _SMALL, SOFT)
        page.text((x + 100, y), "0 %", _SMALL)
        page.picture((x + 138, y), np.repeat(panels.ramp()[None], 18, axis=0).repeat(3, axis=1))
        page.text((x + 450, y), "100 %", _SMALL)


def _key(page: Page, at: Point, title: str, entries: Iterable[tuple[Colour, str]]) -> int:
    """Swatches with their words in a line; the x where the next thing may begin."""
    x, y = at
    page.text((x, y), title, _SMALL, SOFT)
    x += 110
    for colour, words in entries:
        page.swatch((x, y), colour)
        if words == legend.NAMES[legend.NODATA]:
            page.picture((x + 1, y + 1), panels.legend_colours(np.full((17, 25), legend.NODATA, np.uint8)))
        page.text((x + 36, y), words, _SMALL)
        x += 36 + width_of(words, _SMALL) + 28
    return x + 20


def _figures(page: Page, at: Point, picture: Picture, judged: Judged) -> None:
    """A table: a row a method, class shares, and the scores where there is a truth."""
    heads = ["share of observed pixels:", "open water", "thin ice", "thick ice", "no class"]
    if judged.truth:
        heads += ["against truth:", "macro-F1", "F1 water", "F1 thin", "F1 thick", "abstained", "SSIM"]
    places = _columns(at[0], heads)
    page.rule((at[0], at[1] + _LINE), places[-1] - at[0])
    for x, head in zip(places, heads, strict=True):
        page.text((x, at[1]), head, _SMALL, SOFT, "la" if head.endswith(":") else "ra")
    for number, (method, codes) in enumerate(picture.labels.items(), 1):
        y = at[1] + 10 + number * _LINE
        cells = [method, *_shares(codes, picture.valid), *_scored(method, judged)]
        for x, head, cell in zip(places, heads, cells, strict=True):
            page.text((x, y), cell, _BODY, INK, "la" if head.endswith(":") else "ra")


def _columns(left: int, heads: Sequence[str]) -> list[int]:
    """The x of each column: its left edge where it holds words, its right edge where it holds figures."""
    places, x = [], left
    for number, head in enumerate(heads):
        if head.endswith(":"):
            x += 60 if number else 0
            places.append(x)
            x += width_of(head, _SMALL)
        else:
            x += 130
            places.append(x)
    return places


def _shares(codes: NDArray[np.uint8], valid: NDArray[np.bool_]) -> list[str]:
    counts = np.bincount(codes[valid], minlength=256)
    total = max(int(counts.sum()), 1)
    named = [counts[code] / total for code in legend.CLASSES]
    return [f"{share:.1%}" for share in (*named, 1 - sum(named))]


def _scored(method: str, judged: Judged) -> list[str]:
    if not judged.truth:
        return []
    found = tables.figures(judged.truth[method])["all"]
    values = [found["macro_f1"], *(each["f1"] for each in found["classes"].values())]
    abstained, similar = found["abstained"], judged.ssim[method]
    return [
        "",
        *("-" if value is None else f"{value:.3f}" for value in values),
        "-" if abstained is None else f"{abstained:.1%}",
        "-" if similar is None else f"{similar:.3f}",
    ]


def _flag_lines(judged: Judged, width: int) -> list[tuple[str, str]]:
    """(what is flagged, one line of its reason), the former only on the first line of each."""
    return [
        (f"{flag.method}: {flag.name}" if number == 0 else "", line)
        for flag in judged.flags
        for number, line in enumerate(wrapped(flag.reason, _BODY, width - 420))
    ]


def _flags(page: Page, at: Point, lines: Sequence[tuple[str, str]]) -> None:
    if not lines:
        page.strong(at, "No flags: nothing about this scene looks unusual.", _BODY, _GOOD)
        return
    page.strong(at, "Look at this scene:", _BODY, _BAD)
    for number, (what, line) in enumerate(lines, 1):
        y = at[1] + number * _LINE
        page.strong((at[0], y), what, _BODY)
        page.text((at[0] + 420, y), line, _BODY)
