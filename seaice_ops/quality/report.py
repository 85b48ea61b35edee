"""The figures of label quality as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seaice_ops.classes.legend import CLASSES, SLUGS
from seaice_ops.quality.results import Quality
from seaice_ops.quality.tables import BY_CLASS
from seaice_ops.summary import counted

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
        title = f"{name} against the reference of {counted(found['scenes'], 'scenes')}{similar}"
        yield condition_table(title, found["conditions"])
        yield _confusion(found["conditions"]["all"])


def condition_table(title: str, figures: dict[str, Any]) -> Table:
    """`tables.figures` as a table: a row a class under each condition, and their means."""
    table = _table(title)
    for head in ("condition", "class", "pixels", "precision", "recall", "F1", "IoU", "abstained"):
        table.add_column(head, justify="left" if head in ("condition", "class") else "right")
    for condition, scores in figures.items():
        _condition(table, condition, scores)
    return table


def _condition(table: Table, name: str, scores: dict[str, Any]) -> None:
    """Within conditions drawn around a class only recall means something."""
    shown = ("precision", "recall", "f1", "iou") if name not in BY_CLASS else ("", "recall", "", "")
    rows = {slug: each for slug, each in scores["classes"].items() if each["pixels"] or each["abstained"]}
    for number, (slug, each) in enumerate(rows.items()):
        cells = [share(each[key]) if key else "" for key in shown]
        table.add_row("" if number else name, _WORDS[slug], f"{each['pixels']:,}", *cells, share(each["abstained"]))
    if rows and name not in BY_CLASS:
        means = (share(scores[key]) for key in ("macro_f1", "mean_iou", "abstained"))
        table.add_row("", "mean", f"{scores['pixels']:,}", "", "", *means)


def side_by_side(title: str, found: dict[str, dict[str, Any]]) -> Table:
    """F1 (recall within conditions drawn around a class) of several labellers, a column each; by name `tables.figures`
    of the same pixels."""
    table = _table(title, "condition", "class", "figure")
    for name in found:
        table.add_column(name, justify="right", overflow="fold")
    first = next(iter(found.values()))
    for condition, scores in first.items():
        figure = "recall" if condition in BY_CLASS else "f1"
        for slug, each in scores["classes"].items():
            if each["pixels"]:
                cells = (share(figures[condition]["classes"][slug][figure]) for figures in found.values())
                table.add_row(condition, _WORDS[slug], figure.replace("f1", "F1"), *cells)
    return table


def _confusion(scores: dict[str, Any]) -> Table:
    table = _table("confusion: rows the reference, columns the labels, pixels")
    table.add_column("")
    for slug in _SLUGS:
        table.add_column(_WORDS[slug], justify="right")
    for slug, row in zip(_SLUGS, scores["confusion"], strict=True):
        table.add_row(_WORDS[slug], *(f"{count:,}" for count in row))
    return table


def _agreement(quality: Quality) -> Table:
    table = _table("Agreement between labellers: how alike they are, not how right")
    table.caption, table.caption_justify = (
        "same class, overlap of each class, pixels that only one gives a class",
        "left",
    )
    for head in ("labels", "pixels", "same", *_WORDS.values(), "one only"):
        table.add_column(head, justify="left" if head == "labels" else "right", no_wrap=True)
    for each in quality.agreement:
        pair = "\n".join(each[key].removeprefix("labels:") for key in ("of", "with"))
        overlaps = (share(each["overlap"][slug]) for slug in _SLUGS)
        table.add_row(Text(pair), f"{each['pixels']:,}", share(each["same"]), *overlaps, share(each["one_abstains"]))
    return table


def _flags(quality: Quality) -> RenderableType:
    flagged = {scene_id: each["flags"] for scene_id, each in quality.scenes.items() if each["flags"]}
    if not flagged:
        return Text(f"Nothing unusual in {counted(len(quality.scenes), 'scenes')}.", style="green")
    table = _table(f"Scenes to look at: {len(flagged)} of {len(quality.scenes)}", "scene", "why")
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
