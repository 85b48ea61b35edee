"""Objects of an S3 service as plain HTTP requests: addresses by path, signed with keys where there are some.

Transfers go through the same wire as all others (`http`), for its metering, patience and resuming, and are signed here
with botocore's Signature Version 4.
"""

from __future__ import annotations

from collections.abc import Generator
from urllib.parse import quote

import httpx

from seaice_ops.errors import CorruptProduct


class S3Auth(httpx.Auth):
    """Signs requests with a pair of keys; with `requester_pays` their owner pays for the transfer."""

    def __init__(self, keys: tuple[str, str], region: str, requester_pays: bool = False) -> None:
        self._keys, self._region, self._pays = keys, region, requester_pays

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        headers = {"x-amz-request-payer": "requester"} if self._pays else {}
        unsigned = AWSRequest(request.method, str(request.url), headers=headers)
        S3SigV4Auth(Credentials(*self._keys), "s3", self._region).add_auth(unsigned)
        request.headers.update(dict(unsigned.headers.items()))
        yield request


def s3_address(endpoint: str, href: str) -> str:
    """The HTTP address of ``s3://bucket/key`` at `endpoint`; raises `CorruptProduct` where `href` is no such thing."""
    scheme, _, rest = href.partition("://")  # by hand: # and ? are letters of a key
    bucket, _, key = rest.partition("/")
    key = key.lstrip("/")
    if scheme != "s3" or not bucket or not key or ".." in key.split("/"):
        raise CorruptProduct(f"{href[:200]!r} is not an object's address such as s3://eodata/...; it was refused")
    return f"{endpoint.rstrip('/')}/{quote(bucket)}/{quote(key)}"
