"""The structure of a JSON answer, to compare our answers with recorded ones whatever their values."""

from __future__ import annotations

import re
from typing import Any

_KINDS = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
    "milliseconds": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "seconds": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "hex": r"[0-9a-f]{32,}",
    "s3": r"s3://.+",
    "path": r"/eodata/.+",
    "link": r"https?://.+",
    "geography": r"geography'SRID=4326;.+'",
}


def paths(value: Any, at: str = "") -> set[str]:
    """Every leaf as its path and kind, for example ``value[].Checksum[].Value hex``; list items are taken together."""
    if isinstance(value, dict):
        return set().union(*(paths(part, f"{at}.{key}") for key, part in value.items())) or {f"{at} empty"}
    if isinstance(value, list):
        return set().union(*(paths(part, f"{at}[]") for part in value)) or {f"{at} none"}
    return {f"{at.removeprefix('.')} {_kind(value)}"}


def _kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(type(value).__name__)
    if isinstance(value, int | float):
        return "number"
    return next((kind for kind, pattern in _KINDS.items() if re.fullmatch(pattern, value)), "text")
