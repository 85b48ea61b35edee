"""Requests to a service over HTTP: metered, repeated with patience, bounded; every refusal says what to do.

A request that brings nothing for now (no connection, a cut, a drip, 408, 425, 429, 5xx) is tried again after an
exponential back-off with full jitter, or after what `Retry-After` asks for; when the tries are used up it is
`QuotaExceeded` (429) or `ArchiveUnavailable`. A refusal that time does not heal is `Refused`, at once.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from seaice_ops.archive.transport import proxies
from seaice_ops.errors import ArchiveUnavailable, ConfigError, QuotaExceeded, TransientError
from seaice_ops.settings import HttpSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Bytes by which a series of tries must have come further to be worth another series.
PROGRESS = 1 << 20
#: The longest wait of the back-off's own, seconds.
_LONGEST = 60.0
#: The largest answer that is held in memory.
_LARGEST = 256 << 20
_METERED = 4 << 20
_PASSING = {408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524}
_REDIRECTS = {301, 302, 303, 307, 308}
_ADVICE = {
    401: "the credentials were not accepted; see docs/copernicus.md",
    403: "it does not exist, or these credentials may not read it; see docs/copernicus.md",
    404: "there is nothing under this address; check the archive's URL in config/seaice.yaml",
}

#: Codes of an S3 service's 403 that concern the keys or the account, not the file that was asked for.
_OF_ALL_FILES = {
    "AccountProblem",
    "AllAccessDisabled",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "InvalidToken",
    "NotSignedUp",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}


class Meter(Protocol):
    """Counts what we ask of an archive, for example `archive.limits.quota.Meter`.

    All but `flush` may wait or raise `QuotaExceeded`.
    """

    def before_request(self) -> None: ...

    def hold(self, seconds: float) -> None: ...

    def received(self, n_bytes: int) -> None: ...

    def connection(self) -> AbstractContextManager[None]: ...

    def flush(self) -> None: ...


class Refused(ConfigError):
    """A 4xx answer that trying again does not heal; `code` is the word for it in an S3 service's answer, or empty."""

    def __init__(self, url: str, status: int, code: str = "") -> None:
        words = f"{status} ({code})" if code else f"{status}"
        super().__init__(f"{shown(url)} answers {words}: {_ADVICE.get(status, 'it does not take this request')}")
        self.status, self.code = status, code

    @property
    def of_one_file(self) -> bool:
        """True where other files may still be had: this one is gone, or may not be read.

        S3 answers 403 for a key that does not exist to whoever may not list its bucket.
        """
        return self.status in (404, 410) or (self.status == 403 and self.code not in _OF_ALL_FILES)


class Again(Exception):
    """This try brought nothing; `error` is what it is when no try is left, `wait_s` what the service asks for."""

    def __init__(self, error: TransientError, wait_s: float = 0.0) -> None:
        super().__init__(str(error))
        self.error, self.wait_s = error, wait_s


@dataclass(frozen=True)
class Wire:
    """Connections to an archive's services, shared by the threads of a process."""

    patience: HttpSettings
    meter: Meter
    client: httpx.Client = field(repr=False)
    sleep: Callable[[float], None] = time.sleep

    def request(self, method: str, url: str, auth: httpx.Auth | None = None, **sent: Any) -> bytes:
        """The whole answer to one request (`params`, `json`, `data`, `headers` as httpx takes them).

        Raises `Refused`, `QuotaExceeded`, `ArchiveUnavailable`.
        """

        def ask() -> bytes:
            answer = bytearray()
            with self.answer(method, url, auth, **sent) as response:
                for chunk in self.flow(response, response.iter_bytes()):
                    answer += chunk
                    if len(answer) > _LARGEST:
                        raise ConfigError(f"{shown(url)} answers with more than {_LARGEST >> 20} MiB; ask for less")
            return bytes(answer)

        return self.persist(ask)

    def persist(self, ask: Callable[[], T], progress: Callable[[], int] = lambda: 0) -> T:
        """The answer of `ask`, tried again while it raises `Again`; tries are counted anew where `progress` grew."""
        while True:
            before = progress()
            tries = Retrying(
                retry=retry_if_exception_type(Again),
                stop=stop_after_attempt(self.patience.attempts),
                wait=self._wait,
                sleep=self.sleep,
                retry_error_callback=_give_up,
            )
            try:
                return tries(ask)
            except ArchiveUnavailable as error:
                if error.again or progress() - before < PROGRESS:
                    raise

    @contextmanager
    def answer(self, method: str, url: str, auth: httpx.Auth | None = None, **sent: Any) -> Iterator[httpx.Response]:
        """One try of a request: its answer of 2xx, still unread. Raises `Again` or `Refused`."""
        try:
            with self._followed(method, url, auth, sent) as response:
                self._judge(url, response)
                yield response
        except httpx.TransportError as error:
            if isinstance(error, httpx.UnsupportedProtocol):
                raise ConfigError(f"{shown(url)} is no http address; correct it in config/seaice.yaml") from None
            # A local protocol error quotes the header that it dislikes, which may be a secret.
            words = "" if isinstance(error, httpx.LocalProtocolError) else f": {error}"
            unavailable = ArchiveUnavailable(f"{shown(url)} does not answer: {type(error).__name__}{words}")
            raise Again(unavailable) from None
        except (httpx.InvalidURL, httpx.DecodingError) as error:
            raise ConfigError(f"{shown(url)} cannot be read: {type(error).__name__}") from None

    def flow(self, response: httpx.Response, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """`chunks` of `response`, metered; raises `Again` where they come slower than the patience allows."""
        began, judged, unmetered = time.monotonic(), 0, 0
        try:
            for chunk in chunks:
                judged, unmetered = judged + len(chunk), unmetered + len(chunk)
                yield chunk
                if unmetered >= _METERED:
                    unmetered = self._metered(unmetered)
                seconds = time.monotonic() - began
                if seconds >= self.patience.window_s:
                    self._check_rate(response, judged / seconds)
                    began, judged = time.monotonic(), 0
        finally:
            self._metered(unmetered)

    def _metered(self, n_bytes: int) -> int:
        if n_bytes:
            self.meter.received(n_bytes)
        return 0

    def _check_rate(self, response: httpx.Response, rate: float) -> None:
        if rate < self.patience.min_bytes_s:
            raise Again(ArchiveUnavailable(f"{shown(str(response.url))} sends only {rate:.0f} bytes a second"))

    @contextmanager
    def _followed(
        self, method: str, url: str, auth: httpx.Auth | None, sent: dict[str, Any]
    ) -> Iterator[httpx.Response]:
        """The answer after up to five redirections; credentials go no further than the service's own domain."""
        for _ in range(6):
            self.meter.before_request()
            with self.client.stream(method, url, auth=auth, follow_redirects=False, **sent) as response:
                if response.status_code not in _REDIRECTS or "location" not in response.headers:
                    yield response
                    return
                target = response.url.join(response.headers["location"])
            sent = {key: value for key, value in sent.items() if key != "params"}
            if not _same_domain(httpx.URL(url), target):
                if sent.get("data"):
                    raise ConfigError(f"{shown(url)} redirects a login to {target.host}; it was not sent there")
                auth, sent["headers"] = None, _without_secrets(sent.get("headers"))
            url = str(target)
        raise ConfigError(f"{shown(url)} redirects for ever; check the archive's URL in config/seaice.yaml")

    def _judge(self, url: str, response: httpx.Response) -> None:
        status = response.status_code
        if response.is_success:
            return
        if status not in _PASSING:
            log.debug("%s answers %d", shown(url), status)
            raise Refused(url, status, _code(response))
        wait = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
        kind = QuotaExceeded if status == 429 else ArchiveUnavailable
        words = f"{shown(url)} answers {status}" + (f" and asks to wait {wait:.0f} s" if wait else "")
        if wait is not None and wait > self.patience.patience_s:
            raise kind(words, again=datetime.now(UTC) + timedelta(seconds=wait))
        if wait:
            self.meter.hold(wait)
        raise Again(kind(words), wait or 0.0)

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait_s if isinstance(error, Again) else 0.0
        number = state.attempt_number
        wait = asked + backoff(number, self.patience.backoff_s)
        log.warning("%s; trying again in %.0f s (try %d of %d)", error, wait, number + 1, self.patience.attempts)
        return wait


def open_wire(patience: HttpSettings, meter: Meter, transport: httpx.BaseTransport | None = None) -> Wire:
    """A wire whose transfers `meter` counts and bounds; `transport` takes the network's place in tests.

    Raises `ConfigError` where the environment names a proxy that cannot be used.
    """
    for name in ("httpx", "httpcore"):  # they log whole addresses and headers: signatures are among them
        logging.getLogger(name).setLevel(logging.WARNING)
    # The client's own limits stay out of it: a transfer that needs a new token asks for it while it holds a connection.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    headers = {"User-Agent": "seaice_ops"}
    transport = transport or proxies.transport(limits)
    client = httpx.Client(timeout=patience.timeout_s, headers=headers, transport=transport)
    return Wire(patience, meter, client)


def backoff(attempt: int, first_s: float, chance: Callable[[], float] = random.random) -> float:
    """Seconds to wait after the `attempt`-th try (1, 2, ...): evenly random below first_s * 2^(attempt - 1), capped."""
    return chance() * min(_LONGEST, first_s * 2.0 ** min(attempt - 1, 30))


def retry_after(value: str | None, moment: datetime) -> float | None:
    """Seconds that a Retry-After header (seconds or a date) asks for, never negative; None where there is none."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:12]), 10**9))
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(1e9, max(0.0, ((when if when.tzinfo else when.replace(tzinfo=UTC)) - moment).total_seconds()))


def shown(url: str) -> str:
    """`url` without user, password, query and fragment, for messages."""
    try:
        parts = httpx.URL(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.host}{port}{parts.path}"
    except (httpx.InvalidURL, UnicodeError):
        return "an invalid address"


def _code(response: httpx.Response) -> str:
    """The code in an S3 service's answer to a refused request, such as AccessDenied; empty in any other answer."""
    start = next(response.iter_bytes(4096), b"")
    match = re.search(rb"<Code>(\w{1,64})</Code>", start)
    return match[1].decode("ascii", "replace") if match else ""


def _same_domain(one: httpx.URL, other: httpx.URL) -> bool:
    """True where credentials for `one` may go to `other`: the same host, or a sister below the same domain."""
    if one.scheme == "https" and other.scheme != "https":
        return False
    if one.host == other.host:
        return one.port == other.port or one.scheme != other.scheme
    domains = [url.host.partition(".")[2] for url in (one, other)]
    return domains[0] == domains[1] and domains[0].count(".") >= 1 and not one.host[-1].isdigit()


def _without_secrets(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {key: value for key, value in (headers or {}).items() if key.lower() not in ("authorization", "cookie")}


def _give_up(state: RetryCallState) -> Any:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Again)
    raise error.error from None
