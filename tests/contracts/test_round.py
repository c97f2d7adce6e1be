"""A whole round, as its members live it."""

from __future__ import annotations

from fedvol.protocol.vector import content_id


def test_round_honest_succeeds(arena, nodes):
    arena.join(*nodes)
    model = arena.run_round(nodes)
    assert arena.phase == "Final"
    version = arena.registry.versionAt(2)
    assert version.contentId == content_id(model)
    assert bytes(arena.registry.modelOf(2)) == model
    assert int(version.round) == 1
