"""The account for a terminal, and as Markdown for the store. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from seaice_ops.errors import plain
from seaice_ops.ops.account.reasons import Reason
from seaice_ops.ops.account.report import Report
from seaice_ops.ops.account.table import STEPS, Cell

#: Rows that a person reads; the JSON holds all.
ROWS = 500


def to_text(report: Report, rows: int = 40) -> list[str]:
    """Lines for a terminal: the sentence, what makes it uncertain, and the first `rows` of what is missing."""
    found = [report.sentence(), f"archive: {report.archive}", *report.notices]
    if report.objects.trouble:
        found.append(f"objects: {report.objects.trouble}")
    found += _missing(report, rows)
    found += [f"damaged: {each.key}: {each.what}" for each in report.objects.damaged[:rows]]
    if report.again:
        found.append(f"lost objects of maps are made again by: seaice map{_again(report)}")
    return [plain(line) for line in found]


def _missing(report: Report, rows: int) -> Iterator[str]:
    """The first `rows` missing acquisitions; what is said of several is said once, above them."""
    groups: dict[tuple[str, str], list[str]] = {}
    for line in report.missing[:rows]:
        groups.setdefault((str(line.reason), line.words), []).append(f"{line.day} {line.tile} {line.product}")
    for (reason, words), names in groups.items():
        if len(names) == 1:
            yield f"{names[0]}: {reason}, {words}"
        else:
            yield f"{len(names)} acquisitions: {reason}, {words}"
            yield from (f"  {name}" for name in names)
    if len(report.missing) > rows:
        yield f"and {len(report.missing) - rows} more (--json has all)"


def _again(report: Report) -> str:
    return "".join(f" --again {map_id}" for map_id in report.again[:ROWS])


def to_markdown(report: Report) -> str:
    """The report as Markdown: totals, days with something missing, the missing acquisitions, the objects."""
    return "\n".join(_markdown(report)) + "\n"


def _markdown(report: Report) -> Iterator[str]:
    table, total = report.table()
    yield f"# Account {report.first} to {report.last}{f', {report.region}' if report.region else ''}"
    yield from ("", f"Made {report.at:%Y-%m-%dT%H:%MZ}. Archive: {_safe(report.archive)}.", "")
    for notice in report.notices:
        yield from (f"**{_safe(notice)}**", "")
    yield _row("tile", "day", *STEPS, "reasons")
    yield "|---|---|" + "---:|" * len(STEPS) + "---|"
    yield _row("all", "all", *_cells(total))
    shown = 0
    for tile, days in table.items():
        for day, cell in days.items():
            if cell.reasons and (shown := shown + 1) <= ROWS:
                yield _row(tile, str(day), *_cells(cell))
    yield from ("", f"Days on which everything was published are left out{_more(shown)}.", "", "## Missing", "")
    yield from (_row("day", "tile", "product", "reason", "what"), "|---|---|---|---|---|")
    for line in report.missing[:ROWS]:
        yield _row(str(line.day), line.tile, line.product, str(line.reason), line.words)
    yield from ("", f"{len(report.missing)} acquisitions{_more(len(report.missing))}.", "", "## Objects", "")
    objects = report.objects
    yield objects.trouble or f"{objects.listed} looked for in the list, {objects.sampled} compared by checksum."
    for each in objects.damaged[:ROWS]:
        yield f"- {_safe(each.key)}: {_safe(each.what)}"
    if report.again:
        yield from ("", "Lost objects of maps are made again by", "", f"    seaice map{_again(report)}", "")
    for each_id in objects.unknown[:ROWS]:
        yield f"- {_safe(each_id)}: a map in the store that the ledger does not know"
    yield from ("", "## Reasons", "")
    for reason in Reason:
        yield f"- *{reason}*: {reason.meaning}"


def _cells(cell: Cell) -> list[str]:
    reasons = ", ".join(f"{cell.reasons[reason]} {reason}" for reason in Reason if cell.reasons[reason])
    return [*(str(cell.steps[step]) for step in STEPS), reasons]


def _more(count: int) -> str:
    return f"; {count - ROWS} more are in the JSON" if count > ROWS else ""


def _row(*cells: str) -> str:
    return f"| {' | '.join(_safe(cell) for cell in cells)} |"


def _safe(text: str) -> str:
    """`text` of others as plain words: no cell, link or tag of its own."""
    words = plain(text)
    for sign in "\\|<>[]`*":
        words = words.replace(sign, f"\\{sign}")
    return words
