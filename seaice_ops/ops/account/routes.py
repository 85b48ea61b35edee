"""The account in the console: the newest one, and each form of every one that is in the store."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from typing import Annotated

from fastapi import APIRouter, HTTPException, Response
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.errors import ObjectMissing
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import store_of
from seaice_ops.ledger.tables import Run
from seaice_ops.ops.account.keep import FORMS
from seaice_ops.ops.account.to_html import style
from seaice_ops.settings import Settings
from seaice_ops.storage import keys

#: The runs of the DAG are shown before those by hand.
DAILY = "seaice_account."

#: Among how many of the newest accounts the one to show is looked for.
_RECENT = 50

RegionName = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
MadeOn = Annotated[str, PathParameter(pattern=r"^\d{4}-\d\d-\d\d$")]
Days = Annotated[str, PathParameter(pattern=r"^\d{4}-\d\d-\d\d_\d{4}-\d\d-\d\d$")]
Form = Annotated[str, PathParameter(pattern=r"^[a-z]{1,16}\.[a-z]{1,8}$")]

_NONE = "<!doctype html>\n<title>Account</title>\n<p>There is no account yet: run the DAG seaice_account.</p>\n"


def router(load: Callable[[], Settings]) -> APIRouter:
    """The routes below ``/account``. `load` reads the settings for each request."""
    routes = APIRouter(prefix="/account")

    @routes.get("")
    def newest() -> Response:
        with open_ledger(load()).begin() as session:
            folder = newest_folder(session)
        if folder is None:
            return HTMLResponse(_NONE, headers=_headers())
        return RedirectResponse(f"{folder}/account.html", headers={"Cache-Control": "no-store"})

    @routes.get("/{region}/{made}/{days}/{form}")
    def form(region: RegionName, made: MadeOn, days: Days, form: Form) -> Response:
        if form not in FORMS:
            raise HTTPException(404, "no such form of an account")
        try:
            data = store_of(load()).get(f"{keys.ACCOUNTS}/{region}/{made}/{days}/{form}")
        except ObjectMissing:
            raise HTTPException(404, "no such account") from None
        return Response(data, media_type=FORMS[form], headers=_headers())

    return routes


def newest_folder(session: Session) -> str | None:
    """The folder in the store of the newest account, one of the daily DAG if there is any; None without any."""
    query = select(Run.caller, Run.summary).where(Run.stage == "account").order_by(Run.id.desc()).limit(_RECENT)
    kept = [(caller, summary["items"][0]) for caller, summary in session.execute(query) if summary.get("items")]
    daily = [folder for caller, folder in kept if caller.startswith(DAILY)]
    return next(iter(daily or [folder for _, folder in kept]), None)


@cache
def _headers() -> dict[str, str]:
    # Nothing but the page's own style may load, and nothing may run, whatever the store holds.
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return {
        "Content-Security-Policy": f"{policy}; frame-ancestors 'self'",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
