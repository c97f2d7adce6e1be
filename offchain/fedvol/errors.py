"""What can go wrong for a user: one line that names the input, and the next thing to try."""

from __future__ import annotations


class FedvolError(Exception):
    """A failure that the user can act on.

    Args:
        message: what is wrong, naming the input.
        hint: the next thing to try.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


class ConfigError(FedvolError):
    """A configuration file or a command-line value that cannot be used."""

    exit_code = 2


class KeyfileError(FedvolError):
    """A keystore file that is missing, damaged, or locked with another password."""

    exit_code = 3


class TapeError(FedvolError):
    """A tape that cannot be read, or holds nothing that can be used."""

    exit_code = 4


class StorageError(FedvolError):
    """Storage that is down, slow, or returns other bytes than asked for."""

    exit_code = 5


class ChainError(FedvolError):
    """A node that is down, slow, of another chain, or an account that cannot pay."""

    exit_code = 6


class WireError(FedvolError):
    """Numbers or bytes that the protocol cannot carry: non-finite, out of range, of a wrong length."""

    exit_code = 7


class CeremonyError(FedvolError):
    """A reference string that is missing, or not what its transcript says."""

    exit_code = 12


class ProofError(FedvolError):
    """A proof that cannot be made: inputs that do not fit together, or a missing prover."""

    exit_code = 13
