"""Proxy variables as sites set them: honoured, or named in a warning or an error, never a traceback."""

from __future__ import annotations

import logging

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_archive_http import Counting

from seaice_ops.archive.transport import proxies
from seaice_ops.archive.transport.http import open_wire
from seaice_ops.errors import ArchiveUnavailable, ConfigError
from seaice_ops.settings import HttpSettings

PROXY = "http://proxy.example.org:3128"


def is_direct(no_proxy: str, url: str) -> bool:
    parts = httpx.URL(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return any(test(parts.host) and wanted in (None, port) for test, wanted in proxies.exempted(no_proxy))


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("localhost,[::1]", "http://[::1]:8080/", True),
        ("localhost,::1", "http://[::1]/", True),
        ("[::1]:9", "http://[::1]:9/", True),
        ("[::1]:9", "http://[::1]:8/", False),
        ("fd00::/8", "https://[fd12::3]/", True),
        ("[fd00::]/8", "https://[fd12::3]/", True),
        ("fd00::/8", "https://[fe12::3]/", False),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.5/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("10.0.0.0/8", "https://ten.example.org/", False),
        ("10.1.2.3", "https://10.1.2.3:443/", True),
        (" .example.org\n, x", "https://a.b.example.org/", True),
        ("*.example.org", "https://a.example.org/", True),
        ("example.org", "https://EXAMPLE.org/", True),
        ("example.org", "https://counterexample.org/", False),
        ("example.org:8443", "https://example.org:8443/", True),
        ("example.org:8443", "https://example.org/", False),
        ("*", "https://anything.org/", True),
        ("", "https://anything.org/", False),
    ],
)
def test_hosts_that_need_no_proxy(no_proxy, url, direct) -> None:
    assert is_direct(no_proxy, url) is direct


@pytest.mark.parametrize("entry", ["http://x", "[::1", "a b/c", "::zz", "fd00::/999", "<local>", "%"])
def test_an_entry_that_cannot_be_read_is_ignored_with_a_warning(caplog, entry) -> None:
    with caplog.at_level(logging.WARNING):
        assert is_direct(f"{entry},example.org", "https://example.org/")
    assert "it is ignored" in caplog.text


@given(st.text(max_size=30))
def test_any_text_is_read_or_ignored(text) -> None:
    is_direct(text, "https://example.org/")


@pytest.mark.parametrize("no_proxy", ["localhost,[::1]", "fd00::/8", "10.0.0.0/8,.local", "http://[bad"])
def test_the_wire_opens_whatever_the_environment_says(monkeypatch, no_proxy) -> None:
    monkeypatch.setenv("NO_PROXY", no_proxy)
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    open_wire(HttpSettings(), Counting()).client.close()


@pytest.mark.parametrize("proxy", ["htp://x:SECRET@proxy:1", "socks9://SECRET@proxy"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(monkeypatch, proxy) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        open_wire(HttpSettings(), Counting())
    assert "SECRET" not in str(caught.value)


def test_requests_go_through_the_proxy_unless_their_host_is_exempted(monkeypatch) -> None:
    """Nobody listens at either address: the error tells which one was asked."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "[::1],127.0.0.0/8")
    wire = open_wire(HttpSettings(attempts=1), Counting())
    asked = []
    for route in (wire.client._transport.direct, *wire.client._transport.through.values()):
        monkeypatch.setattr(route, "handle_request", lambda request, route=route: asked.append(route) or answer())
    for url in ("http://127.0.0.1/", "http://example.org/"):
        wire.request("GET", url)
    assert asked == [wire.client._transport.direct, wire.client._transport.through["http"]]


def answer() -> httpx.Response:
    return httpx.Response(200, content=iter([b"x"]))


def test_a_proxy_that_does_not_answer_is_an_outage(monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost")
    with pytest.raises(ArchiveUnavailable):
        open_wire(HttpSettings(attempts=1), Counting()).request("GET", "http://example.org/")
