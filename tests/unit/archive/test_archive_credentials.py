"""Who we are to an archive: read from everywhere Airflow may put it, shown nowhere; one token for all processes."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from test_archive_http import wire_to

from helpers.servers import settings_for
from seaice_ops.archive.source import open_archive
from seaice_ops.archive.transport.credentials import credentials, variable
from seaice_ops.archive.transport.s3 import S3Auth, s3_address
from seaice_ops.archive.transport.token import Bearer, Tokens
from seaice_ops.errors import ConfigError, CorruptProduct

NAME = "seaice_archive"
SECRETS = ("pass word/?#&%é", "s/e+c=ret")
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)


@pytest.fixture
def home(tmp_path: Path, monkeypatch):
    for name in ("USERNAME", "PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.delenv(f"SEAICE_ARCHIVE_{name}", raising=False)
    monkeypatch.delenv("AIRFLOW_CONN_SEAICE_ARCHIVE", raising=False)
    return settings_for(tmp_path, archive={"kind": "cdse"})


FORMS = {
    "json": json.dumps(
        {
            "conn_type": "generic",
            "login": "ice",
            "password": SECRETS[0],
            "extra": {"s3_access_key": "AK", "s3_secret_key": SECRETS[1]},
        }
    ),
    "json in json": json.dumps(
        {
            "conn_type": "generic",
            "login": "ice",
            "password": SECRETS[0],
            "extra": json.dumps({"s3_access_key": "AK", "s3_secret_key": SECRETS[1]}),
        }
    ),
    "uri": f"generic://ice:{quote(SECRETS[0], safe='')}@/?s3_access_key=AK&s3_secret_key={quote(SECRETS[1], safe='')}",
    "uri with nested extra": f"http://ice:{quote(SECRETS[0], safe='')}@h/?__extra__="
    + quote(json.dumps({"aws_access_key_id": "AK", "aws_secret_access_key": SECRETS[1], "n": {"a": 1}}), safe=""),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_connection(home, monkeypatch, form) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEAICE_ARCHIVE", FORMS[form])
    found = credentials(NAME)
    assert found.account() == ("ice", SECRETS[0]) and found.s3_keys() == ("AK", SECRETS[1])


def test_a_connection_of_type_aws_holds_keys(home, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEAICE_ARCHIVE", f"aws://AK:{quote(SECRETS[1], safe='')}@/")
    assert credentials(NAME).s3_keys() == ("AK", SECRETS[1]) and credentials(NAME).account() is None


def test_plain_variables(home, monkeypatch) -> None:
    for name, value in (("USERNAME", "ice"), ("PASSWORD", f" {SECRETS[0]}\n"), ("S3_ACCESS_KEY", "AK")):
        monkeypatch.setenv(f"SEAICE_ARCHIVE_{name}", value)
    assert credentials(NAME).account() == ("ice", SECRETS[0]) and credentials(NAME).s3_keys() is None


def test_another_connection_by_name(home) -> None:
    other = settings_for(home.home, archive={"kind": "cdse", "connection": "my_cdse"})
    assert variable(other.archive.connection) == "AIRFLOW_CONN_MY_CDSE"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT, TEXT)
def test_any_password_comes_through_a_uri(home, login, password) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SEAICE_ARCHIVE", f"generic://{quote(login, safe='')}:{quote(password, safe='')}@/")
        assert credentials(NAME).account() == (login, password)


@pytest.mark.parametrize("text", ["{not json SECRET", '{"extra": "SECRET"}', "SECRET", '{"extra": ["SECRET"]}'])
def test_a_broken_connection_is_not_quoted(home, monkeypatch, text) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEAICE_ARCHIVE", text)
    with pytest.raises(ConfigError, match="AIRFLOW_CONN_SEAICE_ARCHIVE") as caught:
        credentials(NAME)
    assert "SECRET" not in str(caught.value) and caught.value.__cause__ is None


def test_a_control_character_is_refused_without_being_shown(home, monkeypatch) -> None:
    monkeypatch.setenv("SEAICE_ARCHIVE_PASSWORD", "SEC\nRET")
    with pytest.raises(ConfigError, match="password") as caught:
        credentials(NAME)
    assert "SEC" not in str(caught.value)


def test_nothing_shows_a_secret(home, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEAICE_ARCHIVE", FORMS["json"])
    archive = open_archive(home)
    for text in (
        repr(archive),
        str(credentials(NAME)),
        credentials(NAME).model_dump_json(),
        repr(home.redacted()),
    ):
        assert not any(secret in text for secret in SECRETS)


@pytest.mark.parametrize(
    "url", ["https://ice:SECRET@h.org/v1", "https://h.org/v1?key=SECRET", "ftp://h.org", "h.org/v1"]
)
def test_a_setting_is_no_place_for_a_secret(tmp_path, url) -> None:
    with pytest.raises(ValidationError) as caught:
        settings_for(tmp_path, archive={"kind": "stac", "stac": {"url": url}})
    assert [error["msg"] for error in caught.value.errors()] == [
        "Value error, must be an http or https address without user, password and query"
    ]


def test_no_credentials_say_what_to_do(home, tmp_path) -> None:
    from test_archive_catalogues import cdse_stac, l1c_item

    from seaice_ops.archive.providers.cdse import CdseArchive

    archive = CdseArchive(home.archive, wire_to([]), credentials(NAME), (), home.work)
    product = cdse_stac.product(l1c_item())
    with pytest.raises(ConfigError, match=r"docs/copernicus\.md"):
        archive.fetch(product, product.files, tmp_path / "inbox")


class Identity:
    """An identity service; `lives` are the seconds that its tokens live."""

    def __init__(self, lives: float = 600, refresh_lives: float = 3600) -> None:
        self.lives, self.refresh_lives, self.grants = lives, refresh_lives, list[str]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = dict(pair.split("=", 1) for pair in request.content.decode().split("&"))
        self.grants.append(form["grant_type"])
        number = len(self.grants)
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != f"refresh-{number - 1}":
            return httpx.Response(400, json={"error": "invalid_grant"})
        return httpx.Response(
            200,
            json={
                "access_token": f"token-{number}",
                "expires_in": self.lives,
                "refresh_token": f"refresh-{number}",
                "refresh_expires_in": self.refresh_lives,
                "token_type": "Bearer",
            },
        )


def tokens(service: Any, folder: Path, clock=lambda: 0.0, **account: str) -> Tokens:
    pair = (account.get("username", "ice"), account.get("password", SECRETS[0]))
    wire = wire_to([service] * 99, backoff_s=0)
    return Tokens(wire, "https://id.org/token", "cdse-public", pair, folder, clock)


def test_one_token_until_a_minute_before_its_end_then_the_session_is_prolonged(tmp_path) -> None:
    service, time = Identity(), [0.0]
    mine, theirs = (tokens(service, tmp_path, lambda: time[0]) for _ in range(2))
    seen = []
    for moment in (0, 1, 539, 541, 1000, 4700, 9000):
        time[0] = moment
        seen.append((mine.current(), theirs.current()))
    assert seen == [(f"token-{n}",) * 2 for n in (1, 1, 1, 2, 2, 3, 4)]
    assert service.grants == ["password", "refresh_token", "password", "password"]


def test_a_refused_token_is_renewed_once_for_all(tmp_path) -> None:
    service = Identity()
    mine, theirs = tokens(service, tmp_path), tokens(service, tmp_path)
    old = mine.current()
    assert theirs.renewed(old) == "token-2" and mine.renewed(old) == "token-2" == mine.current()
    assert service.grants == ["password", "refresh_token"]


def test_a_session_that_the_service_has_ended_is_begun_again(tmp_path) -> None:
    service = Identity()
    mine = tokens(service, tmp_path)
    old = mine.current()
    service.grants.append("lost")  # the service's numbers no longer fit the refresh token
    assert mine.renewed(old) == "token-4" and service.grants[-2:] == ["refresh_token", "password"]


def test_a_short_life_is_used_for_its_first_half(tmp_path) -> None:
    service, time = Identity(lives=10, refresh_lives=10), [0.0]
    mine = tokens(service, tmp_path, lambda: time[0])
    for time[0] in (0.0, 4.0, 6.0):
        mine.current()
    assert len(service.grants) == 2


def test_many_at_once_ask_once(tmp_path) -> None:
    service = Identity()
    threads = [threading.Thread(target=tokens(service, tmp_path).current) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert service.grants == ["password"]


def test_the_file_is_private_and_a_broken_one_is_replaced(tmp_path) -> None:
    service = Identity()
    mine = tokens(service, tmp_path / "tokens")
    mine.current()
    (path,) = (tmp_path / "tokens").glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and SECRETS[0] not in path.read_text()
    path.write_text("{")
    assert mine.current() == "token-2" and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_account_has_another_token(tmp_path) -> None:
    service = Identity()
    assert tokens(service, tmp_path).current() != tokens(service, tmp_path, username="snow").current()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"error": "invalid_grant", "error_description": "SECRET"}),
        httpx.Response(400, json={"error": "SECRET"}),
        httpx.Response(200, content=b'{"token": "SECRET"}'),
        httpx.Response(200, json={"access_token": "SECRET\n", "expires_in": 1}),
    ],
)
def test_an_account_that_is_not_accepted_is_not_quoted(tmp_path, answer) -> None:
    def service(request: httpx.Request) -> httpx.Response:
        return httpx.Response(answer.status_code, content=answer.content)

    with pytest.raises(ConfigError, match=r"https://id\.org/token") as caught:
        tokens(service, tmp_path).current()
    assert caught.value.__cause__ is None and SECRETS[0] not in str(caught.value) and "SECRET" not in str(caught.value)


def test_a_401_is_answered_with_a_new_token(tmp_path) -> None:
    service = Identity()
    mine = tokens(service, tmp_path)
    mine.current()

    def guarded(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200 if request.headers["authorization"] == "Bearer token-2" else 401, content=b"ice")

    wire = wire_to([guarded] * 3)
    assert wire.request("GET", "https://d.org/x", Bearer(mine)) == b"ice" and wire.meter.requests == 1
    assert service.grants == ["password", "refresh_token"]


def test_requests_carry_a_signature() -> None:
    """Whether it is right is asked of an S3 server that checks it, in the integration tests."""
    sent = []

    def record(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200)

    url = s3_address("https://eodata.dataspace.copernicus.eu/", "s3://eodata/Sentinel-2/a b.SAFE/x.jp2")
    assert url == "https://eodata.dataspace.copernicus.eu/eodata/Sentinel-2/a%20b.SAFE/x.jp2"
    assert s3_address("https://e.org", "s3://b/a#1?v=(2)%41") == "https://e.org/b/a%231%3Fv%3D%282%29%2541"
    wire_to([record]).request("GET", url, S3Auth(("AK", "SK"), "default", requester_pays=True))
    headers = sent[0].headers
    assert "Credential=AK/" in headers["authorization"] and "/default/s3/aws4_request" in headers["authorization"]
    assert "x-amz-request-payer" in headers["authorization"]  # signed with the rest
    assert headers["x-amz-request-payer"] == "requester" and "SK" not in str(headers)


@pytest.mark.parametrize("href", ["", "s3://", "s3://bucket", "https://h.org/x", "s3://b/../x", "s3://b/a/../../x"])
def test_an_address_that_is_no_object(href) -> None:
    with pytest.raises(CorruptProduct, match="refused"):
        s3_address("https://e.org", href)
