"""A node's configuration: a TOML file, overridden by FEDVOL_NODE_… in the environment."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, field_validator
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from fedvol.chain.address import checked_address
from fedvol.errors import ConfigError
from fedvol.learning.privacy import Privacy
from fedvol.learning.settings import Settings
from fedvol.node.files import write_new

PREFIX = "FEDVOL_NODE_"
PASSWORD = "FEDVOL_PASSWORD"


@checked_dataclass(config=ConfigDict(extra="forbid"), frozen=True)
class Training(Settings):
    """`fedvol.learning.settings.Settings`, with types checked and unknown names refused."""


@checked_dataclass(config=ConfigDict(extra="forbid"), frozen=True)
class PrivacyBudget(Privacy):
    """`fedvol.learning.privacy.Privacy`, likewise."""


class NodeConfig(BaseSettings):
    """All that a node is told. Relative paths start at the folder of the configuration file.

    Attributes:
        rpc: HTTP JSON-RPC endpoint.
        chain_id: refuse any other chain; by default the deployment's.
        deployments: file that `ape run deploy` wrote.
        federation: name in that file; may be left out where it holds one.
        confirmations: blocks under the head from which reveals of others are read.
        max_fee_gwei: most that a unit of gas may cost.
        keystore: encrypted key file.
        password_file: holds its password; else FEDVOL_PASSWORD does.
        join: bond and join where the account is no member.
        bond: smallest token units; by default what the federation asks.
        withdrawal: address that bond and rewards are paid to; named on chain before the node bonds, for good.
        propose: propose the round's model when it is this node's turn.
        keeper: open, draw and publish rounds, and report absent, silent and withholding nodes, when that is due.
        watchtower: recompute each proposal and dispute a wrong one; demand revealed bytes that cannot be fetched.
        settle: settle each proposal on chain at once where it holds; costs the gas of the whole recomputation.
        top_up: bring the bond back to what is asked, out of the account's tokens.
        tape: file or folder of trades or quotes.
        desk_column, desk: use the rows of one desk only.
        window_hours: train on the newest part of the tape.
        holdout: share of the tape's rows, chosen by hash, that never trains.
        training: see `Training`.
        privacy: see `PrivacyBudget`; without it the node trains without noise.
        storage: folder, or ipfs+http://host:port.
        data_dir: the node's journal.
        poll_seconds: between two looks at the chain, at least; see `fedvol.node.pace`.
        stop_patience: seconds for which a node that is told to stop stays, at most, to do what is at stake.
        metrics: address at which Prometheus may ask, host:port; "" for none.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    rpc: str
    chain_id: int | None = Field(default=None, gt=0)
    deployments: Path
    federation: str | None = None
    confirmations: int = Field(default=1, ge=0, le=256)
    max_fee_gwei: float = Field(default=300.0, gt=0)

    keystore: Path
    password_file: Path | None = None

    join: bool = True
    bond: int | None = Field(default=None, gt=0)
    withdrawal: str | None = None
    propose: bool = True
    keeper: bool = True
    watchtower: bool = True
    settle: bool = False
    top_up: bool = True

    tape: Path
    desk_column: str | None = None
    desk: str | None = None
    window_hours: float = Field(default=24.0, gt=0)
    holdout: float = Field(default=0.5, ge=0, lt=1)
    training: Training = Training()
    privacy: PrivacyBudget | None = None

    storage: str
    data_dir: Path
    poll_seconds: float = Field(default=2.0, ge=0.1, le=600)
    stop_patience: float = Field(default=120.0, ge=0, le=86_400)
    metrics: str = Field(default="", pattern=r"^$|^\S+:\d{1,5}$")

    @field_validator("rpc")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value

    @field_validator("withdrawal")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        return None if value is None else checked_address(value)

    @field_validator("training")
    @classmethod
    def _has_no_budget(cls, value: Training) -> Training:
        if value.privacy is not None:
            raise ValueError("privacy is a section of its own, [privacy]")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[Any, ...]:
        return env_settings, init_settings  # the environment wins over the file's content

    def settings(self) -> Settings:
        """How to train: `training` under `privacy`."""
        return replace(self.training, privacy=self.privacy)

    def password(self) -> str:
        """The key file's password.

        Raises:
            ConfigError: it is nowhere, or its file cannot be read.
        """
        if self.password_file is not None:
            return read_password(self.password_file)
        if PASSWORD in os.environ:
            return os.environ[PASSWORD]
        raise ConfigError(f"The password of {self.keystore} is missing.", f"Set {PASSWORD}, or name a password_file.")


def load_config(path: Path) -> NodeConfig:
    """Reads the file and the environment.

    Raises:
        ConfigError: no such file, not TOML, an unknown key, or a bad value; it names the key.
    """
    try:
        content = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration {path}.", "Write one with `fedvol node init`.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).", "Check its owner and mode.") from None
    except ValueError as error:
        raise ConfigError(f"{path} is no TOML: {error}.", "Correct that line.") from None
    known = {f"{PREFIX}{name.upper()}" for name in NodeConfig.model_fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name.split("__")[0] not in known:
            raise ConfigError(f"The environment sets {name}, which is no setting.", "Unset it, or correct its name.")
    try:
        config = NodeConfig(**content)
    except ValidationError as error:
        raise _explain(path, error) from None
    folder = path.absolute().parent
    paths = ("deployments", "keystore", "password_file", "tape", "data_dir")
    return config.model_copy(
        update={name: folder / Path(value).expanduser() for name in paths if (value := getattr(config, name))}
        | {"storage": config.storage if ":" in config.storage else str(folder / Path(config.storage).expanduser())}
    )


def read_password(path: Path) -> str:
    """The first line of a password file."""
    try:
        return path.read_text().split("\n", 1)[0].rstrip("\r")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The password file {path} cannot be read ({error}).", "Check its name, owner and mode."
        ) from None


def _explain(path: Path, error: ValidationError) -> ConfigError:
    first, *more = error.errors()
    key = ".".join(str(part) for part in first["loc"])
    others = f" ({len(more)} more)" if more else ""
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        sections = {"training": Training.__dataclass_fields__, "privacy": PrivacyBudget.__dataclass_fields__}
        known = sorted(sections[str(first["loc"][0])] if "." in key else NodeConfig.model_fields)
        return ConfigError(f"{path}: unknown key {key!r}{others}.", f"Known are: {', '.join(known)}.")
    if first["type"] == "missing":
        return ConfigError(f"{path}: {key!r} is missing{others}.", f"Add it, or set {PREFIX}{key.upper()}.")
    given = f" (it is {first['input']!r})" if not isinstance(first["input"], dict) else ""
    return ConfigError(f"{path}: {key}: {first['msg']}{given}{others}.", "Correct it.")


def write_config(path: Path, settings: dict[str, str | int | float | None]) -> None:
    """Writes a new configuration with a comment on every setting; what is None stays an example.

    Raises:
        ConfigError: the file exists, or cannot be written.
    """

    def line(name: str, example: str | int | float) -> str:
        value = settings.get(name)
        # A JSON string or number is one in TOML, too.
        return f"# {name} = {json.dumps(example)}" if value is None else f"{name} = {json.dumps(value)}"

    text = TEMPLATE.format(**{name: line(name, example) for name, example in EXAMPLES.items()})
    try:
        write_new(path, text, 0o644)
    except FileExistsError as error:
        raise ConfigError(f"{path} exists and is not overwritten.", "Name another file.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}).", "Name another place.") from error


EXAMPLES: dict[str, str | int | float] = {
    "rpc": "http://127.0.0.1:8545",
    "chain_id": 1,
    "deployments": "deployments/1.json",
    "federation": "btc-eth",
    "keystore": "key.json",
    "password_file": "password",
    "withdrawal": "0x52908400098527886E0F7030069857D2E4169EE7",
    "tape": "trades.csv.gz",
    "desk": "name",
    "desk_column": "desk",
    "window_hours": 24.0,
    "storage": "ipfs+http://127.0.0.1:5001",
    "data_dir": "data",
}

TEMPLATE = """\
# A FedVol node. Any setting can also come from the environment as FEDVOL_NODE_<NAME>, which wins over this file.
# Relative paths start at this file's folder. Lines that begin with # show defaults or examples.

# ---- chain
{rpc}
# Written by `ape run deploy`; `federation` is needed where it holds several.
{deployments}
{federation}
# Refuse any other chain (default: the deployment's).
{chain_id}
# Blocks under the head from which the reveals of others are read.
# confirmations = 1
# Most that a unit of gas may cost.
# max_fee_gwei = 300.0

# ---- account: the node's own; send nothing else from it
{keystore}
# The key's password comes from this file, or from FEDVOL_PASSWORD.
{password_file}
# Bond and join where the account is no member; `bond` in smallest token units (default: what the federation asks).
# join = true
# bond = 1000000000000000000000
# Whom bond and rewards are paid to: an address whose key does not lie here. It is named on chain once, for good.
{withdrawal}
# Propose the round's model when it is this node's turn.
# propose = true
# Open, draw and publish rounds and report absent, silent and withholding nodes when that is due.
# keeper = true
# Recompute each proposal, dispute a wrong one, demand revealed bytes that cannot be fetched.
# watchtower = true
# Settle each proposal on chain at once: no challenge window, at the gas of the whole recomputation.
# settle = false
# Bring the bond back to what is asked, out of the account's tokens.
# top_up = true

# ---- your tape: it never leaves this machine
{tape}
# Train on the rows of one desk only.
{desk}
{desk_column}
# Train on the newest hours of the tape; a share of its rows, chosen by hash, never trains.
{window_hours}
# holdout = 0.5

# ---- where packed updates and models are pinned: a folder that all nodes share, or ipfs+http://127.0.0.1:5001
{storage}

# ---- this node
# Its journal; one node, one folder.
{data_dir}
# Fewest seconds between two looks at the chain: about its block time. Where nothing is due it looks less often.
# poll_seconds = 2.0
# Told to stop, it stays so long at most to reveal, answer or unmask what it has committed to.
# stop_patience = 120.0
# Where Prometheus may ask; "" for nowhere. It tells your bond and your budget: keep it from others.
# metrics = "127.0.0.1:9464"

# Local training of one round.
# [training]
# steps = 3
# prior = 4e-4

# Differential privacy of one trade: epsilon at delta over all these rounds; then the node sits rounds out. Every value
# is public: choose none by looking at your tape.
# [privacy]
# epsilon = 4.0
# delta = 1e-5
# rounds = 100
"""
