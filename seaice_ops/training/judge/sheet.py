"""The gate's verdict as JSON and as a page: the rules, and macro-F1 by acquisition and slice. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from seaice_ops.training.judge.figures import Table, macro_f1
from seaice_ops.training.judge.golden import Verdict
from seaice_ops.training.judge.tables import Golden, Results

_INK = {"challenger": "#1f6fb4", "champion": "#e08214", "labels": "#8c8c8c"}

_KEPT, _BROKEN = "<td>kept</td>", '<td class="no">broken</td>'

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1b1b1b; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.verdict { padding: .6rem .9rem; border-left: .4rem solid; background: #f4f4f4; }
.passed { border-color: #2a7d3f; } .refused { border-color: #b3261e; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .5rem; }
td, th { border-bottom: 1px solid #ddd; } td.no { color: #b3261e; font-weight: 600; } svg { max-width: 100%; }
"""


def to_json(model_id: str, rivals: Mapping[str, str | None], golden: Golden, verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON types; `rivals` are the ids of the champion and of the best champion so far."""
    return {
        "challenger": model_id,
        **rivals,
        "golden_set": golden.version,
        "scenes": list(golden.scenes),
        "promote": verdict.promote,
        "reason": verdict.reason,
        "checks": [{"rule": check.rule, "kept": check.kept, "words": check.words} for check in verdict.checks],
    }


def page(
    model_id: str, rivals: Mapping[str, str | None], golden: Golden, verdict: Verdict, sides: Mapping[str, Results]
) -> str:
    """A page of HTML without scripts; `sides` are the results of `challenger` and, where there is one, `champion`."""
    ours = sides["challenger"]
    by_day = {name: side.model.acquisitions for name, side in sides.items()} | {"labels": ours.labels}
    by_slice = {name: side.model.slices for name, side in sides.items()}
    rows = "".join(
        f"<tr><td>{escape(check.rule)}</td>{_KEPT if check.kept else _BROKEN}<td>{escape(check.words)}</td></tr>"
        for check in verdict.checks
    )
    beside = ", ".join(f"{escape(name)} {escape(value or 'none')}" for name, value in rivals.items())
    word = "passed" if verdict.promote else "refused"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"/><title>Verdict on {escape(model_id)}</title><style>{_STYLE}</style></head>
<body><h1>Verdict on {escape(model_id)}</h1>
<p class="verdict {word}">{escape(verdict.reason)}</p>
<p>Golden set {escape(golden.version)}, {len(golden.scenes)} acquisitions with truth. Beside: {beside}.</p>
<h2>Rules</h2>
<table><thead><tr><th>rule</th><th></th><th>figures</th></tr></thead><tbody>{rows}</tbody></table>
<h2>Macro-F1 by acquisition</h2>{bars(by_day)}
<h2>Macro-F1 by slice</h2>{bars(by_slice)}
<h2>Confidence</h2>{reliability({name: side.model.confidence for name, side in sides.items()})}
</body></html>
"""


def bars(sides: Mapping[str, Mapping[str, Table]]) -> str:
    """An SVG of one row for each table's name, one bar a side: macro-F1 from 0 to 1, a pixel without class is wrong."""
    names = sorted({name for tables in sides.values() for name in tables})
    step, left, width = 8 * len(sides) + 10, 420, 330
    drawn = [_legend(list(sides))]
    for row, name in enumerate(names):
        top = 30 + row * step
        drawn.append(f'<text x="{left - 8}" y="{top + 10}" text-anchor="end" font-size="11">{escape(name)}</text>')
        for number, (side, tables) in enumerate(sides.items()):
            score = float(macro_f1(tables[name])) if name in tables else float("nan")
            if np.isnan(score):
                continue
            y = top + 8 * number
            drawn.append(f'<rect x="{left}" y="{y}" width="{score * width:.1f}" height="7" fill="{_INK[side]}"/>')
            drawn.append(f'<text x="{left + score * width + 5:.1f}" y="{y + 7}" font-size="9">{score:.3f}</text>')
    height = 40 + len(names) * step
    words = f"macro-F1 of {', '.join(sides)} for {len(names)} names"
    return f'<svg viewBox="0 0 820 {height}" role="img" aria-label="{escape(words)}">{"".join(drawn)}</svg>'


def reliability(sides: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """An SVG of how often a class said with a confidence is right: on the diagonal, as often as it says."""
    size, drawn = 260, [_legend(list(sides))]
    drawn.append(f'<path d="M40 {size + 30} L{size + 40} 30" stroke="#bbb" fill="none"/>')
    for name, bins in sides.items():
        points = [(sure / count, right / count) for count, sure, right in bins.tolist() if count]
        path = " ".join(f"{40 + x * size:.1f},{30 + (1 - y) * size:.1f}" for x, y in points)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{_INK[name]}" stroke-width="2"/>')
    drawn.append(f'<text x="40" y="{size + 48}" font-size="11">confidence 0 to 1; upwards: share that is right</text>')
    return (
        f'<svg viewBox="0 0 820 {size + 60}" role="img" aria-label="Share right by confidence">{"".join(drawn)}</svg>'
    )


def _legend(names: Sequence[str]) -> str:
    return "".join(
        f'<rect x="{40 + 120 * number}" y="6" width="10" height="10" fill="{_INK[name]}"/>'
        f'<text x="{55 + 120 * number}" y="15" font-size="11">{name}</text>'
        for number, name in enumerate(names)
    )
