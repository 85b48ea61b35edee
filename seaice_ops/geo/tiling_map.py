"""A small picture of an area and its tiles."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from seaice_ops.geo.tiling import Selection, plane_of, project

SIZE, MARGIN = 900, 20
AREA, KEPT, LEFT_OUT = (205, 228, 245), (20, 70, 120), (190, 190, 190)


def draw(rings: Iterable[np.ndarray], found: Selection, target: Path) -> None:
    """Write a PNG to `target`: the area filled, tiles in blue with their names, tiles left out in grey.

    North is up at the area's centre.
    """
    outlines = list(rings)
    plane = plane_of(np.concatenate(outlines))
    flat = [project(plane, ring) for ring in outlines]
    shown = [(tile, project(plane, tile.ring())) for tile in (*(t for t, _ in found.left_out), *found.tiles)]
    everything = np.concatenate([*flat, *(ring for _, ring in shown)])
    low, span = everything.min(0), np.ptp(everything, axis=0).max()

    def pixels(ring: np.ndarray) -> list[tuple[float, float]]:
        scaled = (ring - low) / span * (SIZE - 2 * MARGIN) + MARGIN
        return [(float(x), float(SIZE - y)) for x, y in scaled]

    image = Image.new("RGB", (SIZE, SIZE), "white")
    pen = ImageDraw.Draw(image)
    for ring in flat:
        pen.polygon(pixels(ring), fill=AREA)
    for tile, ring in shown:
        kept = tile in found.tiles
        outline = pixels(ring)
        pen.line([*outline, outline[0]], fill=KEPT if kept else LEFT_OUT, width=1)
        if kept and len(found.tiles) <= 400:
            x, y = np.mean(outline, axis=0)
            pen.text((x, y), tile.name, fill=KEPT, anchor="mm", font_size=9)
    image.save(target, optimize=True)
