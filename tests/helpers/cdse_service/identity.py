"""The identity service (Keycloak): password and refresh_token grants, sessions, expiry.

CONSTRUCTED from Keycloak's and the Copernicus Data Space's public documentation: no recording shows a token answer.
The address is the recorded discovery document's `token_endpoint`.
"""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.cdse_service.answers import Answer, Request, json_answer

if TYPE_CHECKING:
    from helpers.cdse_service.server import Space


@dataclass
class _Session:
    id: str
    refresh: str
    ends: float


class Identity:
    """Tokens that were given. Tests shorten `access_seconds`, lower `max_sessions`, or end tokens at once."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._access: dict[str, float] = {}
        self.access_seconds = 600.0
        self.refresh_seconds = 3600.0
        self.max_sessions = 100
        self.given: set[str] = set()

    @property
    def sessions(self) -> int:
        """Sessions that are open now."""
        with self._lock:
            return sum(session.ends > time.monotonic() for session in self._sessions.values())

    def end_access(self) -> None:
        """Every access token given so far is refused from now on; refresh tokens still work."""
        with self._lock:
            self._access.clear()

    def end_sessions(self) -> None:
        """Every token given so far is refused from now on."""
        with self._lock:
            self._access.clear()
            self._sessions.clear()

    def allows(self, request: Request) -> bool:
        """True if the request has an access token that is still valid."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        with self._lock:
            return scheme.lower() == "bearer" and self._access.get(token, 0) > time.monotonic()

    def answer(self, request: Request) -> tuple[str, Answer]:
        realm = f"{request.base}/auth/realms/CDSE"
        if request.path.endswith("/.well-known/openid-configuration"):
            return "identity.discovery", json_answer(
                {
                    "issuer": realm,
                    "token_endpoint": f"{realm}/protocol/openid-connect/token",
                    "grant_types_supported": ["authorization_code", "refresh_token", "password", "client_credentials"],
                }
            )
        if request.path.endswith("/protocol/openid-connect/token") and request.method == "POST":
            return "token", self._grant(request.form)
        return "none", json_answer({"error": "RESTEASY003210: Could not find resource for full path"}, 404)

    def _grant(self, form: dict[str, str]) -> Answer:
        if form.get("client_id") != "cdse-public":
            return _refused(401, "invalid_client", "Invalid client or Invalid client credentials")
        match form.get("grant_type"):
            case "password":
                return self._password(form)
            case "refresh_token":
                return self._refresh(form.get("refresh_token", ""))
        return _refused(400, "unsupported_grant_type", "Unsupported grant_type")

    def _password(self, form: dict[str, str]) -> Answer:
        if (form.get("username"), form.get("password")) != (self._space.user, self._space.password):
            return _refused(401, "invalid_grant", "Invalid user credentials")
        if self.sessions >= self.max_sessions:
            return _refused(429, "too_many_sessions", "Maximum number of sessions reached")
        with self._lock:
            session = _Session(str(uuid.uuid4()), "", 0)
            self._sessions[session.id] = session
            return self._tokens(session)

    def _refresh(self, token: str) -> Answer:
        with self._lock:
            for session in self._sessions.values():
                if session.refresh == token and session.ends > time.monotonic():
                    return self._tokens(session)
        return _refused(400, "invalid_grant", "Token is not active")

    def _tokens(self, session: _Session) -> Answer:
        access, session.refresh = _token(), _token()
        session.ends = time.monotonic() + self.refresh_seconds
        self._access[access] = time.monotonic() + self.access_seconds
        self.given |= {access, session.refresh}
        value: dict[str, Any] = {
            "access_token": access,
            "expires_in": int(self.access_seconds),
            "refresh_expires_in": int(self.refresh_seconds),
            "refresh_token": session.refresh,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "session_state": session.id,
            "scope": "AUDIENCE_PUBLIC openid email profile ondemand_processing user-context",
        }
        return json_answer(value)


def _token() -> str:
    return ".".join(secrets.token_urlsafe(size) for size in (24, 120, 64))


def _refused(status: int, error: str, description: str) -> Answer:
    return json_answer({"error": error, "error_description": description}, status)
