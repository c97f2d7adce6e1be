"""Contract tests run on an Anvil of their own, started without ape's `--steps-tracing`."""

from __future__ import annotations

import os

import pytest
from scripts._anvil import anvil
from tests.contracts.haste import hasten

pytest_plugins = ["tests.contracts.arena", "tests.contracts.masked", "tests.contracts.proven"]

hasten()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Ape connects right after collection; the chain must be there by then."""
    if session.items and "APE_FOUNDRY_HOST" not in os.environ:
        running = anvil()
        os.environ["APE_FOUNDRY_HOST"] = running.__enter__()
        session.config.add_cleanup(lambda: running.__exit__(None, None, None))
