"""HTTP proxies as the environment names them: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

httpx reads these variables too, but ends with a traceback at forms of NO_PROXY that other tools take (``[::1]``,
``fd00::/8``) and passes over networks of addresses. Entries of NO_PROXY are: a host, which stands for the hosts below
it, too (with or without a leading dot or ``*.``); an address; a network of addresses; each perhaps with a port; ``*``.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.request import getproxies

import httpx

from seaice_ops.errors import ConfigError

log = logging.getLogger(__name__)

_HOST = re.compile(r"(\*?\.)?[\w-]+(\.[\w-]+)*\.?")

Exempt = Callable[[str], bool]


def transport(limits: httpx.Limits, proxies: Mapping[str, str] | None = None) -> httpx.BaseTransport:
    """Connections through `proxies` (by scheme, as `urllib.request.getproxies` gives them: the default).

    Raises `ConfigError` where a proxy's address cannot be used. An entry of NO_PROXY that cannot be read is ignored
    with a warning.
    """
    found = getproxies() if proxies is None else proxies
    direct = httpx.HTTPTransport(limits=limits)
    named = {scheme: found.get(scheme) or found.get("all") for scheme in ("http", "https")}
    through = {scheme: _proxy(scheme, url, limits) for scheme, url in named.items() if url}
    return _Routes(direct, through, list(exempted(found.get("no", "")))) if through else direct


def exempted(no_proxy: str) -> Iterator[tuple[Exempt, int | None]]:
    """(test of a host, port or None) for each entry of `no_proxy`."""
    for entry in filter(None, re.split(r"[\s,]+", no_proxy)):
        host, port = _split(entry)
        if host == "*":
            yield lambda _: True, port
        elif (network := _network(host)) is not None:
            yield _within(network), port
        elif _HOST.fullmatch(host):
            yield _below(host.strip("*.").lower()), port
        else:
            log.warning("NO_PROXY holds %r, which is no host, address or network; it is ignored", entry[:64])


@dataclass(frozen=True)
class _Routes(httpx.BaseTransport):
    """Each request goes through the proxy of its scheme, or directly where its host is exempted."""

    direct: httpx.BaseTransport
    through: Mapping[str, httpx.BaseTransport]
    exempted: list[tuple[Exempt, int | None]]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        direct = any(test(url.host) and wanted in (None, port) for test, wanted in self.exempted)
        route = self.direct if direct else self.through.get(url.scheme, self.direct)
        return route.handle_request(request)

    def close(self) -> None:
        for route in (self.direct, *self.through.values()):
            route.close()


def _proxy(scheme: str, url: str, limits: httpx.Limits) -> httpx.BaseTransport:
    try:
        return httpx.HTTPTransport(limits=limits, proxy=url if "://" in url else f"http://{url}")
    except (ValueError, ImportError, httpx.InvalidURL):
        # Not even the parser's own words: a proxy's address may hold a password.
        raise ConfigError(
            f"the proxy in {scheme.upper()}_PROXY (or ALL_PROXY) cannot be used; give it as http://host:port"
        ) from None


def _split(entry: str) -> tuple[str, int | None]:
    """(host without brackets, port or None)."""
    match = re.fullmatch(r"\[(?P<v6>[^\]]*)\](?P<mask>/\d+)?(:(?P<port>\d+))?", entry) or re.fullmatch(
        r"(?P<v6>[^:]+)(?P<mask>)(:(?P<port>\d+))", entry
    )
    if not match:
        return entry, None
    return f"{match['v6']}{match['mask'] or ''}", int(match["port"]) if match["port"] else None


def _network(host: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(host, strict=False)
    except ValueError:
        return None


def _within(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Exempt:
    def test(host: str) -> bool:
        try:
            return ipaddress.ip_address(host) in network
        except ValueError:
            return False

    return test


def _below(name: str) -> Exempt:
    return lambda host: host.lower() == name or host.lower().endswith(f".{name}")
