"""A founder's plan: the TOML file behind `ape run deploy --federation FILE`, refused here before any gas is spent.

Twin of the checks in `contracts/libraries/ParamsLib.sol`.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from web3 import Web3

from fedvol.errors import ConfigError
from fedvol.protocol.agreed import PLACES as TRAINED_PLACES
from fedvol.protocol.agreed import UNIT, Limits
from fedvol.protocol.listing import MAX_PILLARS
from fedvol.protocol.mask import MOST_CLAIMS
from fedvol.protocol.roll import MOST_SEATS, least_survivors
from fedvol.protocol.statement import DIMENSION, PLACES
from fedvol.protocol.surface import weights_of
from fedvol.protocol.vector import BIAS, MAX_DIMENSION, MAX_NODES


def _address(value: str) -> str:
    if value and not Web3.is_address(value):
        raise ValueError("is no address")
    return Web3.to_checksum_address(value) if value else ""


Address = Annotated[str, AfterValidator(_address)]
"""A checksummed address, or "" where the local chain makes its own."""


RULE_KINDS = ("mean", "median", "trimmed-mean")
"""In the order of `RuleKind` in `contracts/libraries/RuleLib.sol`."""

MOST_MASKS = 400
"""Masks that one word of a round may wear, as in `ParamsLib`."""

PROOF_KINDS = ("bounded", "trained")
"""In the order of `IProofs.Kind`, after None."""

LEAST_PROVABLE = 3
"""Smallest cluster in which updates are proven; the largest is `PLACES`."""

MAX_FAILURES = 3
"""Wrong proposals after which a round is void, as in `ParamsLib`."""

YEAR = 365 * 86_400
"""Longest interval and unbonding, as in the contract: a federation must be repairable, and a bond must come back."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelPlan(_Strict):
    plugin: str
    markets: list[str] = Field(min_length=1)
    pillars: int = Field(ge=1, le=MAX_PILLARS)
    fraction_bits: int = Field(ge=8, le=28)
    max_model_age: int = Field(ge=1, lt=2**32)
    least_vol_bps: int = Field(ge=1, lt=2**32)
    most_vol_bps: int = Field(ge=1, lt=2**32)
    most_move_bps: int = Field(gt=10_000, lt=2**32)

    @model_validator(mode="after")
    def _check(self) -> ModelPlan:
        if len(set(self.markets)) != len(self.markets):
            raise ValueError("markets: each is named once")
        if any(not 0 < len(name.encode()) <= 32 for name in self.markets):
            raise ValueError("markets: a name takes 1 to 32 bytes")
        if self.least_vol_bps >= self.most_vol_bps:
            raise ValueError("least_vol_bps: must be below most_vol_bps")
        return self


class RoundsPlan(_Strict):
    seats: int = Field(ge=1, le=MAX_NODES)
    min_members: int = Field(ge=1)
    cluster_size: int = Field(ge=1, le=16)
    quorum_bps: int = Field(ge=1, le=10_000)
    epoch_rounds: int = Field(ge=1, lt=2**16)
    seed_delay: int = Field(ge=1, le=128)
    finality: int = Field(ge=1, lt=2**16)
    interval: int = Field(ge=0, le=YEAR)
    commit_window: int = Field(ge=1, lt=2**24)
    reveal_window: int = Field(ge=1, lt=2**24)
    lead_window: int = Field(ge=0, lt=2**24)
    demand_window: int = Field(ge=1, lt=2**24)
    unmask_window: int = Field(ge=1, lt=2**24)
    propose_window: int = Field(ge=1, lt=2**24)
    challenge_window: int = Field(ge=1, lt=2**24)
    unbonding: int = Field(ge=1, le=YEAR)
    clamp: int = Field(ge=1, lt=BIAS)
    step: int = Field(ge=1, lt=2**32)

    @model_validator(mode="after")
    def _check(self) -> RoundsPlan:
        if self.cluster_size == 2:
            raise ValueError("cluster_size: 1 = plain, or at least 3: of two, each reads the other off the sum")
        if self.seats % self.cluster_size:
            raise ValueError("cluster_size: must divide seats")
        if self.cluster_size > 1 and self.seats // self.cluster_size > MOST_CLAIMS:
            raise ValueError(f"cluster_size: at most {MOST_CLAIMS} clusters")
        if self.cluster_size > 1 and self.seats > MOST_SEATS:
            raise ValueError(f"seats: at most {MOST_SEATS} where rounds are masked")
        if not self.cluster_size <= self.min_members <= self.seats:
            raise ValueError("min_members: at least cluster_size, at most seats")
        if self.lead_window >= self.propose_window:
            raise ValueError("lead_window: must end before propose_window does")
        proposing = MAX_FAILURES * (self.finality + self.propose_window + self.challenge_window)
        before = self.commit_window + self.reveal_window + 2 * self.demand_window + self.unmask_window
        whole = 5 * self.finality + before + proposing
        if self.unbonding < 2 * whole:
            raise ValueError(f"unbonding: must outlast two whole rounds, {2 * whole} s")
        return self


class RulePlan(_Strict):
    """How updates combine: see `fedvol.protocol.rule`."""

    kind: Literal["mean", "median", "trimmed-mean"] = "mean"
    weighted: bool = True
    trim_bps: int = Field(default=2_000, ge=0, lt=5_000)
    weight_cap: int = Field(default=2**18, ge=1, lt=BIAS)
    weight_shift: int = Field(default=18, ge=0, le=23)

    def params(self) -> dict[str, int]:
        return {"rule": RULE_KINDS.index(self.kind)} | {
            _camel(name): value for name, value in self.model_dump(exclude={"kind"}).items()
        }


class BondsPlan(_Strict):
    token: Address
    bond: int = Field(ge=16, lt=2**96)
    silence_penalty: int = Field(ge=0, lt=2**96)
    demand_bond: int = Field(ge=0, lt=2**72)

    @model_validator(mode="after")
    def _check(self) -> BondsPlan:
        if self.silence_penalty > self.bond // 16:
            raise ValueError("silence_penalty: at most a sixteenth of the bond")
        return self


class MembersPlan(_Strict):
    """`closed`: only whom the guardian admits may join."""

    closed: bool = False


class GovernancePlan(_Strict):
    timelock_delay: int = Field(ge=0, lt=2**32)
    governor: Address
    guardian: Address


class FeedPlan(_Strict):
    """A market's index feed and, where there is one, the feed of a vol index such as DVOL."""

    address: Address
    max_age: int = Field(ge=1, lt=2**32)
    local_price: float | None = Field(default=None, gt=0, lt=1e12)
    vol_address: Address = ""
    vol_max_age: int = Field(default=86_400, ge=1, lt=2**32)
    local_vol: float | None = Field(default=None, gt=0, lt=1e6)


class RowLimitsPlan(_Strict):
    """What rows may say, and how they pull, where training is proven: real numbers, kept with 20 binary places."""

    least_vol: float = Field(default=1 / 32, ge=1 / 64)
    most_vol: float = Field(default=3.0, gt=0, lt=8)
    most_k: float = Field(default=4.0, gt=0, lt=8)
    huber: float = Field(default=0.04, gt=0, le=1)
    prior: float = Field(default=0.0007, ge=64 / UNIT, le=1)

    @model_validator(mode="after")
    def _check(self) -> RowLimitsPlan:
        if self.least_vol > self.most_vol:
            raise ValueError("least_vol: at most most_vol")
        if min(self.limits()) < 1:
            raise ValueError("limits: nothing below 2^-20")
        return self

    def limits(self) -> Limits:
        return Limits(*(int(UNIT * getattr(self, name)) for name in Limits._fields))


class ProofsPlan(_Strict):
    """What each update proves of itself, without being shown.

    Attributes:
        norm: bound on the sum of the squared move lanes, as packed.
        verifier: made from a public reference string; "" where the local chain makes its own, which is insecure.
    """

    kind: Literal["bounded", "trained"]
    norm: int = Field(ge=1, lt=2**63)
    verifier: Address = ""
    rows: RowLimitsPlan = RowLimitsPlan()

    @property
    def insecure_verifier(self) -> str:
        """The contract that stands in on a local chain: whoever knows its reference string can prove anything."""
        return f"Insecure{self.kind.title()}Verifier"

    def terms(self, verifier: str) -> tuple[str, int, int, int]:
        """As `IProofs.Terms`."""
        kind = 1 + PROOF_KINDS.index(self.kind)
        return verifier, kind, self.norm, self.rows.limits().packed if self.kind == "trained" else 0


class FederationPlan(_Strict):
    """All that a founder decides."""

    name: str = Field(min_length=1, max_length=32, pattern=r"^[a-z0-9-]+$")
    model: ModelPlan
    rounds: RoundsPlan
    rule: RulePlan = RulePlan()
    bonds: BondsPlan
    members: MembersPlan = MembersPlan()
    governance: GovernancePlan
    feeds: dict[str, FeedPlan]
    proofs: ProofsPlan | None = None

    @model_validator(mode="after")
    def _check(self) -> FederationPlan:
        if set(self.feeds) != set(self.model.markets):
            raise ValueError("feeds: one for each of the model's markets, and no other")
        if (self.rule.weight_cap * self.rounds.clamp) >> self.rule.weight_shift >= BIAS:
            raise ValueError("rule.weight_shift: too small, weight_cap · clamp / 2^weight_shift must stay below 2^23")
        if self.rounds.cluster_size > 1 and self._masks_of_a_word() > MOST_MASKS:
            raise ValueError("rounds.cluster_size: a word wears too many masks for a dispute: take fewer seats")
        if self.rounds.cluster_size > 1 and self._most_of_a_cluster() >= BIAS:
            raise ValueError("rounds.clamp: a cluster's sum must stay below 2^23: lower clamp or cluster_size")
        if self.proofs is not None:
            self._check_proofs(self.proofs)
        return self

    def _check_proofs(self, proofs: ProofsPlan) -> None:
        dimension = len(self.model.markets) * weights_of(self.model.pillars)
        if not LEAST_PROVABLE <= self.rounds.cluster_size <= PLACES:
            raise ValueError(f"proofs: rounds.cluster_size must be {LEAST_PROVABLE} to {PLACES}")
        if not self.rule.weighted:
            raise ValueError("proofs: rule.weighted must be true")
        if dimension != DIMENSION:
            raise ValueError(
                f"proofs: the model must have {DIMENSION} weights (2 markets, 13 pillars), not {dimension}"
            )
        if proofs.kind == "trained" and self.model.fraction_bits != TRAINED_PLACES:
            raise ValueError(f"proofs: training is proven with {TRAINED_PLACES} fraction_bits")
        largest = (self.rule.weight_cap * self.rounds.clamp) >> self.rule.weight_shift
        if proofs.kind == "trained" and proofs.norm < DIMENSION * largest**2:
            raise ValueError(f"proofs.norm: of proven training at least {DIMENSION * largest**2}, all else allows that")

    def _masks_of_a_word(self) -> int:
        m, least = self.rounds.cluster_size, least_survivors(self.rounds.cluster_size)
        return self.rounds.seats // m * least * (1 + m - least) * (2 if self.rule.weighted else 1)

    def _most_of_a_cluster(self) -> int:
        m, clamp, rule = self.rounds.cluster_size, self.rounds.clamp, self.rule
        if not rule.weighted:
            return m * clamp
        return max(m * rule.weight_cap, (m * rule.weight_cap * clamp) >> rule.weight_shift)

    @property
    def label(self) -> bytes:
        return self.name.encode().ljust(32, b"\0")

    def for_public_chain(self) -> None:
        """Raises ConfigError where something is left to the local chain."""
        missing = [
            name
            for name, value in (
                ("bonds.token", self.bonds.token),
                ("governance.governor", self.governance.governor),
                ("governance.guardian", self.governance.guardian),
                *((f"feeds.{market}.address", feed.address) for market, feed in self.feeds.items()),
                *([("proofs.verifier", self.proofs.verifier)] if self.proofs is not None else []),
            )
            if not value
        ]
        if missing:
            raise ConfigError(
                f"A public chain needs {', '.join(missing)}.", "Fill them in; only a local chain gets its own."
            )

    def params(self) -> dict[str, int]:
        """As `IFederationTypes.Params`, in its order."""
        values = self.rounds.model_dump() | self.bonds.model_dump(exclude={"token"})
        later = ("min_members", "demand_window", "unmask_window")
        first = [name for name in RoundsPlan.model_fields if name not in later]
        order = [*first, "bond", "silence_penalty", "min_members", "demand_window", "demand_bond"]
        last = {"unmaskWindow": self.rounds.unmask_window, "closed": self.members.closed}
        return {_camel(name): values[name] for name in order} | self.rule.params() | last


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def load_plan(path: Path | str) -> FederationPlan:
    """Reads and checks a plan.

    Raises:
        ConfigError: no such file, no TOML, an unknown key, or a value out of its range; names the first.
    """
    try:
        raw: dict[str, Any] = tomllib.loads(Path(path).read_text())
        plan = FederationPlan.model_validate(raw)
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.", "Name a federation's TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}.", "Compare it with federations/local.toml.") from error
    except ValidationError as error:
        # A misspelt key is both unknown and missing; the first says more.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{path}: {where + ': ' if where else ''}{first['msg']}.", "Compare it with federations/local.toml."
        ) from error
    if plan.model.plugin != "ssvi-mixture":
        raise ConfigError(f"{path}: no model plug-in {plan.model.plugin!r}.", "Use ssvi-mixture.")
    if len(plan.model.markets) * weights_of(plan.model.pillars) > MAX_DIMENSION:
        raise ConfigError(f"{path}: the model has too many weights.", f"At most {MAX_DIMENSION}.")
    return plan
