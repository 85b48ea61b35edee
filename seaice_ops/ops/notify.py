"""Tells people about failures and late maps, by log, webhook and e-mail as the settings say.

Nothing here raises into the work that has something to tell. The webhook's URL is a secret and appears in no log.
"""

from __future__ import annotations

import html
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from seaice_ops.archive.limits import breaker
from seaice_ops.errors import SeaIceError
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Breaker, Map, Scene, SceneState
from seaice_ops.settings import Settings

log = logging.getLogger(__name__)

Level = Literal["info", "warning", "error"]

#: Seconds that any one step of a delivery may take (connecting, sending, waiting for the answer).
TIMEOUT = 10.0


def notify(settings: Settings, subject: str, text: str, level: Level = "error") -> None:
    """Write `subject` and `text` to the log, and send them by webhook and e-mail where those are configured.

    The webhook gets JSON with `subject`, `level`, `sent_at` and `text` (both parts; chat services show that field).
    """
    log.log(logging.getLevelNamesMapping()[level.upper()], "%s: %s", subject, text)
    if settings.notify.webhook_env:
        _quietly("webhook", lambda: _post(settings.notify.webhook_env or "", subject, text, level))
    if settings.notify.email_to:
        _quietly("e-mail", lambda: _mail(settings.notify.email_to, subject, text))


def tell_outage(settings: Settings) -> None:
    """Tell once when the archive's breaker has opened and once when it has closed again, whoever changed it."""
    try:
        state, changed = _outage_untold(settings)
    except SeaIceError as error:
        log.warning("cannot read from the ledger whether the archive answers: %s", error)
        return
    if changed and state.opened_at is not None:
        text = f"{breaker.sentence(settings.archive.kind, state)}. Nothing is lost: missing products are fetched then."
        notify(settings, subject="the archive does not answer", text=text, level="error")
    elif changed:
        notify(settings, subject="the archive answers again", text=f"{settings.archive.kind} works", level="info")


def _outage_untold(settings: Settings) -> tuple[breaker.State, bool]:
    """The breaker's state, and True where it changed and the caller is the one to tell."""
    state = breaker.current(open_ledger(settings), settings.archive.kind)
    is_open = state.opened_at is not None
    query = update(Breaker).where(Breaker.archive == settings.archive.kind, Breaker.told != is_open)
    with open_ledger(settings).begin() as session:
        changed: Any = session.execute(query.values(told=is_open))
    return state, bool(changed.rowcount)


@dataclass(frozen=True)
class LateMap:
    """A tile whose newest map (`window_end`, None without any) lacks `waiting` scenes, one of them for `hours`."""

    tile: str
    window_end: datetime | None
    waiting: int
    hours: float

    def sentence(self) -> str:
        """For people: ``01CCV: its newest map ends 2026-02-11T20:15Z; 2 newer scenes have waited for up to 40 h``."""
        newest = f"its newest map ends {self.window_end:%Y-%m-%dT%H:%MZ}" if self.window_end else "it has no map yet"
        scenes = "1 newer scene has" if self.waiting == 1 else f"{self.waiting} newer scenes have"
        return f"{self.tile}: {newest}; {scenes} waited for up to {self.hours:.0f} h"


def late_maps(session: Session, tiles: Sequence[str], after_hours: float, at: datetime) -> list[LateMap]:
    """Those of `tiles` that at `at` have had new ready scenes for longer than `after_hours` (mapping.late_after_hours).

    A scene waits from the moment it became ready until a map's window ends at or after its sensing time.
    """
    newest = {tile: end for tile, end in session.execute(select(Map.tile, func.max(Map.window_end)).group_by(Map.tile))}
    ready = select(Scene.tile, Scene.sensed_at, Scene.updated_at).where(Scene.state == SceneState.READY)
    waiting: dict[str, list[datetime]] = {}
    for tile, sensed_at, since in session.execute(ready.where(Scene.tile.in_(tiles))):
        if tile not in newest or sensed_at > newest[tile]:
            waiting.setdefault(tile, []).append(since)
    found = [
        LateMap(tile, newest.get(tile), len(since), (at - min(since)).total_seconds() / 3600)
        for tile, since in sorted(waiting.items())
    ]
    return [late for late in found if late.hours > after_hours]


def tell_late_maps(settings: Settings, tell: Callable[..., None] = notify) -> list[LateMap]:
    """Tell about late maps, if there are any, in one notification; returns them."""
    with open_ledger(settings).begin() as session:
        late = late_maps(session, settings.tiles, settings.mapping.late_after_hours, now())
    if late:
        subject = f"{len(late)} late map{'s' if len(late) > 1 else ''}"
        tell(settings, subject=subject, text="\n".join(each.sentence() for each in late), level="warning")
    return late


def _post(variable: str, subject: str, text: str, level: str) -> None:
    import httpx

    from seaice_ops.archive.transport.proxies import transport

    url = os.environ.get(variable)
    if not url:
        log.warning("the webhook was not told: set the variable %s, which notify.webhook_env names", variable)
        return
    message = {"text": f"{subject}\n{text}", "subject": subject, "level": level, "sent_at": now().isoformat()}
    with _httpx_silent(), httpx.Client(transport=transport(httpx.Limits()), timeout=TIMEOUT) as client:
        status = client.post(url, json=message).status_code
    if status >= 300:
        log.warning("the webhook in %s answered %d; the notification is in this log only", variable, status)


def _mail(to: tuple[str, ...], subject: str, text: str) -> None:
    from seaice_ops.airflow.mail import send

    send(to, f"[sea ice] {subject}", f"<pre>{html.escape(text)}</pre>")


def _quietly(channel: str, deliver: Callable[[], None]) -> None:
    try:
        deliver()
    except Exception as error:
        # Its text may hold the URL or the login, its type does not.
        log.warning(
            "the %s could not be reached (%s); the notification is in this log only", channel, type(error).__name__
        )


@contextmanager
def _httpx_silent() -> Iterator[None]:
    """Keep httpx from logging the URL of this thread's requests."""
    logger, me = logging.getLogger("httpx"), threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != me

    logger.addFilter(others)
    try:
        yield
    finally:
        logger.removeFilter(others)
