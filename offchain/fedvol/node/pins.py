"""What this node owes to storage: the bytes behind its reveal, pinned with it, and again wherever they get lost.

All of it beside the loop: a storage that hangs must not keep the node from what is due on the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from fedvol.chain.federation import Snapshot
from fedvol.errors import StorageError
from fedvol.protocol.vector import content_id
from fedvol.storage import Storage
from fedvol.storage.base import shown

log = structlog.get_logger()


class Pins:
    """The pins of one node in one storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="pins")
        self._looking: Future[None] | None = None
        self._looked: tuple[object, ...] = ()
        self._said = ""

    @property
    def settled(self) -> bool:
        """Whether nothing is being looked at or pinned again."""
        return self._looking is None and not self._said

    def put(self, objects: Sequence[bytes], seconds: float) -> None:
        """Pins objects, and waits for it so long at most.

        Raises:
            StorageError: they are not pinned, or not yet.
        """
        task = self._worker.submit(lambda: [self._storage.put(data) for data in objects])
        try:
            task.result(seconds)
        except TimeoutError:
            task.cancel()
            raise StorageError(
                f"The {self._storage.describe()} has not pinned in {seconds:g} s.", "Check that it is healthy."
            ) from None

    def keep(self, s: Snapshot, objects: Callable[[], Sequence[bytes]]) -> None:
        """Looks once a phase and version whether the objects are still pinned, and pins again what is not, until it
        succeeds. They are asked for when it looks."""
        standing = (s.clock.number, s.clock.seed, s.phase, s.version)
        if self._looking is not None:
            if not self._looking.done():
                return
            failed = self._looking.exception()
            self._looking = None
            if isinstance(failed, StorageError):
                if failed.message != self._said:
                    log.warning("not pinned", number=s.clock.number, why=failed.message, next="it tries again")
                self._said, self._looked = failed.message, ()
            elif failed is not None:
                raise failed
            else:
                self._said = ""
        if standing != self._looked:
            self._looking = self._worker.submit(self._mend, s.clock.number, tuple(objects()))
            self._looked = standing

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _mend(self, number: int, objects: Sequence[bytes]) -> None:
        for data in objects:
            if not self._storage.has(content_id(data)):
                self._storage.put(data)
                log.warning("pinned again", number=number, object=shown(content_id(data)))
