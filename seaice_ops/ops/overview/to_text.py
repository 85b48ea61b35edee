"""The overview for a terminal: short lines, wrapped between words only, so that keys and ids stay whole."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.text import Text

from seaice_ops.archive.limits import breaker
from seaice_ops.ops.overview.facts import NewestMap, Overview, Score, TileState, age
from seaice_ops.ops.overview.to_json import iso

#: How many late maps and inactive tiles are shown.
SHOWN = 10


Line = tuple[str, str, str]
"""The first words of a line, the text that is wrapped after them, and the style of both."""


def to_text(found: Overview, width: int = 80) -> list[Text]:
    """The overview, one element a line, of at most `width` characters but for words that are longer."""
    lines = list(_summary(found))
    for part in (_maps(found), _scores(found), _runs(found), _problems(found)):
        more = list(part)
        lines += [("", "", ""), *more] if more else []
    return [Text(text, style) for head, body, style in lines for text in _wrapped(head, body, width)]


def _wrapped(head: str, body: str, width: int) -> list[str]:
    return textwrap.wrap(
        body,
        max(width, 40),
        initial_indent=head,
        subsequent_indent=" " * min(len(head), 12),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head]


def _summary(found: Overview) -> Iterator[Line]:
    states = [f"{count} {state}" for state, count in found.scenes.items() if count]
    labels = [
        f"{each.scenes} by {each.method} {each.version}{' (current)' if each.current else ''}" for each in found.labels
    ]
    yield _row("home", found.home)
    yield _row("objects", found.store)
    yield _row("scenes", ", ".join(states) or "none yet")
    yield _row("labels", ", ".join(labels) or "none yet")
    archive = found.archive
    if archive.searched_until:
        yield _row("searched", f"every tile, for all that was published until {iso(archive.searched_until)}")
    if archive.quota:
        yield _row("quota", archive.quota.sentence(), "yellow" if archive.quota.again else "")
    if archive.outage:
        yield _row("outage", breaker.sentence(archive.kind, archive.outage), "red")
    yield from _first("late", [late.sentence() for late in found.late])
    yield from _first("inactive", [f"{tile}: {since}" for tile, since in found.inactive.items()])


def _row(name: str, body: str, style: str = "") -> Line:
    return f"{name:<8}  ", body, style


def _first(name: str, sentences: list[str]) -> Iterator[Line]:
    for sentence in sentences[:SHOWN]:
        yield _row(name, sentence, "yellow")
    if len(sentences) > SHOWN:
        yield _row(name, f"{len(sentences) - SHOWN} more: see `seaice status --json`", "yellow")


def _maps(found: Overview) -> Iterator[Line]:
    yield "", "Newest maps", "bold"
    for name, tile in found.tiles.items():
        yield from _tile(name, tile)


def _tile(name: str, tile: TileState) -> Iterator[Line]:
    newest = tile.newest_map
    if newest is None:
        yield f"{name}  ", "no map yet", ""
        return
    window = f"{newest.window_start:%Y-%m-%d} to {newest.window_end:%Y-%m-%d}"
    scenes = f"{newest.scenes} scene{'' if newest.scenes == 1 else 's'}"
    yield f"{name}  ", f"{window}, {scenes}, revision {newest.revision}, {age(newest.age_hours)} old", ""
    yield " " * 7, _content(newest), "red" if newest.withdrawn else ""
    yield " " * 7, newest.key, ""


def _content(newest: NewestMap) -> str:
    if newest.withdrawn:
        return f"withdrawn: {newest.withdrawn}"
    areas = [f"{slug.replace('_', ' ')} {area:g} km2" for slug, area in newest.area_km2.items()]
    return ", ".join(areas) or "no areas are known"


def _scores(found: Overview) -> Iterator[Line]:
    subjects = [(model.id, ", ".join(model.aliases), model.scores) for model in found.models]
    subjects += [(f"labels {each.method} {each.version}", "", each.scores) for each in found.labels]
    if subjects:
        yield "", "Scores (models: on held-out acquisitions)", "bold"
    for name, aliases, scores in subjects:
        yield "", f"{name} ({aliases})" if aliases else name, ""
        for words in [_score(score) for score in scores] or ["not evaluated"]:
            yield "  ", words, ""


def _score(score: Score) -> str:
    figures = (("macro-F1", score.macro_f1), ("accuracy", score.accuracy), ("majority class", score.majority))
    known = [f"{name} {value:.3f}" for name, value in figures if value is not None]
    pixels = [f"{score.pixels:,.0f} pixels"] if score.pixels else []
    return f"against {score.against}: {', '.join([*known, *pixels]) or 'no figures'}"


def _runs(found: Overview) -> Iterator[Line]:
    if found.runs:
        yield "", "Last run of each stage", "bold"
    width = max(map(len, found.runs), default=0)
    for stage, run in found.runs.items():
        body = f"{run.error or run.said} ({run.seconds:.1f} s)"
        yield f"{stage:<{width}}  {iso(run.started_at)}  ", body, "red" if run.error else ""


def _problems(found: Overview) -> Iterator[Line]:
    if found.problems:
        yield "", "Last errors", "bold"
    for problem in found.problems:
        yield f"{iso(problem.at)}  ", f"{problem.stage} {problem.item or ''}", ""
        yield "  ", problem.reason or "no reason is known", ""
