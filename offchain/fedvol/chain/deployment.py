"""Where a federation's contracts are: one file for each chain, written by `ape run deploy`, read by everybody."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fedvol.errors import ConfigError

NOWHERE = "0x" + "00" * 20


@dataclass(frozen=True)
class Deployment:
    """Addresses of one federation, and the spec of the model that it trains.

    Attributes:
        block: block of creation; events are looked for from here.
        spec: JSON form of the model's spec (`fedvol.learning.model.ModelSpec`).
        proofs: `NOWHERE` where updates carry none, as in records that are older than proofs.
    """

    name: str
    chain_id: int
    factory: str
    federation: str
    vault: str
    registry: str
    engine: str
    settlement: str
    duties: str
    keyring: str
    token: str
    timelock: str
    block: int
    feeds: dict[str, str] = field(default_factory=dict)
    vol_feeds: dict[str, str] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    proofs: str = NOWHERE

    @classmethod
    def load(cls, path: Path | str, name: str | None = None) -> Deployment:
        """The federation called `name`, or the only one in the file.

        Raises:
            ConfigError: no such file, not such a file, or no such federation.
        """
        records = read_records(path)["federations"]
        if name is None and len(records) != 1:
            raise ConfigError(
                f"{path} holds {len(records)} federations: {', '.join(sorted(records)) or 'none'}.",
                "Name one with --name.",
            )
        name = name or next(iter(records))
        if name not in records:
            raise ConfigError(
                f"{path} knows no federation {name!r}.", f"Use one of: {', '.join(sorted(records)) or 'none'}."
            )
        try:
            return cls(**records[name])
        except TypeError as error:
            raise ConfigError(f"{path}: the record of {name!r} is damaged ({error}).", "Deploy again.") from error

    def save(self, path: Path | str) -> None:
        """Adds or replaces this record; the file is never half-written."""
        path = Path(path)
        records = read_records(path) if path.exists() else {"chain_id": self.chain_id, "federations": {}}
        records["federations"][self.name] = asdict(self)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(records, indent=2) + "\n")
        os.replace(draft, path)


def read_records(path: Path | str) -> dict[str, Any]:
    """The whole file.

    Raises:
        ConfigError: no such file, or not such a file.
    """
    try:
        records = json.loads(Path(path).read_text())
        if not isinstance(records["federations"], dict):
            raise TypeError
        return records
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no deployment file {path}.", "Deploy first (`ape run deploy`), or name it with --deployments."
        ) from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ConfigError(f"{path} is no deployment file.", "Restore it, or deploy again.") from error
