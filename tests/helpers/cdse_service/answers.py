"""Requests, answers and the parts of HTTP that every route shares: JSON bodies, byte ranges."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Request:
    """One request: `path` is percent-decoded, `raw_path` and `raw_query` are as they came."""

    method: str
    path: str
    raw_path: str
    raw_query: str
    headers: dict[str, str]
    body: bytes
    base: str

    @property
    def query(self) -> dict[str, str]:
        return {key: values[-1] for key, values in parse_qs(self.raw_query, keep_blank_values=True).items()}

    @property
    def form(self) -> dict[str, str]:
        return {key: values[-1] for key, values in parse_qs(self.body.decode()).items()}


@dataclass(frozen=True)
class Answer:
    """An answer and how it is sent; faults change it before that."""

    status: int = 200
    body: bytes = b""
    type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = False
    cut_at: int | None = None
    length: int | None = None
    piece: int | None = None
    pause: float = 0.0
    hang: float = 0.0
    after: Callable[[], None] | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def json_answer(value: Any, status: int = 200, type: str = "application/json", **headers: str) -> Answer:
    return Answer(status, json.dumps(value).encode(), type, headers)


def file_answer(data: bytes, type: str = "application/octet-stream", **headers: str) -> Answer:
    """A file of which clients may ask a range."""
    return Answer(200, data, type, {"Accept-Ranges": "bytes", **headers}, ranges=True)


def ranged(request: Request, answer: Answer) -> Answer:
    """The part of a file that the request's Range names, unless its If-Range names another version."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    known = request.headers.get("if-range")
    if known and known not in (answer.headers.get("ETag"), answer.headers.get("Last-Modified")):
        return answer
    if not answer.ranges or answer.status != 200 or not match or not (match[1] or match[2]):
        return answer
    size = len(answer.body)
    start, end = (int(match[1]), int(match[2] or size - 1)) if match[1] else (size - int(match[2]), size - 1)
    if start >= size or start > end:
        return replace(answer, status=416, body=b"", headers={"Content-Range": f"bytes */{size}"})
    end = min(end, size - 1)
    headers = {**answer.headers, "Content-Range": f"bytes {start}-{end}/{size}"}
    return replace(answer, status=206, body=answer.body[start : end + 1], headers=headers)
