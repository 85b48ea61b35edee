"""Credentials for an archive: from an Airflow connection in the environment, or from plain variables.

``AIRFLOW_CONN_<NAME>`` (JSON or URI) holds `login` and `password` of the account and, in its extra, `s3_access_key` and
`s3_secret_key`; a connection of type `aws` holds the S3 keys as login and password. Where there is none,
`SEAICE_ARCHIVE_USERNAME`, `_PASSWORD`, `_S3_ACCESS_KEY` and `_S3_SECRET_KEY` are read. A connection that only Airflow
knows is put into the task's environment by the task's body.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from seaice_ops.errors import ConfigError

_VARIABLES = {
    "username": "SEAICE_ARCHIVE_USERNAME",
    "password": "SEAICE_ARCHIVE_PASSWORD",
    "s3_access_key": "SEAICE_ARCHIVE_S3_ACCESS_KEY",
    "s3_secret_key": "SEAICE_ARCHIVE_S3_SECRET_KEY",
}
_EXTRA = {"aws_access_key_id": "s3_access_key", "aws_secret_access_key": "s3_secret_key"}


class Credentials(BaseModel):
    """An account (for tokens) and S3 keys; any may be missing, none is ever shown."""

    model_config = ConfigDict(frozen=True)

    username: SecretStr | None = None
    password: SecretStr | None = None
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None

    def account(self) -> tuple[str, str] | None:
        """(user name, password) where both are known."""
        return _pair(self.username, self.password)

    def s3_keys(self) -> tuple[str, str] | None:
        """(access key, secret key) where both are known."""
        return _pair(self.s3_access_key, self.s3_secret_key)


def variable(connection: str) -> str:
    """The environment variable that holds the Airflow connection of that name."""
    return f"AIRFLOW_CONN_{connection.upper()}"


def credentials(connection: str) -> Credentials:
    """The credentials in the Airflow connection of that name, or in SEAICE_ARCHIVE_...

    Raises `ConfigError` (without any part of them) where they cannot be read.
    """
    found = {field: os.environ.get(name, "") for field, name in _VARIABLES.items()}
    name = variable(connection)
    if os.environ.get(name, "").strip():
        found |= _connection(name, os.environ[name].strip())
    clean = {field: value.strip() for field, value in found.items() if value.strip()}
    wrong = [field for field, value in clean.items() if not value.isprintable()]
    if wrong:
        raise ConfigError(f"{', '.join(wrong)} of the archive's credentials holds control characters; set it again")
    return Credentials.model_validate(clean)


def _connection(name: str, text: str) -> dict[str, str]:
    try:
        fields = _json(text) if text.startswith("{") else _uri(text)
    except (ValueError, TypeError, AttributeError):
        # Not even the parser's own words: they quote the text.
        raise ConfigError(f"{name} is neither a connection's JSON nor its URI; see docs/copernicus.md") from None
    return {field: value for field, value in fields.items() if value}


def _json(text: str) -> dict[str, str]:
    data: Mapping[str, Any] = json.loads(text)
    extra = data.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    return _fields(data.get("conn_type") or "", data.get("login") or "", data.get("password") or "", extra)


def _uri(text: str) -> dict[str, str]:
    parts = urlsplit(text)
    if not parts.scheme:
        raise ValueError
    extra: dict[str, Any] = dict(parse_qsl(parts.query))
    extra |= json.loads(extra.pop("__extra__", "") or "{}")
    return _fields(parts.scheme, unquote(parts.username or ""), unquote(parts.password or ""), extra)


def _fields(kind: str, login: str, password: str, extra: Mapping[str, Any]) -> dict[str, str]:
    named = {_EXTRA.get(key, key): str(value) for key, value in extra.items()}
    keys = {key: named.get(key, "") for key in ("s3_access_key", "s3_secret_key")}
    if kind == "aws":
        return {"s3_access_key": login or keys["s3_access_key"], "s3_secret_key": password or keys["s3_secret_key"]}
    return {"username": login, "password": password, **keys}


def _pair(first: SecretStr | None, second: SecretStr | None) -> tuple[str, str] | None:
    return (first.get_secret_value(), second.get_secret_value()) if first and second else None
