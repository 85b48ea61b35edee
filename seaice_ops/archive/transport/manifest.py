"""manifest.safe of a product: the files it holds, with their sizes and checksums."""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from seaice_ops.archive.product import ProductFile
from seaice_ops.archive.transport.checksum import named
from seaice_ops.errors import CorruptProduct


def read_manifest(data: bytes, source: str) -> dict[str, ProductFile]:
    """The files that the manifest `data` lists, by path; raises `CorruptProduct` where it is none."""
    try:
        root = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:  # unknown encodings are a LookupError
        raise CorruptProduct(f"{source} is no manifest: {type(error).__name__}") from None
    files = [_file(stream) for stream in root.iterfind(".//byteStream")]
    return {file.path: file for file in files if file.path}


def _file(stream: Element) -> ProductFile:
    location, checksum, size = stream.find("fileLocation"), stream.find("checksum"), stream.get("size", "")
    path = location.get("href", "") if location is not None else ""
    known = named(checksum.get("checksumName", ""), checksum.text or "") if checksum is not None else None
    return ProductFile(path.removeprefix("./"), int(size) if size.isdecimal() else None, known)
