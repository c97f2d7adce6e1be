"""A content id as IPFS writes it.

CIDv1 (https://github.com/multiformats/cid): multibase "b" (RFC 4648 base32, lower case, no padding) of
version 0x01, codec "raw" 0x55, and the multihash: sha2-256 0x12, 32 bytes 0x20, digest. Raw: the digest is
that of the bytes themselves.
"""

from __future__ import annotations

from base64 import b32encode

_HEAD = bytes([0x01, 0x55, 0x12, 0x20])


def cid_of(digest: bytes) -> str:
    """The CIDv1 of a raw block with this 32-byte SHA-256 digest: 59 characters, "bafkrei…"."""
    return "b" + b32encode(_HEAD + digest).decode().rstrip("=").lower()
