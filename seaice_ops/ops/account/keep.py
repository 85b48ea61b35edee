"""Keeps the report in the store, in all its forms: the same report gives the same objects."""

from __future__ import annotations

import json
import re

from seaice_ops.ops.account.report import Report, to_json
from seaice_ops.ops.account.to_html import to_html
from seaice_ops.ops.account.to_text import to_markdown
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore

#: The media type of each form.
FORMS = {
    "account.html": "text/html; charset=utf-8",
    "account.json": "application/json",
    "account.md": "text/plain; charset=utf-8",
    "ingest.txt": "text/plain; charset=utf-8",
    "ingest.json": "application/json",
}


def folder_of(report: Report) -> str:
    """The folder of the report: a later account of the same days on the same day takes its place."""
    region = re.sub(r"[^A-Za-z0-9_-]", "_", report.region)
    return keys.account(region, report.at, f"{report.first}_{report.last}")


def keep(store: ObjectStore, report: Report) -> str:
    """Write the report; returns its folder. `account.html`, by which it is found, is written last.

    `ingest.txt` is what `seaice ingest --list` takes, `ingest.json` the conf of a run of `seaice_ingest`.
    """
    data = to_json(report)
    forms = {
        "account.json": json.dumps(data),
        "account.md": to_markdown(report),
        "ingest.txt": "".join(f"{product}\n" for product in report.ingest),
        "ingest.json": json.dumps(data["ingest"]),
        "account.html": to_html(report),
    }
    folder = folder_of(report)
    for name, text in forms.items():
        store.put(f"{folder}/{name}", text.encode())
    return folder
