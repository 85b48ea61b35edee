"""The server: routes, faults, the request log, and how bytes leave (or fail to)."""

from __future__ import annotations

import base64
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

from helpers.cdse_service import dhus, eodata, odata, stac
from helpers.cdse_service.answers import Answer, Request, json_answer
from helpers.cdse_service.catalogue import Catalogue
from helpers.cdse_service.faults import Faults
from helpers.cdse_service.identity import Identity
from helpers.cdse_service.log import Entry, Log


class Space:
    """The service as tests and its own routes see it."""

    user, password = "ice@example.org", "pass-6f1d-word"  # secrets that tests look for where they must not be
    access_key, secret_key = "AKIA7SEAICE", "s3-secret-91c2"

    def __init__(self, page_limit: int = 1000) -> None:
        self.catalogue = Catalogue()
        self.faults = Faults()
        self.log = Log()
        self.identity = Identity(self)
        self.page_limit = page_limit
        self.stopping = threading.Event()
        self.url = ""

    @property
    def stac(self) -> str:
        return f"{self.url}/v1"

    @property
    def odata(self) -> str:
        return f"{self.url}/odata/v1"

    @property
    def token_url(self) -> str:
        return f"{self.url}/auth/realms/CDSE/protocol/openid-connect/token"

    @property
    def s3(self) -> str:
        return self.url

    @property
    def dhus(self) -> str:
        return f"{self.url}/dhus/"

    def secrets(self) -> set[str]:
        """Everything that must appear nowhere: what was configured, in its disguises too, and every token given."""
        basic = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        plain = {self.user, self.password, self.access_key, self.secret_key}
        return {*plain, *map(quote, plain), basic, *self.identity.given}

    def answer(self, request: Request) -> tuple[str, Answer]:
        """The route of a request and its faultless answer."""
        for prefix, routes in ROUTES:
            if request.path.startswith(prefix):
                return routes(self, request)
        return "none", json_answer({"detail": "Not Found"}, 404)


Routes = Callable[[Space, Request], tuple[str, Answer]]
ROUTES: tuple[tuple[str, Routes], ...] = (
    ("/v1", stac.answer),
    ("/odata/v1", odata.answer),
    ("/auth/", lambda space, request: space.identity.answer(request)),
    ("/dhus/", dhus.answer),
    ("/eodata", eodata.answer),
)


_PIECE = 1 << 14


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    space: Space

    def finish_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        with self.space.log.connected():
            super().finish_request(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no error of the server's."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        space = self.server.space
        request = self._request(space)
        entry = space.log.begin(request)
        try:
            entry.route, answer = space.answer(request)
            answer = space.faults.apply(entry.route, request, answer)
            entry.status = answer.status
            if answer.hang:
                space.stopping.wait(answer.hang)
            self._send(space, answer, entry)
        finally:
            if not entry.ended:
                space.log.end(entry)

    do_POST = do_HEAD = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the request log is what tests read."""

    def _request(self, space: Space) -> Request:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {key.lower(): value for key, value in self.headers.items()}
        return Request(self.command, unquote(parts.path), parts.path, parts.query, headers, body, space.url)

    def _send(self, space: Space, answer: Answer, entry: Entry) -> None:
        length = len(answer.body) if answer.length is None else answer.length
        self.send_response(answer.status)
        for key, value in {"Content-Type": answer.type, **answer.headers, "Content-Length": str(length)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        body = answer.body if answer.cut_at is None else answer.body[: answer.cut_at]
        size = answer.piece or _PIECE
        for first in range(0, len(body), size):
            if first and answer.pause and space.stopping.wait(answer.pause):
                break
            if first + size >= len(body):
                space.log.end(entry)  # before the client has it all, and may ask for more
            piece = body[first : first + size]
            self.wfile.write(piece)
            self.wfile.flush()
            entry.bytes += len(piece)
        if answer.after:
            answer.after()
        if len(body) != length:
            self._break_off()

    def _break_off(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            time.sleep(0.05)  # what was sent arrives before the reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def service(page_limit: int = 1000) -> Iterator[Space]:
    """Run the service on a free port; `page_limit` is the most items of one page that it gives."""
    space = Space(page_limit)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.space = space
    space.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield space
    finally:
        space.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
