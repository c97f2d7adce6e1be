"""Verifiers in the real EVM of the node's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fedvol.proofs.backend import Backend
from tests.node.conftest import artefacts, chain_url  # noqa: F401
from tests.proofs import evm

Judge = Callable[[bytes, list[int]], bool]
"""(proof, public inputs) → whether the verifier takes it."""


@pytest.fixture(scope="session")
def judge_of(chain_url: str, artefacts: dict[str, Any]) -> Callable[[str], Judge]:  # noqa: F811
    """The committed verifier of a circuit, deployed."""

    def deployed(name: str) -> Judge:
        address = evm.deploy(chain_url, artefacts[f"Insecure{name.title()}Verifier"])
        return lambda proof, inputs: evm.accepts(chain_url, address, proof, inputs)

    return deployed


@pytest.fixture(scope="session")
def backend() -> Backend:
    return Backend()
