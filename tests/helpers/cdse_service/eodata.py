"""The S3 endpoint of the bucket eodata: list, head and get with ranges, for requests with a right signature.

CONSTRUCTED from the S3 API's documentation: error bodies and the listing (one recorded listing shows its fields as
boto3 names them). Signatures are those of AWS version 4, region `default`, checked in full.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote
from xml.sax.saxutils import escape

from helpers.cdse_service.answers import Answer, Request, file_answer
from helpers.cdse_service.products import Product

if TYPE_CHECKING:
    from helpers.cdse_service.server import Space

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/]+)/(?P<scope>(?P<day>\d{8})/(?P<region>[^/]+)/s3/aws4_request),"
    r"\s*SignedHeaders=(?P<signed>[^,]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


def answer(space: Space, request: Request) -> tuple[str, Answer]:
    key = request.path.removeprefix("/eodata").lstrip("/")
    route = "s3.list" if not key else "s3.head" if request.method == "HEAD" else "s3.get"
    refusal = _refusal(space, request)
    if refusal:
        return route, refusal
    if request.method not in ("GET", "HEAD"):
        return route, _error(405, "MethodNotAllowed", "The bucket is read only.")
    return route, _listing(space, request) if route == "s3.list" else _object(space, key)


def _object(space: Space, key: str) -> Answer:
    for product in space.catalogue.visible():
        path = key.removeprefix(f"{product.prefix}/")
        if path != key and path in product.files:
            etag = f'"{product.digest(path, "MD5")}"'
            modified = f"{product.published:%a, %d %b %Y %H:%M:%S GMT}"
            return file_answer(product.read(path), "binary/octet-stream", ETag=etag, **{"Last-Modified": modified})
    return _error(404, "NoSuchKey", "The specified key does not exist.")


def _listing(space: Space, request: Request) -> Answer:
    query = request.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after = query.get("continuation-token") or query.get("start-after", "")
    limit = min(int(query.get("max-keys", 1000)), 1000)
    rows: dict[str, str] = {}
    for product in space.catalogue.visible():
        for path in product.files:
            key = f"{product.prefix}/{path}"
            if not key.startswith(prefix):
                continue
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            folder = prefix + head + delimiter
            rows[folder if found else key] = f"<Prefix>{escape(folder)}</Prefix>" if found else _row(product, path)
    names = sorted(name for name in rows if name > after)
    page, more = names[:limit], len(names) > limit
    tags = [("CommonPrefixes" if rows[name].startswith("<Prefix>") else "Contents", rows[name]) for name in page]
    token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>eodata</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"
        f"<MaxKeys>{limit}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
        f"{''.join(f'<{tag}>{row}</{tag}>' for tag, row in tags)}</ListBucketResult>"
    )
    return Answer(200, body.encode(), "application/xml")


def _row(product: Product, path: str) -> str:
    return (
        f"<Key>{escape(f'{product.prefix}/{path}')}</Key>"
        f"<LastModified>{product.published:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
        f"<ETag>&quot;{product.digest(path, 'MD5')}&quot;</ETag><Size>{product.size(path)}</Size>"
        "<StorageClass>STANDARD</StorageClass>"
    )


def _refusal(space: Space, request: Request) -> Answer | None:
    match = _AUTHORIZATION.match(request.headers.get("authorization", ""))
    if not match:
        return _error(403, "AccessDenied", "Access Denied.")
    if match["key"] != space.access_key:
        return _error(403, "InvalidAccessKeyId", "The access key does not exist in our records.")
    if not hmac.compare_digest(_signature(space.secret_key, request, match), match["signature"]):
        return _error(403, "SignatureDoesNotMatch", "The request signature does not match the one calculated here.")
    return None


def _signature(secret: str, request: Request, match: re.Match[str]) -> str:
    pairs = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in parse_qsl(request.raw_query, True))
    signed = match["signed"].split(";")
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed)
    canonical = "\n".join(
        [
            request.method,
            quote(request.path, safe="/-_.~"),
            "&".join(f"{key}={value}" for key, value in pairs),
            headers,
            match["signed"],
            request.headers.get("x-amz-content-sha256", ""),
        ]
    )
    date = request.headers.get("x-amz-date", "")
    to_sign = f"AWS4-HMAC-SHA256\n{date}\n{match['scope']}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in match["scope"].split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def _error(status: int, code: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(status, body.encode(), "application/xml")
