"""A page to write and draw on: the few shapes that a sheet is made of. Text is Pillow's own font, on every machine."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[int, int]

PAPER: Colour = (255, 255, 255)
INK: Colour = (24, 33, 44)
SOFT: Colour = (98, 112, 128)
LINE: Colour = (208, 214, 221)


class Page:
    """A white picture of `width` x `height` pixels with a pen; positions are (x, y) from the upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def text(self, at: Point, words: str, size: int, colour: Colour = INK, anchor: str = "la") -> None:
        """One line; `anchor` as Pillow names it (``la``: `at` is its upper left, ``ra``: its upper right)."""
        self.draw.text(at, words, fill=colour, font=font(size), anchor=anchor)

    def strong(self, at: Point, words: str, size: int, colour: Colour = INK, anchor: str = "la") -> None:
        """`text`, heavier."""
        self.draw.text(
            at, words, fill=colour, font=font(size), anchor=anchor, stroke_width=size / 48, stroke_fill=colour
        )

    def picture(self, at: Point, rgb: NDArray[np.uint8]) -> None:
        """(rows, columns, 3) u8 with a thin frame."""
        rows, columns = rgb.shape[:2]
        self.image.paste(Image.fromarray(rgb), at)
        self.draw.rectangle((at[0] - 1, at[1] - 1, at[0] + columns, at[1] + rows), outline=LINE)

    def swatch(self, at: Point, colour: Colour, width: int = 26, height: int = 18) -> None:
        """A framed patch of colour."""
        self.draw.rectangle((*at, at[0] + width, at[1] + height), fill=colour, outline=LINE)

    def rule(self, at: Point, width: int, colour: Colour = LINE) -> None:
        """A horizontal line."""
        self.draw.line((*at, at[0] + width, at[1]), fill=colour)

    def array(self) -> NDArray[np.uint8]:
        """The page, (rows, columns, 3) u8."""
        return np.asarray(self.image)


def png(rgb: NDArray[np.uint8]) -> bytes:
    """A page as PNG, packed for speed: one a scene is written."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


def width_of(words: str, size: int) -> int:
    """Pixels that a line takes."""
    return int(font(size).getlength(words) + 0.5)


def wrapped(words: str, size: int, width: int) -> list[str]:
    """`words` in lines of at most `width` pixels, broken between words; a longer word has a line of its own."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


@cache
def font(size: int) -> Any:
    """Pillow's own font."""
    return ImageFont.load_default(size)
