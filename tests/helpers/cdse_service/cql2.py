"""STAC search conditions: CQL2 (JSON, or text by way of the cql2 package) and the older `query`, about one item."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from shapely.geometry import shape

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "t_after": lambda a, b: a > b,
    "t_before": lambda a, b: a < b,
    "t_equals": lambda a, b: a == b,
    "s_intersects": lambda a, b: bool(shape(a).intersects(shape(b))),
}
_QUERY = {"eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


class WrongCondition(ValueError):
    """The condition is not one that the service understands."""


def parsed(text: str) -> Any:
    """CQL2 text as CQL2 JSON."""
    import cql2

    try:
        return cql2.parse_text(text).to_json()
    except Exception as error:
        raise WrongCondition(str(error)) from error


def matches(condition: Any, item: dict[str, Any]) -> bool:
    """True if `item` passes the CQL2 JSON `condition`; comparisons of a property that it lacks are false."""
    operator, arguments = condition.get("op"), condition.get("args", [])
    if operator in ("and", "or"):
        return (all if operator == "and" else any)(matches(part, item) for part in arguments)
    if operator == "not":
        return not matches(arguments[0], item)
    values = [_value(argument, item) for argument in arguments]
    if operator == "isNull":
        return values[0] is None
    if values[0] is None:
        return False
    if operator == "in":
        return values[0] in values[1]
    if operator == "between":
        return bool(values[1] <= values[0] <= values[2])
    if operator == "like":
        pattern = re.escape(values[1]).replace("%", ".*").replace("_", ".")
        return re.fullmatch(pattern, values[0]) is not None
    if operator not in _COMPARE:
        raise WrongCondition(f"unknown operator {operator}")
    return _COMPARE[operator](*values)


def queried(query: dict[str, dict[str, Any]], item: dict[str, Any]) -> bool:
    """True if `item` passes a `query` such as {"platform": {"eq": "sentinel-2b"}}."""
    for name, conditions in query.items():
        value = property_of(item, name)
        for operator, wanted in conditions.items():
            if operator == "in":
                good = value in wanted
            elif operator == "startsWith":
                good = value is not None and value.startswith(wanted)
            else:
                good = value is not None and _COMPARE[_QUERY[operator]](_timed(value), _timed(wanted))
            if not good:
                return False
    return True


def property_of(item: dict[str, Any], name: str) -> Any:
    """The property `name` (with or without "properties.") of an item, or its id, collection or geometry."""
    if name in ("id", "collection", "geometry"):
        return item[name]
    return item["properties"].get(name.removeprefix("properties."))


def _value(argument: Any, item: dict[str, Any]) -> Any:
    if isinstance(argument, dict):
        if "property" in argument:
            return _timed(property_of(item, argument["property"]))
        if "timestamp" in argument or "date" in argument:
            return _timed(argument.get("timestamp") or f"{argument['date']}T00:00:00Z")
        return argument  # a geometry
    if isinstance(argument, list):
        return [_value(part, item) for part in argument]
    return _timed(argument)


def _timed(value: Any) -> Any:
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d", value):
        return datetime.fromisoformat(value)
    return value
