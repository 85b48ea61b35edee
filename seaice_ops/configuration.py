"""The configuration file as data. YAML's silent habits are refused: a key given twice, a key without a value.

Scalars are read as YAML 1.2 reads them, so that a region may be called NO and a title may be a date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from seaice_ops.errors import ConfigError

KeyPath = tuple[str | int, ...]

#: A configuration has a few kilobytes (bytes).
_LARGEST = 4 << 20


class _Loader(yaml.SafeLoader):
    """YAML's safe loader without the words of YAML 1.1 (yes, NO, on, 12:30, 010, 2026-01-01)."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?)|[-+]?\.inf|\.nan", list("-+0123456789.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _first)


def read(path: Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """The mapping that the YAML file `path` holds, and the line of each key; an empty file holds nothing.

    Raises `ConfigError`, with the line, for a file that cannot be read, is not UTF-8 (a byte order mark is allowed) or
    not YAML, holds something else than a mapping, or has a key twice or without a value.
    """
    loader = _Loader(_text(path))
    try:
        root = loader.get_single_node()
        lines = dict(_lines(root, (), path, set())) if root else {}
        data = loader.construct_document(root) if root else {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(f"{path}, line {mark.line + 1 if mark else 1}: this is not YAML: {error.problem}") from error
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold a mapping of settings")
    return data, lines


def line_of(lines: dict[KeyPath, int], key: KeyPath) -> int | None:
    """The line of `key`, or of the nearest section around it that the file has."""
    return next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), None)


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # a device or a pipe may never end
            raise ConfigError(f"the configuration {path} is no file; set SEAICE_CONFIG to one")
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}; set SEAICE_CONFIG") from error
    if len(data) > _LARGEST:
        raise ConfigError(f"the configuration {path} has more than {_LARGEST >> 20} MiB; set SEAICE_CONFIG to YAML")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8; save it as UTF-8"
        ) from None


def _lines(node: yaml.Node, path: KeyPath, file: Path, seen: set[int]) -> Iterator[tuple[KeyPath, int]]:
    if id(node) in seen:  # an alias: its node was looked at where it is defined
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item.start_mark.line + 1
            yield from _lines(item, (*path, index), file, seen)
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            here, name = key.start_mark.line + 1, str(key.value)
            dotted = ".".join(map(str, (*path, name)))
            if name in first:
                raise ConfigError(
                    f"{file}, line {here}: {dotted} is given twice, first in line {first[name]}; keep one"
                )
            if isinstance(value, yaml.ScalarNode) and value.tag.endswith(":null") and not value.value:
                raise ConfigError(f"{file}, line {here}: {dotted} has no value; give it one, or remove the key")
            first[name] = here
            yield (*path, name), here
            yield from _lines(value, (*path, name), file, seen)
