"""What can go wrong for a user: one line that names the input, and the next thing to try."""

from __future__ import annotations

EXIT_CODES = {
    0: "stopped as asked",
    1: "failed otherwise",
    2: "command line, configuration",
    3: "key file, password; a key in use by another process",
    4: "tape",
    5: "storage",
    6: "chain: endpoint, chain id, contracts, funds",
    7: "numbers that the protocol cannot carry",
    8: "`fedvol audit`, `fedvol verify`: a fault",
    9: "`fedvol audit`: missing bytes",
    10: "`fedvol audit`: not all can be checked",
    11: "the privacy budget is spent",
    12: "with proofs and in `fedvol ceremony`: a reference string that is missing or not what it says",
    13: "a proof cannot be made: a prover is missing or fails",
    14: "journal: damaged, in use by another process, or its disk is full",
    130: "Ctrl-C before the daemon had started, or twice",
    143: "SIGTERM a second time: ended at once",
}
"""What a process ends with. docs/operating.md has the same table, and a test holds both to the classes below."""


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

    def __reduce__(self) -> tuple[type[FedvolError], tuple[str, str]]:
        # An exception is unpickled from what its base class was given; without this, none gets out of a process pool.
        return type(self), (self.message, self.hint)


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
