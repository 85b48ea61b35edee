"""A console on which the text of others (product names, reasons, an archive's answers) is text and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

#: Control characters but newlines, and signs that turn the direction of writing, by a visible sign.
_VISIBLE: dict[int, int | str] = {
    **{code: 0x2400 + code for code in range(32) if code != 10},
    0x7F: "\N{SYMBOL FOR DELETE}",
    **dict.fromkeys([*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029], "\ufffd"),
}


def one_line(text: str) -> str:
    """`text` with a visible sign in the place of each control character; a newline at the end is dropped."""
    return text.rstrip("\n").replace("\n", " \N{SYMBOL FOR NEWLINE} ").translate(_VISIBLE)


class OneLine(logging.Formatter):
    """Keeps each message of the log on one line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return one_line(super().formatMessage(record))


class Terminal(Console):
    """A console that shows brackets as they are, and control characters, escapes among them, by a visible sign.

    A `str` is one line: a newline in it is shown as a sign too. Lines of one's own are several arguments of `print`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, soft_wrap=True, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(one_line(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(segment.text.translate(_VISIBLE), segment.style)
