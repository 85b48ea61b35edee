"""The findings of a label-quality run, over all its scenes and scene by scene, as JSON types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from seaice_ops.ledger.tables import LabelSet
from seaice_ops.models.card import Labels
from seaice_ops.quality import flags, tables
from seaice_ops.quality.judge import Judged
from seaice_ops.quality.reading import Subject

Found = Mapping[str, tuple[Subject, Judged]]


@dataclass(frozen=True)
class Quality:
    """The findings of a run, as JSON types.

    `truth` by subject: `metrics.scores` of each condition (`conditions`), the same on the pixels that all methods
    label (`common`), mean `ssim`, number of `scenes`. `agreement`: a list, each of two subjects (`of`, `with`).
    `scenes` by id: class shares, truth figures in short, agreement, flags.
    """

    truth: dict[str, Any]
    agreement: list[dict[str, Any]]
    scenes: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def names(found: Found) -> dict[str, str]:
    """The name of each method's labels, under which they are evaluated as in training, by method."""
    return {row.method: _name(row) for subject, _ in found.values() for row in subject.labels}


def gathered(found: Found) -> Quality:
    """Counts of all scenes added up, and each scene in a few figures."""
    called = names(found)
    truth = {}
    for method, name in called.items():
        parts = [judged for _, judged in found.values() if method in judged.truth]
        if parts:
            similar = [value for part in parts if (value := part.ssim[method]) is not None]
            truth[name] = {
                "scenes": len(parts),
                "conditions": tables.figures(sum(part.truth[method] for part in parts)),  # type: ignore[arg-type]
                "common": tables.figures(sum(part.common[method] for part in parts)),  # type: ignore[arg-type]
                "ssim": float(np.mean(similar)) if similar else None,
            }
    pairs = dict.fromkeys(pair for _, judged in found.values() for pair in judged.agreement)
    agreement = [
        {"of": called[first], "with": called[second]}
        | tables.agreement(
            np.sum([j.agreement[first, second] for _, j in found.values() if (first, second) in j.agreement], 0)
        )
        for first, second in pairs
    ]
    return Quality(truth, agreement, {scene_id: _short(*each) for scene_id, each in found.items()})


def _short(subject: Subject, judged: Judged) -> dict[str, Any]:
    """One scene in a few figures."""
    scored = {method: tables.figures(counts)["all"] for method, counts in judged.truth.items()}
    return {
        "tile": subject.scene.tile,
        "sensed_at": subject.scene.sensed_at.isoformat(),
        "shares": {row.method: row.shares for row in subject.labels},
        "truth": {
            method: {key: each[key] for key in ("pixels", "macro_f1", "accuracy", "abstained")}
            | {"ssim": judged.ssim[method]}
            for method, each in scored.items()
        },
        "agreement": {f"{a} / {b}": tables.agreement(table)["same"] for (a, b), table in judged.agreement.items()},
        "flags": flags.text(judged.flags),
    }


def _name(row: LabelSet) -> str:
    return Labels(method=row.method, version=row.version).subject
