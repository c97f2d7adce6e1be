"""Whose reference string a deployed verifier trusts."""

from __future__ import annotations

from fedvol.errors import ConfigError
from fedvol.proofs.reference import IGNITION, trusted_by

LOCAL_CHAINS = (31337, 1337)
"""The only ones on which a verifier under the insecure local string may judge."""


def require_public(verifier: str, code: bytes) -> None:
    """Looks for Ignition's τ·G2 in a verifier's code: of the local string everybody knows τ, and can prove anything.

    Raises:
        ConfigError: it is not there, or there is no code.
    """
    if trusted_by(code) != IGNITION:
        raise ConfigError(
            f"The verifier at {verifier} is not made from the Ignition reference string.",
            "On a public chain deploy the one that `make circuits` generates for it.",
        )
