"""From the revealed updates to the round's new model: what everybody else finds too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import structlog

from fedvol.chain.federation import Reveal
from fedvol.errors import FedvolError, StorageError, WireError
from fedvol.protocol import rule
from fedvol.protocol.vector import pack_model, unpack_model, unpack_update
from fedvol.storage import Storage

log = structlog.get_logger()


class NothingToPropose(FedvolError):
    """A round in which no revealed update counts."""


def combine(
    model: bytes, reveals: Sequence[Reveal], storage: Storage, *, dimension: int, clamp: int, step: int
) -> bytes:
    """Bytes of the new model: the mean of the revealed updates on top of the round's model.

    An update of a wrong length does not count; as its bytes are fixed by the content id, it counts for nobody.

    Raises:
        StorageError: bytes that cannot be had, naming whose: without them nobody knows the mean.
        NothingToPropose: no update is left.
    """
    weights = unpack_model(model, dimension)
    missing: dict[str, StorageError] = {}
    updates = []
    for reveal in reveals:
        try:
            updates.append(unpack_update(storage.get(reveal.content_id), dimension))
        except StorageError as error:
            missing[reveal.node] = error
        except WireError as error:
            log.warning("update does not count", node=reveal.node, why=error.message)
    if missing:
        first = next(iter(missing.values()))
        raise StorageError(
            f"The revealed bytes of {', '.join(missing)} cannot be fetched: {first.message}",
            "The node tries again until the round ends; whoever revealed them must pin them.",
        )
    if not updates:
        raise NothingToPropose(
            "No revealed update has the model's length.", "The round ends void; the last model stays."
        )
    return pack_model(rule.mean(weights, np.array(updates), clamp, step))
