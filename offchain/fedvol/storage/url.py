"""The address of storage, as it stands in a configuration."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from fedvol.errors import ConfigError
from fedvol.storage.base import Storage
from fedvol.storage.folder import LocalFolder
from fedvol.storage.ipfs import Ipfs

_FORMS = "Use a folder (a path, or file:///path) or the RPC of an IPFS node (ipfs+http://127.0.0.1:5001)."


def open_storage(url: str) -> Storage:
    """Storage at an address; nothing is contacted or written yet.

    Args:
        url: `/path`, `relative/path`, `~/path`, `file:///path` (percent-encoded),
            `ipfs+http://[user:password@]host:port` or `ipfs+https://…`.

    Raises:
        ConfigError: an address of another form.
    """
    if not url.strip():
        raise ConfigError("The storage address is empty.", _FORMS)
    try:
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url):
            return LocalFolder(Path(url).expanduser().absolute())
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        plain = not parts.query and not parts.fragment
        if plain and parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
            return LocalFolder(Path(unquote(parts.path)))
        if plain and parts.scheme in ("ipfs+http", "ipfs+https") and host and parts.path in ("", "/"):
            return Ipfs(f"{parts.scheme.removeprefix('ipfs+')}://{parts.netloc}")
    except (ValueError, RuntimeError, httpx.InvalidURL):
        pass  # a bad port, an unknown ~user, a host that is none
    without_password = re.sub(r"//[^/]*@", "//…@", url)
    raise ConfigError(f"The storage address {without_password!r} cannot be used.", _FORMS)
