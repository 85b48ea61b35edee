"""The figures of label quality as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seaice_ops.legend import CLASSES, SLUGS
from seaice_ops.quality.results import Quality
from seaice_ops.quality.tables import BY_CLASS

_SLUGS = tuple(SLUGS[code] for code in CLASSES)
_WORDS = dict(zip(_SLUGS, ("water", "thin", "thick"), strict=True))


def render(quality: Quality) -> RenderableType:
    """Against truth by labels and condition, agreement by pair, and the flagged scenes."""
    parts: list[RenderableType] = list(_truth(quality))
    if quality.agreement:
        parts.append(_agreement(quality))
    if not quality.truth:
        parts.append(Text("No scene has a reference, so nothing here says how right the labels are.", style="yellow"))
    parts.append(_flags(quality))
    return Group(*parts)


def _truth(quality: Quality) -> Iterator[RenderableType]:
    for name, found in quality.truth.items():
        similar = "" if found["ssim"] is None else f", SSIM {found['ssim']:.4f}"
        table = _table(f"{name} against the reference of {found['scenes']} scenes{similar}")
        for head in ("condition", "class", "pixels", "precision", "recall", "F1", "IoU", "abstained"):
            table.add_column(head, justify="left" if head in ("condition", "class") else "right")
        for condition, scores in found["conditions"].items():
            _condition(table, condition, scores)
        yield table
        yield _confusion(found["conditions"]["all"])


def _condition(table: Table, condition: str, scores: dict[str, Any]) -> None:
    for slug, each in scores["classes"].items():
        if each["pixels"] or each["abstained"]:
            recall_only = condition in BY_CLASS
            figures = [
                None if recall_only and key != "recall" else each[key] for key in ("precision", "recall", "f1", "iou")
            ]
            cells = [*map(share, figures), share(each["abstained"])]
            table.add_row(condition, _WORDS[slug], f"{each['pixels']:,}", *cells)
            condition = ""
    if not condition and scores["macro_f1"] is not None:
        table.add_row(
            "",
            "macro",
            f"{scores['pixels']:,}",
            "",
            "",
            share(scores["macro_f1"]),
            share(scores["mean_iou"]),
            share(scores["abstained"]),
            end_section=True,
        )


def _confusion(scores: dict[str, Any]) -> Table:
    table = _table("confusion: rows the reference, columns the labels, pixels")
    table.add_column("")
    for slug in _SLUGS:
        table.add_column(_WORDS[slug], justify="right")
    for slug, row in zip(_SLUGS, scores["confusion"], strict=True):
        table.add_row(_WORDS[slug], *(f"{count:,}" for count in row))
    return table


def _agreement(quality: Quality) -> Table:
    table = _table("Agreement between labellers (how alike they are, not how right)")
    for head in (
        "one",
        "other",
        "pixels",
        "same class",
        *(f"overlap {word}" for word in _WORDS.values()),
        "one abstains",
    ):
        table.add_column(head, justify="left" if head in ("one", "other") else "right")
    for each in quality.agreement:
        overlaps = (share(each["overlap"][slug]) for slug in _SLUGS)
        table.add_row(
            each["of"], each["with"], f"{each['pixels']:,}", share(each["same"]), *overlaps, share(each["one_abstains"])
        )
    return table


def _flags(quality: Quality) -> RenderableType:
    flagged = {scene_id: each["flags"] for scene_id, each in quality.scenes.items() if each["flags"]}
    if not flagged:
        return Text(f"None of the {len(quality.scenes)} scenes looks unusual.", style="green")
    table = _table(f"Look at these {len(flagged)} of {len(quality.scenes)} scenes", "scene", "why")
    for scene_id, lines in flagged.items():
        for line in lines:
            table.add_row(scene_id, Text(line))
            scene_id = ""
    return table


def share(value: float | None) -> str:
    """A share of 0..1 with three digits; a dash for none."""
    return "-" if value is None else f"{value:.3f}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
