"""FederationFactory: up to eight clones, set up in one transaction, at addresses that founder and label fix."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import BOUNDS, MARKETS, PARAMS, PILLARS, WEIGHTS, config_of, surface_of

PARTS = ("federation", "vault", "registry", "engine", "settlement", "duties", "keyring", "proofs")
ZERO = "0x" + "00" * 20
LABEL = b"another".ljust(32, b"\0")


@pytest.fixture
def config(blueprints):
    """Builds a configuration with changes."""

    def build(**changes):
        b = blueprints
        return config_of(b.token, b.founder, b.guardian, label=LABEL) | changes

    return build


@pytest.fixture
def surface(blueprints):
    return surface_of(blueprints.feeds, blueprints.vols)


def test_factory_create_succeeds(project, blueprints, config, surface):
    factory, founder = blueprints.factory, blueprints.founder
    receipt = factory.create(config(**surface), sender=founder)
    parts = factory.addressesOf(founder, LABEL)
    assert receipt.events.filter(factory.FederationCreated, founder=founder.address, label=LABEL)
    assert tuple(factory.partsOf(parts.federation)) == tuple(parts)
    federation = project.Federation.at(parts.federation)
    assert (federation.vault(), federation.registry()) == (parts.vault, parts.registry)
    assert {k: int(federation.params()[k]) for k in PARAMS} == PARAMS
    vault, registry = project.StakeVault.at(parts.vault), project.ModelRegistry.at(parts.registry)
    assert (vault.federation(), vault.token()) == (parts.federation, blueprints.token.address)
    assert (registry.federation(), int(registry.dimension())) == (parts.federation, surface["dimension"])
    assert (tuple(registry.layout()), registry.reader()) == ((len(MARKETS), PILLARS, 6, 2), parts.engine)
    engine = project.PricingEngine.at(parts.engine).configuration()
    assert (engine.registry, int(engine.pillars)) == (parts.registry, PILLARS)
    assert {k: int(engine.bounds[k]) for k in BOUNDS} == BOUNDS
    assert [bytes(m).rstrip(b"\0").decode() for m in engine.markets] == list(MARKETS)
    admin, guardian = federation.DEFAULT_ADMIN_ROLE(), federation.GUARDIAN()
    assert federation.hasRole(admin, founder)
    assert federation.hasRole(guardian, blueprints.guardian)
    assert not federation.hasRole(admin, factory)


def test_factory_create_without_markets_and_verifier_has_no_engine_and_no_proofs_succeeds(project, blueprints, config):
    blueprints.factory.create(config(), sender=blueprints.founder)
    parts = blueprints.factory.addressesOf(blueprints.founder, LABEL)
    registry = project.ModelRegistry.at(parts.registry)
    assert (parts.engine, registry.reader(), int(registry.dimension())) == (ZERO, ZERO, WEIGHTS)
    assert (parts.proofs, project.Federation.at(parts.federation).modules().proofs) == (ZERO, ZERO)


def test_factory_create_pillars_without_markets_reverts(project, blueprints, config):
    with ape.reverts(project.ModelRegistry.BadLayout):
        blueprints.factory.create(config(pillars=1), sender=blueprints.founder)


def test_factory_create_label_taken_reverts(blueprints, config):
    blueprints.factory.create(config(), sender=blueprints.founder)
    with ape.reverts():
        blueprints.factory.create(config(), sender=blueprints.founder)


def test_factory_create_addresses_by_founder_and_label_succeeds(blueprints, config, stranger):
    """Nobody can take another's address: two labels and two founders make four federations."""
    factory, founder = blueprints.factory, blueprints.founder
    for sender in (founder, stranger):
        for label in (LABEL, b"third".ljust(32, b"\0")):
            factory.create(config(label=label), sender=sender)
    all_parts = [
        getattr(factory.addressesOf(sender, label), part)
        for sender in (founder, stranger)
        for label in (LABEL, b"third".ljust(32, b"\0"))
        for part in PARTS
    ]
    assert len(set(all_parts)) == 24 + 1  # none has an engine, or proofs


def test_factory_parts_of_unknown_reverts(blueprints, stranger):
    factory = blueprints.factory
    with ape.reverts(factory.UnknownFederation, error_inputs={"federation": stranger.address}):
        factory.partsOf(stranger)


@pytest.mark.parametrize("dimension", [0, 2049])
def test_factory_create_bad_dimension_reverts(project, blueprints, config, dimension):
    with ape.reverts(project.ModelRegistry.BadDimension, error_inputs={"dimension": dimension}):
        blueprints.factory.create(config(dimension=dimension), sender=blueprints.founder)


@pytest.mark.parametrize("length", [0, 96, 127, 160])
def test_factory_create_wrong_genesis_length_reverts(project, blueprints, config, length):
    with ape.reverts(project.ModelRegistry.WrongModelLength, error_inputs={"given": length, "expected": 128}):
        blueprints.factory.create(config(genesis=bytes(length)), sender=blueprints.founder)


@pytest.mark.parametrize("change", [{"dimension": WEIGHTS}, {"pillars": PILLARS - 1}, {"pillars": 17}])
def test_factory_create_dimension_that_the_surface_does_not_have_reverts(project, blueprints, config, surface, change):
    error = project.PricingEngine.BadPillars if change.get("pillars") == 17 else project.ModelRegistry.BadLayout
    with ape.reverts(error):
        blueprints.factory.create(config(**surface | change), sender=blueprints.founder)


@pytest.mark.parametrize("missing", ["admin", "guardian", "bondToken"])
def test_factory_create_without_an_address_reverts(blueprints, config, missing):
    with ape.reverts():
        blueprints.factory.create(config(**{missing: ZERO}), sender=blueprints.founder)


def test_factory_create_bad_parameters_reverts(project, blueprints, config):
    wrong = config(params=PARAMS | {"quorumBps": 0})
    with ape.reverts(project.Federation.BadParameter, error_inputs={"name": b"quorumBps".ljust(32, b"\0")}):
        blueprints.factory.create(wrong, sender=blueprints.founder)
    parts = blueprints.factory.addressesOf(blueprints.founder, LABEL)
    assert not blueprints.founder.provider.get_code(parts.federation), "a refused creation leaves nothing"


def test_factory_implementations_cannot_be_set_up_reverts(project, blueprints, stranger):
    factory = blueprints.factory
    federation = project.Federation.at(factory.federationCode())
    with ape.reverts(federation.InvalidInitialization):
        federation.initialize(PARAMS, *[stranger] * 8, sender=stranger)
    vault = project.StakeVault.at(factory.vaultCode())
    with ape.reverts(vault.InvalidInitialization):
        vault.initialize(blueprints.token, stranger, sender=stranger)
    registry = project.ModelRegistry.at(factory.registryCode())
    with ape.reverts(registry.InvalidInitialization):
        registry.initialize(stranger, 8, (0, 0, 0, 0), bytes(32), stranger, sender=stranger)
    engine = project.PricingEngine.at(factory.engineCode())
    with ape.reverts(engine.InvalidInitialization):
        engine.initialize(stranger, stranger, [], 1, 20, 1, (0, 1, 10_000), sender=stranger)


def test_factory_clones_cannot_be_set_up_again_reverts(arena, stranger):
    with ape.reverts(arena.federation.InvalidInitialization):
        arena.federation.initialize(PARAMS, arena.vault, arena.registry, *[stranger] * 6, sender=stranger)
    for module in (arena.settlement, arena.duties, arena.keyring):
        with ape.reverts(module.InvalidInitialization):
            module.initialize(stranger, sender=stranger)


def test_factory_without_code_reverts(project, blueprints, stranger):
    factory = blueprints.factory
    codes = [getattr(factory, f"{part}Code")() for part in PARTS]
    for i in range(len(PARTS)):
        wrong = [*codes[:i], stranger.address, *codes[i + 1 :]]
        with ape.reverts(project.FederationFactory.NoCode):
            stranger.deploy(project.FederationFactory, tuple(wrong))
