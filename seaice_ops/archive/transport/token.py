"""The short-lived token of the Copernicus Data Space: one for all processes of a machine, renewed before it ends.

The token is kept in a private file below the work folder. It is read and renewed under a lock: a process that needs a
new one while another asks for it waits for that answer. The service sees a single session, which its refresh token
prolongs as long as that lives.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from pydantic import BaseModel, Field, ValidationError

from seaice_ops import files
from seaice_ops.archive.transport.http import Refused, Wire, shown
from seaice_ops.errors import ConfigError, writing

#: Seconds before its end from which on a token is not used any more.
MARGIN = 60.0

#: Token files may be read by this user alone, from their first byte on.
_PRIVATE = 0o600


class _Answer(BaseModel):
    access_token: str = Field(repr=False)
    expires_in: float
    refresh_token: str = Field("", repr=False)
    refresh_expires_in: float = 0.0


class _Kept(BaseModel):
    access_token: str = Field(repr=False)
    ends: float
    refresh_token: str = Field(repr=False)
    refresh_ends: float


@dataclass(frozen=True)
class Tokens:
    """Tokens for one account of the identity service at `url`, shared through files in `folder`."""

    wire: Wire = field(repr=False)
    url: str
    client_id: str
    account: tuple[str, str] = field(repr=False)
    folder: Path
    clock: Callable[[], float] = time.time

    def current(self) -> str:
        """A token with at least `MARGIN` seconds to live. Raises `ConfigError` where the account is not accepted."""
        return self._token(stale=None)

    def renewed(self, stale: str) -> str:
        """A token other than `stale`, which the service has refused: another process's, or a new one."""
        return self._token(stale)

    def _token(self, stale: str | None) -> str:
        with self._locked() as path:
            kept = _read(path)
            if kept and kept.access_token != stale and self.clock() < kept.ends - MARGIN:
                return kept.access_token
            asked = self.clock()
            answer = self._refreshed(kept) or self._logged_in()
            # A life shorter than two margins is used for its first half.
            life = max(answer.expires_in, answer.expires_in / 2 + MARGIN)
            _write(
                path,
                _Kept(
                    access_token=answer.access_token,
                    ends=asked + life,
                    refresh_token=answer.refresh_token,
                    refresh_ends=asked + answer.refresh_expires_in,
                ),
            )
            return answer.access_token

    def _refreshed(self, kept: _Kept | None) -> _Answer | None:
        """The session prolonged, or None where there is none to prolong."""
        if not kept or not kept.refresh_token or self.clock() >= kept.refresh_ends - MARGIN:
            return None
        try:
            return self._ask(grant_type="refresh_token", refresh_token=kept.refresh_token)
        except Refused:
            return None

    def _logged_in(self) -> _Answer:
        username, password = self.account
        try:
            return self._ask(grant_type="password", username=username, password=password)
        except Refused as error:
            if error.status not in (400, 401, 403):
                raise
            raise ConfigError(
                f"{shown(self.url)} does not accept the archive's user name and password; correct the connection, or "
                "use S3 keys, which an account with two-factor authentication needs (docs/copernicus.md)"
            ) from None

    def _ask(self, **form: str) -> _Answer:
        body = self.wire.request("POST", self.url, data={"client_id": self.client_id, **form})
        try:
            answer = _Answer.model_validate_json(body)
        except ValidationError:
            answer = None  # not chained: the parser's words quote the answer
        if answer is None or not answer.access_token.isascii() or not answer.access_token.isprintable():
            raise ConfigError(f"{shown(self.url)} answers no token; check archive.cdse.token_url")
        return answer

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        name = hashlib.sha256(f"{self.url} {self.account[0]}".encode()).hexdigest()[:16]
        with files.locked(self.folder / f"{name}.lock", mode=_PRIVATE):
            yield self.folder / f"{name}.json"


class Bearer(httpx.Auth):
    """Sends the current token; a 401 renews it and asks once more."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._tokens.current()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            request.headers["Authorization"] = f"Bearer {self._tokens.renewed(token)}"
            yield request


def _read(path: Path) -> _Kept | None:
    try:
        return _Kept.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _write(path: Path, kept: _Kept) -> None:
    with writing(path.parent):
        files.write(path, kept.model_dump_json().encode(), mode=_PRIVATE)
