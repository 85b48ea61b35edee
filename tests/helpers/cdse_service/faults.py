"""Faults that a test switches on: what goes wrong, on which route, for how many requests.

    space.faults.add("s3.get", status(429, retry_after=2), times=3, match="B08")

Routes are those of `server.ROUTES` ("token", "stac.search", "odata.search", "odata.deleted", "odata.nodes",
"odata.file", "odata.zip", "s3.list", "s3.head", "s3.get", "dhus.search", ...); "s3" or "*" mean all of them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from helpers.cdse_service.answers import Answer, Request, ranged

Fault = Callable[[Request, Answer], Answer]


@dataclass
class _Switched:
    route: str
    fault: Fault
    left: int
    skip: int
    match: str


class Faults:
    """The faults that are switched on; a request meets at most one, the first that was added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._switched: list[_Switched] = []
        self.struck = 0

    def add(self, route: str, fault: Fault, times: int = 1, match: str = "", skip: int = 0) -> None:
        """Let the next `times` requests of `route` whose address contains `match` meet `fault`, after `skip` others."""
        with self._lock:
            self._switched.append(_Switched(route, fault, times, skip, match))

    def clear(self) -> None:
        with self._lock:
            self._switched.clear()
            self.struck = 0

    @property
    def waiting(self) -> int:
        """Faults that were switched on and have not struck yet."""
        with self._lock:
            return sum(switched.left for switched in self._switched)

    def apply(self, route: str, request: Request, answer: Answer) -> Answer:
        """`answer` with its range taken, changed by what strikes this request."""
        fault = self._striking(route, f"{request.path}?{request.raw_query}")
        return ranged(request, fault(request, answer) if fault else answer)

    def _striking(self, route: str, address: str) -> Fault | None:
        with self._lock:
            found = None
            for switched in self._switched:
                if not _covers(switched.route, route) or switched.match not in address or not switched.left:
                    continue
                if switched.skip:
                    switched.skip -= 1
                elif found is None:
                    switched.left -= 1
                    self.struck += 1
                    found = switched.fault
            return found


def _covers(pattern: str, route: str) -> bool:
    return pattern in ("*", route) or route.startswith(f"{pattern}.")


def status(code: int, retry_after: int | str | None = None, body: bytes = b"<html>try later</html>") -> Fault:
    """An error status; `retry_after` in seconds, or "date" for an HTTP date two seconds from now."""

    def fault(request: Request, answer: Answer) -> Answer:
        headers = {}
        if retry_after == "date":
            headers["Retry-After"] = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        elif retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        return Answer(code, body, "text/html", headers)

    return fault


def cut(at: int) -> Fault:
    """The connection ends after `at` bytes of the body, whose length was promised in full."""
    return lambda request, answer: replace(answer, cut_at=at)


def then(fault: Fault, call: Callable[[], None]) -> Fault:
    """`fault`, and `call` when the last byte was sent: a token that ends in mid-transfer, a publication."""
    return lambda request, answer: replace(fault(request, answer), after=call)


def corrupt(request: Request, answer: Answer) -> Answer:
    """One byte of the file is another."""
    middle = len(answer.body) // 2
    changed = bytes([answer.body[middle] ^ 0xFF]) if answer.body else b""
    return replace(answer, body=answer.body[:middle] + changed + answer.body[middle + 1 :])


def short(by: int = 1) -> Fault:
    """The file ends `by` bytes early, and its Content-Length says so."""
    return lambda request, answer: replace(answer, body=answer.body[: len(answer.body) - by])


def wrong_length(by: int) -> Fault:
    """Content-Length is off by `by`, and the connection ends with the body."""

    def fault(request: Request, answer: Answer) -> Answer:
        part = ranged(request, answer)
        return replace(part, length=len(part.body) + by, ranges=False)

    return fault


def ignore_range(request: Request, answer: Answer) -> Answer:
    """The whole file with status 200, whatever range was asked."""
    return replace(answer, ranges=False)


def drip(piece: int, pause: float) -> Fault:
    """The body comes in pieces of `piece` bytes with `pause` seconds between them."""
    return lambda request, answer: replace(answer, piece=piece, pause=pause)


def hang(seconds: float) -> Fault:
    """No answer for `seconds`; ended early when the service stops."""
    return lambda request, answer: replace(answer, hang=seconds)


def redirect(url: str) -> Fault:
    """A redirection to `url`, another host perhaps: credentials must not follow."""
    return lambda request, answer: Answer(302, b"", "text/plain", {"Location": url})


def truncated_json(request: Request, answer: Answer) -> Answer:
    """JSON that ends in the middle, with a Content-Length that fits."""
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def not_json(request: Request, answer: Answer) -> Answer:
    """A page of a proxy with status 200."""
    return Answer(200, b"<html><body>Service maintenance</body></html>", "text/html")


def empty_page(request: Request, answer: Answer) -> Answer:
    """A page without items whose next link stays."""
    return _edited(answer, lambda page: page.update({_items(page): []}))


def repeated_page(request: Request, answer: Answer) -> Answer:
    """A page whose next link leads to itself."""

    def edit(page: dict[str, Any]) -> None:
        if "value" in page:
            page["@odata.nextLink"] = f"{request.base}{request.raw_path}?{request.raw_query}"
            return
        links = [link for link in page["links"] if link["rel"] != "next"]
        again = {"rel": "next", "type": "application/geo+json", "method": request.method}
        if request.method == "POST":
            again |= {"href": f"{request.base}{request.raw_path}", "body": json.loads(request.body)}
        else:
            again |= {"href": f"{request.base}{request.raw_path}?{request.raw_query}"}
        page["links"] = [*links, again]

    return _edited(answer, edit)


def without_asset(name: str) -> Fault:
    """Items that lack the asset `name`."""

    def edit(page: dict[str, Any]) -> None:
        for item in page["features"]:
            item["assets"].pop(name, None)

    return lambda request, answer: _edited(answer, edit)


def changed_items(change: Callable[[dict[str, Any]], None]) -> Fault:
    """Every item (STAC feature or OData product) of a page after `change` was called with it."""

    def edit(page: dict[str, Any]) -> None:
        for item in page[_items(page)]:
            change(item)

    return lambda request, answer: _edited(answer, edit)


def _items(page: dict[str, Any]) -> str:
    return "value" if "value" in page else "features"


def _edited(answer: Answer, edit: Callable[[dict[str, Any]], Any]) -> Answer:
    page = answer.json
    edit(page)
    return replace(answer, body=json.dumps(page).encode())
