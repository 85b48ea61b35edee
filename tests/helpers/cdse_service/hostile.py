"""Contents that mean harm: XML that reads files or grows without end, zips whose members lead out of them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from helpers.cdse_service.products import Product


def external_entity(xml: bytes, file: Path) -> bytes:
    """`xml` whose first text is the content of `file`, for a parser that resolves entities."""
    return _with_entities(xml, f'<!ENTITY x SYSTEM "{file.as_uri()}">')


def entity_bomb(xml: bytes, levels: int = 9) -> bytes:
    """`xml` whose first text is 10^levels characters long, for a parser that expands entities."""
    grown = "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, levels + 1))
    return _with_entities(xml, f'<!ENTITY x0 "a">{grown}<!ENTITY x "&x{levels};">')


def in_utf16(xml: bytes) -> bytes:
    """The same document in another encoding, for a check that looks for bytes."""
    return xml.decode().replace("UTF-8", "UTF-16").encode("utf-16")


def _with_entities(xml: bytes, entities: str) -> bytes:
    head, _, rest = xml.decode().partition("?>")
    root = rest.split("<", 1)[1].split(" ", 1)[0].split(">", 1)[0]
    first = rest.index(">", rest.index("<SENSING_TIME")) + 1 if "<SENSING_TIME" in rest else rest.index(">") + 1
    return f"{head}?><!DOCTYPE {root} [{entities}]>{rest[:first]}&x;{rest[first:]}".encode()


def zip_with(product: Product, name: str, link_to: str = "") -> bytes:
    """The product's zip with one member more, called `name`; a symbolic link where `link_to` is given."""
    buffer = io.BytesIO(product.archive)
    with zipfile.ZipFile(buffer, "a") as target:
        member = zipfile.ZipInfo("placeholder")
        member.filename = member.orig_filename = name
        if link_to:
            member.external_attr = 0o120777 << 16
        target.writestr(member, link_to or "escaped")
    return buffer.getvalue()
