"""Items of a STAC API, all of them and each once, whatever its pages are like."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from json import JSONDecodeError
from typing import Any

from pystac import Link
from pystac_client import Client
from pystac_client.conformance import ConformanceClasses
from pystac_client.stac_api_io import StacApiIO

from seaice_ops.archive.product import Product
from seaice_ops.archive.providers.entry import unusable
from seaice_ops.archive.transport.http import Again, Wire, shown
from seaice_ops.errors import ArchiveUnavailable, SeaIceError, plain

log = logging.getLogger(__name__)

Item = dict[str, Any]

#: Pages in a row without a new item after which the service is not believed any more.
_BARREN = 3


def items(wire: Wire, url: str, *, tile_property: str, tiles: list[str], **search: Any) -> tuple[list[Item], bool]:
    """The items that `search` (as `pystac_client.Client.search` takes it) finds whose `tile_property` is in `tiles`.

    `search` may hold a `filter` of its own (CQL2-JSON). Where the API cannot filter, more items come, and the caller
    picks its own. The pages decide what there is. The second answer is False where that is in doubt: a page was empty
    each time it was asked for, or the service counts more items than it gives (some counts are estimates). Raises
    `ArchiveUnavailable` where the answer is no STAC or the pages never end, and what `Wire.request` raises.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what an API does not say it can do
            io = _Pages(wire)
            client = Client.open(url, stac_io=io)
            query = client.search(**_asked(client, tile_property, tiles, search))
        # Not the query's own pages, which end at the first empty one.
        pages = list(io.get_pages(query.url, query.method, query.get_parameters()))
        found = {str(item["id"]): item for page in pages for item in page.get("features") or []}
    except (SeaIceError, Again):
        raise
    except Exception as error:  # pystac meets JSON of any shape with errors of any type
        raise ArchiveUnavailable(
            f"{shown(url)} answers JSON that is no STAC catalogue or search ({type(error).__name__}); check the "
            "archive's URL in config/seaice.yaml"
        ) from error
    return list(found.values()), all(page.get("features") for page in pages) and _all_given(url, pages, len(found))


def products(found: Iterable[Item], read: Callable[[Item], Product]) -> Iterator[Product]:
    """The product that `read` makes of each item; a malformed item is a product that nobody can use."""
    for item in found:
        try:
            yield read(item)
        except SeaIceError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            problem = plain(f"{str(item['id'])[:128]} is no STAC item of a product: {type(error).__name__}")
            log.warning("%s", problem)
            yield unusable(str(item["id"]), tile_told(item), "", None, problem)


def tile_told(item: Item) -> str:
    """The tile of an item's ``grid:code``; empty where it has none."""
    properties = item.get("properties")
    code = str(properties.get("grid:code") or "") if isinstance(properties, dict) else ""
    return code.removeprefix("MGRS-").zfill(5) if code else ""


def tile_codes(property_: str, tile: str) -> Iterator[str]:
    """The tile as catalogues write it in `property_`: some leave out the zone's leading zero."""
    prefix = "MGRS-" if property_ == "grid:code" else ""
    yield f"{prefix}{tile}"
    if tile.startswith("0"):
        yield f"{prefix}{tile[1:]}"


def conditions(time_property: str | None, start: str, end: str) -> list[dict[str, Any]]:
    """CQL2-JSON: `time_property` lies in [start, end)."""
    if not time_property:
        return []
    property_ = {"property": time_property}
    return [{"op": ">=", "args": [property_, start]}, {"op": "<", "args": [property_, end]}]


def _asked(client: Client, tile_property: str, tiles: list[str], search: Mapping[str, Any]) -> dict[str, Any]:
    """The search in a language that the API understands: CQL2, else `query`, else without a condition."""
    plain = {key: value for key, value in search.items() if key != "filter"}
    wanted = [{"op": "in", "args": [{"property": tile_property}, tiles]}, *search.get("filter", [])]
    if client.conforms_to(ConformanceClasses.FILTER):
        return {**plain, "filter_lang": "cql2-json", "filter": {"op": "and", "args": wanted}}
    if client.conforms_to(ConformanceClasses.QUERY):
        return {**plain, "query": _query(wanted)}
    return plain


def _query(wanted: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    names = {">=": "gte", "<": "lt", "in": "in"}
    query: dict[str, dict[str, Any]] = {}
    for condition in wanted:
        property_, value = condition["args"]
        query.setdefault(property_["property"], {})[names[condition["op"]]] = value
    return query


def _all_given(url: str, pages: list[dict[str, Any]], given: int) -> bool:
    """False, with a warning, where the service counts more items than it gave."""
    matched = pages[-1].get("numberMatched")
    if not isinstance(matched, int) or matched <= given:
        return True
    log.warning("%s counts %d matching items and gives %d; its pages are believed", shown(url), matched, given)
    return False


class _Pages(StacApiIO):
    """Network access of pystac-client through our wire, with pages that may be empty or come twice."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        sent: dict[str, Any] = {"json": parameters} if (method or "GET").upper() == "POST" else {}
        if parameters and not sent:
            sent = {"params": parameters}
        return self._wire.request((method or "GET").upper(), href, headers=headers, **sent).decode()

    def get_pages(
        self, url: str, method: str | None = None, parameters: dict[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        seen: set[str] = set()
        barren, page = 0, self._page(url, method=method, parameters=parameters)
        while True:
            new = {str(item["id"]) for item in page.get("features") or []} - seen
            seen |= new
            barren = 0 if new else barren + 1
            yield page
            link = next((link for link in page.get("links", []) if link["rel"] == "next"), None)
            if link is None:
                break
            if barren >= _BARREN:
                raise ArchiveUnavailable(f"{shown(url)} gives pages without anything new and no end")
            page = self._page(Link.from_dict(link), parameters=parameters)

    def _page(self, source: Any, **asked: Any) -> dict[str, Any]:
        """A page of items, asked for again while the answer is none, and once more where it is empty."""

        def ask() -> dict[str, Any]:
            try:
                page = self.read_json(source, **asked)
            except JSONDecodeError as error:
                unavailable = ArchiveUnavailable(f"the STAC search answers no JSON: {error.msg}")
            else:
                if isinstance(page, dict) and isinstance(page.get("features"), list):
                    return page
                unavailable = ArchiveUnavailable("the STAC search answers JSON that is no page of items")
            raise Again(unavailable)

        page = self._wire.persist(ask)
        return page if page.get("features") else self._wire.persist(ask)
