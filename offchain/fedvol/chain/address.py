"""Addresses that people type: a slip in one would lose what is paid to it."""

from __future__ import annotations

from eth_utils import is_checksum_address, is_hex_address


def checked_address(text: str) -> str:
    """An address that somebody typed, and that tokens may be paid to.

    Raises:
        ValueError: it is none, or without a valid checksum (EIP-55), or the zero address.
    """
    if not is_hex_address(text) or int(text, 16) == 0:
        raise ValueError("is no address: 0x and 40 hex digits")
    if not is_checksum_address(text):
        raise ValueError("has no valid checksum: copy it with its capitals, as wallets show it")
    return text
