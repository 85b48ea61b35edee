"""Checksums as archives give them, in the form `<algorithm>:<hex>` of `ProductFile`."""

from __future__ import annotations

#: Multihash codes (multiformats/multicodec table): algorithm, bytes of its digest.
_CODES = {0x11: ("sha1", 20), 0x12: ("sha256", 32), 0x16: ("sha3_256", 32), 0x1E: ("blake3", 32), 0xD5: ("md5", 16)}

#: Names in manifests and catalogues.
_NAMES = {
    "MD5": ("md5", 16),
    "SHA-1": ("sha1", 20),
    "SHA1": ("sha1", 20),
    "SHA-256": ("sha256", 32),
    "SHA256": ("sha256", 32),
    "SHA3-256": ("sha3_256", 32),
    "BLAKE3": ("blake3", 32),
}


def multihash(text: object) -> str | None:
    """The checksum in a STAC `file:checksum` (hexadecimal multihash), None where it is none that we know.

    The Copernicus Data Space marks the SHA3-256 of XML files as MD5 (code 0xd5) of 32 bytes: an MD5 has 16, and the
    recorded MTD_TL.xml has exactly that SHA3-256.
    """
    try:
        data = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return None
    code, rest = _varint(data)
    length, digest = _varint(rest)
    if length != len(digest) or code not in _CODES:
        return None
    algorithm, size = _CODES[code]
    if (algorithm, length) == ("md5", 32):
        return f"sha3_256:{digest.hex()}"
    return f"{algorithm}:{digest.hex()}" if length == size else None


def named(name: str, digest: str) -> str | None:
    """The checksum that a manifest or a catalogue gives by name, None where it is none that we know."""
    algorithm, size = _NAMES.get(name.strip().upper(), ("", 0))
    digest = digest.strip().lower()
    is_hex = len(digest) == 2 * size and all(letter in "0123456789abcdef" for letter in digest)
    return f"{algorithm}:{digest}" if algorithm and is_hex else None


def _varint(data: bytes) -> tuple[int, bytes]:
    """An unsigned varint at the start of `data`, and what follows; (-1, b"") where there is none."""
    value = 0
    for index, byte in enumerate(data[:9]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, data[index + 1 :]
    return -1, b""
