"""Our wire as an adapter of `requests`: what such a library asks is metered, repeated and bounded as well."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import BaseAdapter

from seaice_ops.archive.transport.http import Wire


class WireAdapter(BaseAdapter):
    """Sends prepared requests over `wire`; errors are the wire's, answers are of status 200."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        headers = {key: str(value) for key, value in request.headers.items() if key.lower() != "content-length"}
        response = requests.Response()
        response._content = self._wire.request(
            request.method or "GET", request.url or "", headers=headers, content=request.body
        )
        response.status_code, response.url, response.request = 200, request.url or "", request
        return response

    def close(self) -> None:
        """The wire outlives its users."""
