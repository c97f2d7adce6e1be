"""What is on the page now, in sections; many viewers share it, and none makes work for the chain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

HEARTBEAT_S = 5.0
"""A line at least so often, so that a page notices when this process is gone."""


class Board:
    """Sections by name. One thread publishes; viewers follow on the event loop, and one that is slow skips to the
    newest."""

    def __init__(self) -> None:
        self._sections: dict[str, tuple[int, str]] = {}
        self._revision = 0
        self._viewers: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def publish(self, name: str, value: Any) -> None:
        """Puts up a section; what is up already goes to nobody."""
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        if self._sections.get(name, (0, ""))[1] != text:
            self._revision += 1
            self._sections[name] = self._revision, text
            self._wake()

    def close(self) -> None:
        """Ends every viewer's stream."""
        self._closed = True
        self._wake()

    async def follow(self) -> AsyncIterator[str]:
        """Server-sent events: all sections, then those that change."""
        self._loop, seen, news = asyncio.get_running_loop(), 0, asyncio.Event()
        self._viewers.add(news)
        try:
            while not self._closed:
                news.clear()
                changed = [(r, n, text) for n, (r, text) in list(self._sections.items()) if r > seen]
                for revision, name, text in sorted(changed):
                    seen = revision
                    yield f"event: {name}\ndata: {text}\n\n"
                if not changed:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(news.wait(), HEARTBEAT_S)
                        continue
                    yield "event: alive\ndata: 0\n\n"
        finally:
            self._viewers.discard(news)

    def _wake(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            for viewer in list(self._viewers):
                loop.call_soon_threadsafe(viewer.set)
