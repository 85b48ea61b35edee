"""The wire: what is tried again and for how long, what is refused at once, and what a message may show."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seaice_ops.archive.transport.http import Refused, Wire, _same_domain, backoff, open_wire, retry_after, shown
from seaice_ops.errors import ArchiveUnavailable, ConfigError, QuotaExceeded
from seaice_ops.settings import HttpSettings

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
URL = "https://one.example.org/odata/v1/Products"


class Counting:
    """A meter that only counts."""

    def __init__(self) -> None:
        self.requests = self.bytes = 0

    def before_request(self) -> None:
        self.requests += 1

    def hold(self, seconds: float) -> None:
        self.held = seconds

    def received(self, n_bytes: int) -> None:
        self.bytes += n_bytes

    def connection(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def flush(self) -> None:
        pass


def wire_to(answers, waits=None, **patience) -> Wire:
    """A wire whose requests get `answers` (responses, exceptions or functions) one after the other."""
    left = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        one = next(left)
        one = one(request) if callable(one) else one
        if isinstance(one, Exception):
            raise one
        return one

    settings = HttpSettings.model_validate({"backoff_s": 0.5, "attempts": 4, **patience})
    wire = open_wire(settings, Counting(), httpx.MockTransport(answer))
    return Wire(wire.patience, wire.meter, wire.client, sleep=(waits if waits is not None else []).append)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(status) -> None:
    waits: list[float] = []
    wire = wire_to([httpx.Response(status), httpx.ReadTimeout("slow"), httpx.Response(200, content=b"there")], waits)
    assert wire.request("GET", URL) == b"there"
    assert len(waits) == 2 and wire.meter.requests == 3 and wire.meter.bytes == 5
    assert 0 <= waits[0] <= 0.5 and 0 <= waits[1] <= 1.0


def test_a_wait_is_told(caplog) -> None:
    wire_to([httpx.Response(500), httpx.Response(200)]).request("GET", URL)
    assert "Products answers 500; trying again in" in caplog.text and "(try 2 of 4)" in caplog.text


@pytest.mark.parametrize(("status", "error"), [(429, QuotaExceeded), (503, ArchiveUnavailable)])
def test_tries_are_bounded(status, error) -> None:
    waits: list[float] = []
    with pytest.raises(error, match=f"Products answers {status}"):
        wire_to([httpx.Response(status)] * 9, waits).request("GET", URL)
    assert len(waits) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 422])
def test_what_does_not_heal_is_refused_at_once(status) -> None:
    with pytest.raises(Refused, match=str(status)) as caught:
        wire_to([httpx.Response(status)]).request("GET", URL)
    assert caught.value.status == status and isinstance(caught.value, ConfigError)


def test_retry_after_is_waited_for_at_least() -> None:
    waits: list[float] = []
    wire_to([httpx.Response(503, headers={"Retry-After": "7"}), httpx.Response(200)], waits).request("GET", URL)
    assert 7 <= waits[0] <= 7.5


def test_a_retry_after_holds_all_workers() -> None:
    wire = wire_to([httpx.Response(503, headers={"Retry-After": "30"}), httpx.Response(200)])
    wire.request("GET", URL)
    assert wire.meter.held == 30


@pytest.mark.parametrize(("status", "error"), [(429, QuotaExceeded), (503, ArchiveUnavailable)])
def test_a_long_retry_after_ends_the_try_and_says_when(status, error) -> None:
    with pytest.raises(error, match="3600 s") as caught:
        wire_to([httpx.Response(status, headers={"Retry-After": "3600"})]).request("GET", URL)
    assert abs((caught.value.again - datetime.now(UTC)).total_seconds() - 3600) < 60


@given(st.integers(0, 10**8))
def test_retry_after_in_seconds(seconds) -> None:
    assert retry_after(f" {seconds} ", NOW) == seconds


@given(st.integers(-(10**6), 10**8))
def test_retry_after_as_a_date(seconds) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after(date, NOW) == max(0, seconds)


def test_a_retry_after_at_the_end_of_time_is_a_refusal_like_others() -> None:
    answer = httpx.Response(429, headers={"Retry-After": "Fri, 31 Dec 9999 23:59:59 -0500"})
    with pytest.raises(QuotaExceeded, match="asks to wait"):
        wire_to([answer]).request("GET", URL)


@given(st.text(max_size=40))
def test_any_other_retry_after_is_none_or_a_time(text) -> None:
    seconds = retry_after(text, NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(1, 10_000), st.floats(0, 100), st.floats(0, 1, exclude_max=True))
def test_backoff_is_random_below_a_doubling_bound(attempt, first, chance) -> None:
    bound = min(60.0, first * 2 ** min(attempt - 1, 30))
    assert 0 <= backoff(attempt, first, lambda: chance) <= bound
    assert backoff(attempt, first, lambda: 1.0) == bound


def test_a_drip_is_left() -> None:
    def drip():
        for _ in range(50):
            yield b"x"

    wire = wire_to([lambda _: httpx.Response(200, content=drip())] * 4, window_s=1e-6, min_bytes_s=1e9)
    with pytest.raises(ArchiveUnavailable, match="bytes a second"):
        wire.request("GET", URL)


@pytest.mark.parametrize(
    ("target", "keeps"),
    [
        ("https://one.example.org/other", True),
        ("https://two.example.org/other", True),
        ("https://one.example.org:8443/other", False),
        ("http://one.example.org/other", False),
        ("https://example.net/other", False),
        ("https://evil-example.org/other", False),
        ("https://one.example.org.evil.net/other", False),
    ],
)
def test_credentials_stay_in_the_domain_they_are_for(target, keeps) -> None:
    seen = []

    def record(request):
        seen.append(request.headers.get("authorization"))
        return httpx.Response(200)

    wire = wire_to([httpx.Response(302, headers={"Location": target}), record] * 2)
    wire.request("GET", URL, httpx.BasicAuth("ice", "secret"))
    wire.request("GET", URL, headers={"Authorization": "Bearer secret"})
    assert [bool(header) for header in seen] == [keeps, keeps]


def test_a_login_is_sent_nowhere_else() -> None:
    wire = wire_to([httpx.Response(307, headers={"Location": "https://example.net/token"}), httpx.Response(200)])
    with pytest.raises(ConfigError, match=r"redirects a login to example\.net") as caught:
        wire.request("POST", URL, data={"password": "secret"})
    assert "secret" not in str(caught.value)


def test_numbers_are_no_domain() -> None:
    assert not _same_domain(httpx.URL("http://127.0.0.1:1/"), httpx.URL("http://1.0.0.1:1/"))


def test_endless_redirection_is_a_matter_for_people() -> None:
    with pytest.raises(ConfigError, match="redirects for ever"):
        wire_to([httpx.Response(301, headers={"Location": URL})] * 9).request("GET", URL)


@pytest.mark.parametrize(
    "url", ["https://ice:secret@h.org/p?sig=secret#secret", "https://h.org:1/p?X-Amz-Signature=secret", "::secret:::"]
)
def test_messages_show_no_secrets_of_an_address(url) -> None:
    assert "secret" not in shown(url)


def test_an_illegal_header_is_not_quoted() -> None:
    error = httpx.LocalProtocolError("Illegal header value b'Bearer secret\\n'")
    with pytest.raises(ArchiveUnavailable) as caught:
        wire_to([error] * 9).request("GET", URL)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://h.org/", "s3://eodata/x", "no address"])
def test_an_address_that_is_none(url) -> None:
    with pytest.raises(ConfigError):
        open_wire(HttpSettings(), Counting()).request("GET", url)
