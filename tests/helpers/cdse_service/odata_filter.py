"""The part of OData's $filter that the catalogue understands: a parser by descent that decides about one product."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from shapely import wkt as shapely_wkt
from shapely.geometry import shape

from helpers.cdse_service.products import Product

_TOKEN = re.compile(
    r"\s*(?:(?P<area>area\s*=\s*geography'SRID=4326;[^']*')|(?P<text>'(?:[^']|'')*')"
    r"|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<word>[A-Za-z_@][\w./:]*)|(?P<sign>[(),]))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda a, b: b in a,
    "startswith": lambda a, b: a.startswith(b),
    "endswith": lambda a, b: a.endswith(b),
}


class WrongFilter(ValueError):
    """The filter is not one that the catalogue understands."""


def matches(text: str, row: dict[str, Any], product: Product) -> bool:
    """True if a catalogue entry passes the filter `text`."""
    return not text or _Parser(text, row, product).whole()


def value_of(row: dict[str, Any], name: str) -> Any:
    """The property `name` of an entry, times as datetimes."""
    value: Any = row
    for part in name.split("/"):
        if not isinstance(value, dict) or part not in value:
            raise WrongFilter(f"unknown property {name}")
        value = value[part]
    return _time(value) if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) else value


class _Parser:
    def __init__(self, text: str, row: dict[str, Any], product: Product) -> None:
        self.row = {**row, "Collection": {"Name": "SENTINEL-2"}}
        self.product = product
        self.tokens = list(_tokens(text))
        self.at = 0

    def whole(self) -> bool:
        result = self.either()
        if self.at < len(self.tokens):
            raise WrongFilter(f"unexpected {self.tokens[self.at][1]}")
        return result

    def either(self) -> bool:
        result = self.both()
        while self.accept("or"):
            result = self.both() or result
        return result

    def both(self) -> bool:
        result = self.one()
        while self.accept("and"):
            result = self.one() and result
        return result

    def one(self) -> bool:
        if self.accept("not"):
            return not self.one()
        if self.accept("("):
            result = self.either()
            self.expect(")")
            return result
        kind, word = self.take()
        if kind == "word" and word in _TEXT:
            return self.text(word)
        if word == "OData.CSC.Intersects":
            return self.intersects()
        if word.startswith("Attributes/OData.CSC."):
            return self.any_attribute(word)
        return self.compare(value_of(self.row, word))

    def text(self, function: str) -> bool:
        self.expect("(")
        left = value_of(self.row, self.take()[1])
        self.expect(",")
        right = _literal(*self.take())
        self.expect(")")
        return _TEXT[function](left, right)

    def intersects(self) -> bool:
        self.expect("(")
        kind, area = self.take()
        self.expect(")")
        if kind != "area":
            raise WrongFilter(f"not an area: {area}")
        wanted = shapely_wkt.loads(area.partition(";")[2][:-1])
        return bool(shape(self.row["GeoFootprint"]).intersects(wanted))

    def any_attribute(self, word: str) -> bool:
        """Attributes/OData.CSC.<Kind>Attribute/any(att:att/Name eq '...' and att/OData.CSC.<Kind>Attribute/Value ..."""
        from helpers.cdse_service.odata import attributes

        kind = word.removeprefix("Attributes/").removesuffix("/any")
        self.expect("(")
        variable, _, name_of = self.take()[1].partition(":")
        if name_of != f"{variable}/Name":
            raise WrongFilter(f"expected {variable}/Name, found {name_of}")
        self.expect("eq")
        name = _literal(*self.take())
        self.expect("and")
        place = self.take()[1]
        if place != f"{variable}/{kind}/Value":
            raise WrongFilter(f"expected {variable}/{kind}/Value, found {place}")
        value = attributes(self.product).get(name)
        result = self.compare(value, missing=value is None)
        self.expect(")")
        return result

    def compare(self, left: Any, missing: bool = False) -> bool:
        operator = self.take()[1]
        if operator == "in":
            self.expect("(")
            values = [_literal(*self.take())]
            while self.accept(","):
                values.append(_literal(*self.take()))
            self.expect(")")
            return left in values
        if operator not in _COMPARE:
            raise WrongFilter(f"unknown operator {operator}")
        right = _literal(*self.take())
        return not missing and _COMPARE[operator](left, right)

    def take(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise WrongFilter("it ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, word: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at][1] == word:
            self.at += 1
            return True
        return False

    def expect(self, word: str) -> None:
        if not self.accept(word):
            found = self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"
            raise WrongFilter(f"expected {word}, found {found}")


def _tokens(text: str) -> list[tuple[str, str]]:
    at, found = 0, []
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise WrongFilter(f"cannot read {text[at : at + 30]}")
        found.append((match.lastgroup or "", match[match.lastgroup or 0]))
        at = match.end()
    return found


def _literal(kind: str, word: str) -> Any:
    if kind == "text":
        return word[1:-1].replace("''", "'")
    if kind == "time":
        return _time(word)
    if kind == "number":
        return float(word)
    if word in ("true", "false"):
        return word == "true"
    raise WrongFilter(f"not a value: {word}")


def _time(word: str) -> datetime:
    return datetime.fromisoformat(word)
