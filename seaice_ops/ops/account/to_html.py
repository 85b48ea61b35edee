"""The account as a page of its own, for the store and the console: no script, one style, everything escaped. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from html import escape
from importlib.resources import files

from seaice_ops.errors import plain
from seaice_ops.ops.account.reasons import Reason
from seaice_ops.ops.account.report import Report
from seaice_ops.ops.account.table import STEPS, Cell

#: Tiles, acquisitions and objects that the page shows; the JSON holds all.
MOST_TILES, ROWS = 250, 500

#: How a cell is drawn, worst first: the first group that it has a reason of.
_KINDS = (
    ("alarm", (Reason.UNEXPLAINED,)),
    ("failed", (Reason.FILE, Reason.DATA)),
    ("waits", (Reason.OUTAGE, Reason.QUOTA, Reason.LABELS, Reason.MODEL, Reason.NOT_YET, Reason.SUPERSEDED)),
    ("dark", (Reason.LOW_SUN, Reason.NO_SEA, Reason.WITHDRAWN)),
)
_LEGEND = {
    "done": "all published",
    "waits": "on its way",
    "dark": "nothing to see, or withdrawn",
    "failed": "failed",
    "alarm": "unexplained",
}


def style() -> str:
    """The page's style sheet."""
    return files(__package__).joinpath("account.css").read_text()


def to_html(report: Report) -> str:
    """The whole page. Its links lead to the other forms of the same report, beside it."""
    return "\n".join(_page(report)) + "\n"


def _page(report: Report) -> Iterator[str]:
    title = f"Account {report.first} to {report.last}{f', {report.region}' if report.region else ''}"
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{_text(title)}</title>\n<style>{style()}</style>\n</head>\n<body>"
    yield f"<header><h1>{_text(title)}</h1>"
    yield f'<p class="faint">Made {report.at:%Y-%m-%dT%H:%MZ}. Archive: {_text(report.archive)}.</p>'
    links = {"account.json": "JSON", "account.md": "Markdown", "ingest.txt": "list for seaice ingest --list"}
    yield f"<nav>{' '.join(_link(*each) for each in links.items())}</nav></header>\n<main>"
    yield from (f'<p class="notice" role="status">{_text(notice)}</p>' for notice in report.notices)
    count = len(report.unexplained)
    if count:
        yield f'<p class="notice alarm" role="alert">{count} unexplained: a person must look.</p>'
    yield from _totals(report)
    yield from _strips(report)
    yield from _missing(report)
    yield from _objects(report)
    yield from _reasons()
    yield "</main>\n</body>\n</html>"


def _totals(report: Report) -> Iterator[str]:
    _, total = report.table()
    yield '<section aria-labelledby="totals"><h2 id="totals">Acquisitions</h2><table>'
    yield _row("th", *STEPS)
    yield _row("td", *(str(total.steps[step]) for step in STEPS)) + "</table>"
    yield f"<p>{_text(_words(total) or 'Nothing is missing.')}</p></section>"


def _strips(report: Report) -> Iterator[str]:
    """A strip a tile, a square a day; the tiles with something unexplained first."""
    table, _ = report.table()
    days = [report.first + timedelta(days=n) for n in range((report.last - report.first).days + 1)]
    order = sorted(table, key=lambda tile: (min(_rank(cell) for cell in table[tile].values()), tile))
    yield '<section aria-labelledby="days"><h2 id="days">Days of each tile</h2><ul class="legend">'
    yield from (f'<li><i class="{kind}"></i>{words}</li>' for kind, words in _LEGEND.items())
    yield f'</ul><p class="faint">From {days[0]} to {days[-1]}; an empty square is a day without an acquisition.</p>'
    yield '<div class="scroll"><table class="strips">'
    for tile in order[:MOST_TILES]:
        squares = "".join(_square(day, table[tile].get(day)) for day in days)
        missing = sum(bool(cell.reasons) for cell in table[tile].values())
        said = f"{len(table[tile])} days with acquisitions, {missing} of them with something missing"
        yield f'<tr><th scope="row">{_text(tile)}</th><td aria-label="{said}">{squares}</td></tr>'
    yield f"</table></div>{_more(len(order), MOST_TILES, 'tiles')}</section>"


def _square(day: date, cell: Cell | None) -> str:
    if cell is None:
        return "<i></i>"
    kinds = [kind for kind, _ in _KINDS] + ["done"]
    said = f"{day}: {cell.steps['published']} of {cell.steps['expected']} published"
    words = _words(cell)
    return f'<i class="{kinds[_rank(cell)]}" title="{_text(f"{said}; {words}" if words else said)}"></i>'


def _rank(cell: Cell) -> int:
    """Number of the kind of the cell: 0 is the worst, `len(_KINDS)` means done."""
    return next((n for n, (_, group) in enumerate(_KINDS) if any(cell.reasons[each] for each in group)), len(_KINDS))


def _missing(report: Report) -> Iterator[str]:
    missing = report.missing
    yield '<section aria-labelledby="missing"><h2 id="missing">Missing</h2>'
    yield '<div class="scroll"><table>' + _row("th", "day", "tile", "product", "reason", "what")
    for line in missing[:ROWS]:
        yield _row("td", str(line.day), line.tile, line.product, str(line.reason), line.words)
    yield f"</table></div>{_more(len(missing), ROWS, 'acquisitions')}</section>"


def _objects(report: Report) -> Iterator[str]:
    objects = report.objects
    yield '<section aria-labelledby="objects"><h2 id="objects">Objects in the store</h2>'
    said = f"{objects.listed} looked for in the list, {objects.sampled} of today's sample compared by checksum."
    yield f"<p>{_text(objects.trouble or said)}</p><ul>"
    yield from (f"<li>{_text(f'{each.key}: {each.what}')}</li>" for each in objects.damaged[:ROWS])
    yield from (f"<li>{_text(each)}: a map that the ledger does not know</li>" for each in objects.unknown[:ROWS])
    yield "</ul>"
    if report.again:
        command = " ".join(f"--again {map_id}" for map_id in report.again[:ROWS])
        yield f"<p>Lost objects of maps are made again by <code>seaice map {_text(command)}</code></p>"
    yield "</section>"


def _reasons() -> Iterator[str]:
    yield '<section aria-labelledby="reasons"><h2 id="reasons">Reasons</h2><dl>'
    yield from (f"<dt>{_text(reason.value)}</dt><dd>{_text(reason.meaning)}</dd>" for reason in Reason)
    yield "</dl></section>"


def _words(cell: Cell) -> str:
    return ", ".join(f"{cell.reasons[reason]} {reason}" for reason in Reason if cell.reasons[reason])


def _more(count: int, most: int, what: str) -> str:
    return f'<p class="faint">{count - most} more {what} are in the JSON.</p>' if count > most else ""


def _row(tag: str, *cells: str) -> str:
    scope = ' scope="col"' if tag == "th" else ""
    return "<tr>" + "".join(f"<{tag}{scope}>{_text(cell)}</{tag}>" for cell in cells) + "</tr>"


def _link(href: str, words: str) -> str:
    return f'<a href="{href}">{_text(words)}</a>'


def _text(words: str) -> str:
    return escape(plain(words))
