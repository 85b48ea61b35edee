"""The version of every algorithm. Raise one by hand when its code answers something else for the same input."""

from __future__ import annotations

from typing import Literal, get_args

#: A labelling method (docs/labels.md). This is the one list of them.
Method = Literal["colour", "iqrah2024", "reflectance"]
METHODS: tuple[Method, ...] = get_args(Method)

#: Each labelling method's number. A new one makes the method's labels anew.
LABELS: dict[str, int] = {"colour": 1, "iqrah2024": 2, "reflectance": 9}

#: How a map is made from probabilities. A new name re-issues the newest map of each tile.
MAPS = "clocks-1"

#: How the drift of a pair of acquisitions is tracked. A new name tracks all pairs anew.
DRIFT = "ncc-1"

#: How a model is trained from a manifest. A new number makes another model of the same scenes.
TRAINING = 1
