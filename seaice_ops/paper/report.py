"""The published table with our figures, the paper's and the honest ones side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seaice_ops.paper.patches import AUTO, FILTERED, MAN, ORIGINAL, Patches
from seaice_ops.paper.protocol import ALL, HONEST, LITTLE, MUCH, PAPER, PAPER_SSIM, PUBLISHED, TABLE, Score

_NAMES = {AUTO: "Auto", MAN: "Man", TABLE: "table"}
_GROUPS = {ALL: "all", MUCH: ">= 10", LITTLE: "< 10"}
_FIGURES = ("accuracy", "precision", "recall", "f1")
_HEADS = ("cloud %", "model", "accur.", "paper's", "prec.", "recall", "F1", "accur.", "prec.", "recall", "F1")

_MEANING = (
    "Left, as published: patches of the same scenes are in training and test, and U-Net-Auto is scored against the "
    "auto-labels it learnt from. A filtered image has three grey levels, and those are its auto-labels: a table of "
    "three entries (`table`) gets them all right. So a figure near 100 % says that a network can copy a table, not "
    "that ice is ice. Right: test acquisitions that training never saw, scored against the hand labels. Precision, "
    "recall and F1 are means over the classes; no-data counts nowhere."
)


def render(scores: Sequence[Score], patches: Patches) -> RenderableType:
    """Both tables in one, the similarity of the auto-labels to the hand labels, and how to read them."""
    found = {(each.labels, each.images, each.group, each.protocol): each for each in scores}
    table = Table(box=None, padding=(0, 1, 0, 0), title="U-Nets, %: as published (left), honest (right)")
    for number, head in enumerate(_HEADS):
        table.add_column(head, justify="right" if number > 1 else "left", no_wrap=True)
    for images in (ORIGINAL, FILTERED):
        table.add_row(Text(images, style="bold"))
        for group in (ALL, MUCH, LITTLE):
            for number, labels in enumerate((AUTO, MAN, TABLE)):
                left, right = (found.get((labels, images, group, protocol)) for protocol in (PUBLISHED, HONEST))
                if left and right and left.patches + right.patches:
                    table.add_row("" if number else _GROUPS[group], _NAMES[labels], *_cells(left, right))
    return Group(table, Text(""), _similarity(patches), Text(""), Text(_MEANING))


def _cells(left: Score, right: Score) -> list[str]:
    paper = PAPER.get((left.labels, left.images, left.group))
    mine, honest = ([percent(getattr(each, figure)) for figure in _FIGURES] for each in (left, right))
    return [mine[0], "" if paper is None else f"{paper:.2f}", *mine[1:], *honest]


def _similarity(patches: Patches) -> Text:
    lines = [
        f"SSIM of the auto-labels to the hand labels, {words}: {percent(patches.similar[name])} % "
        f"(the paper: {100 * PAPER_SSIM[name]:.2f} %)"
        for name, words in ((ORIGINAL, "without the filter"), (FILTERED, "with it"))
    ]
    return Text("\n".join(lines))


def percent(share: float | None) -> str:
    """The share 0..1 in percent with two decimals; a dash for None."""
    return "-" if share is None else f"{100 * share:.2f}"
