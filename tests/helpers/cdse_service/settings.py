"""Settings and environments that lead the package to the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers.cdse_service.server import Space
from seaice_ops.settings import Settings

#: Waits of a test are short: what is tested is that there are any, and how many tries.
QUICK = {"backoff_s": 0.01, "timeout_s": 5.0, "attempts": 4, "patience_s": 5.0, "window_s": 1.0}


def settings_of(
    space: Space, home: Path, kind: str = "cdse", http: dict[str, Any] | None = None, page: int = 100, **more: Any
) -> Settings:
    """Settings whose archive is the service, of a home that need not exist, for tiles 01CCV and 60CWS."""
    archive = {
        "kind": kind,
        "http": {**QUICK, **(http or {})},
        "cdse": {
            "stac_url": space.stac,
            "odata_url": space.odata,
            "download_url": space.odata,
            "token_url": space.token_url,
            "s3_url": space.s3,
            "page": page,
        },
        "dhus": {"url": space.dhus},
        **more,
    }
    regions = {"test": {"title": "Test", "tiles": ["01CCV", "60CWS"]}}
    return Settings.model_validate({"home": home, "regions": regions, "archive": archive})


def keys(space: Space) -> dict[str, str]:
    """The environment of somebody with S3 keys alone."""
    return {"SEAICE_ARCHIVE_S3_ACCESS_KEY": space.access_key, "SEAICE_ARCHIVE_S3_SECRET_KEY": space.secret_key}


def account(space: Space) -> dict[str, str]:
    """The environment of somebody with an account alone."""
    return {"SEAICE_ARCHIVE_USERNAME": space.user, "SEAICE_ARCHIVE_PASSWORD": space.password}
