"""ModelRegistry: versions in contract code, never rewritten."""

from __future__ import annotations

import ape
import pytest

from fedvol.protocol.vector import content_id


def test_registry_genesis_is_version_one_succeeds(arena):
    record = arena.registry.versionAt(1)
    assert (record.contentId, int(record.round)) == (content_id(arena.genesis), 0)
    assert bytes(arena.registry.modelOf(1)) == arena.genesis
    current = arena.registry.current()
    assert (int(current.version), current.pointer) == (1, record.pointer)
    assert int(current.publishedAt) == int(record.publishedAt) == int(current.asOf) == int(record.asOf) > 0


def test_registry_model_is_contract_code_succeeds(arena, chain):
    code = bytes(chain.provider.get_code(arena.registry.current().pointer))
    assert code == b"\0" + arena.genesis


def test_registry_publish_by_another_reverts(arena, stranger):
    for caller in (stranger, arena.founder):
        with ape.reverts(arena.registry.NotFederation, error_inputs={"caller": caller.address}):
            arena.registry.publish(arena.genesis, bytes(32), 1, 1, sender=caller)


@pytest.mark.parametrize("version", [0, 2, 2**32 - 1])
def test_registry_unknown_version_reverts(arena, version):
    for read in (arena.registry.versionAt, arena.registry.modelOf):
        with ape.reverts(arena.registry.UnknownVersion, error_inputs={"version": version}):
            read(version)


def test_registry_history_stays_succeeds(joined, nodes):
    models = [joined.genesis, joined.run_round(nodes), joined.run_round(nodes)]
    assert [bytes(joined.registry.modelOf(v)) for v in (1, 2, 3)] == models
    assert [int(joined.registry.versionAt(v).round) for v in (1, 2, 3)] == [0, 1, 2]
    assert len({joined.registry.versionAt(v).pointer for v in (1, 2, 3)}) == 3


def test_registry_initialize_twice_reverts(arena, stranger):
    with ape.reverts(arena.registry.InvalidInitialization):
        arena.registry.initialize(stranger, 8, (0, 0, 0, 0), bytes(32), stranger, sender=stranger)
