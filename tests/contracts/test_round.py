"""A whole round, as its members live it."""

from __future__ import annotations

from fedvol.protocol.vector import content_id


def test_round_honest_succeeds(joined, nodes):
    model = joined.run_round(nodes)
    assert joined.phase == "Final"
    version = joined.registry.versionAt(2)
    assert version.contentId == content_id(model)
    assert bytes(joined.registry.modelOf(2)) == model
    assert int(version.round) == 1
