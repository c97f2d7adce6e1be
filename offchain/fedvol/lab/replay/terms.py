"""What a replay's federations agree on, and who of them is hostile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fedvol.errors import ConfigError, TapeError
from fedvol.lab.attacks import Attacker, attack_named
from fedvol.lab.backend import Seeded
from fedvol.lab.engine import EngineName, engine
from fedvol.lab.federation import PLAN_BOUNDS, PLAN_RULE, Nodes
from fedvol.lab.replay.walkers import FIRST_ROUNDS
from fedvol.learning.model import Model
from fedvol.learning.privacy import Privacy
from fedvol.learning.settings import Settings
from fedvol.protocol.agreed import Limits
from fedvol.protocol.rule import Rule, RuleKind

ROUNDS = 5
EPOCH = 4
"""Rounds for which seats stay, as in the founders' plans."""

CLUSTER_SIZES = range(3, 17)

BURN = 4
"""Snapshots at the start that only warm up: every method starts from nothing."""

NORM = 1 << 46
"""Of proofs, as docs/proofs.md gives it: never binds an honest node."""

RULES: dict[str, Rule] = {
    "mean": PLAN_RULE,
    "bounded-mean": replace(PLAN_RULE, clamp=int(0.05 * 2**20)),
    "median": replace(PLAN_RULE, kind=RuleKind.MEDIAN),
    "trimmed-mean": replace(PLAN_RULE, kind=RuleKind.TRIMMED_MEAN, trim_bps=2_000),
    "equal-median": replace(PLAN_RULE, kind=RuleKind.MEDIAN, weighted=False),
    "equal-trimmed-mean": replace(PLAN_RULE, kind=RuleKind.TRIMMED_MEAN, trim_bps=2_000, weighted=False),
}
"""A bounded mean's nodes may move a weight by 0.05 instead of 0.5; a trimmed mean cuts a fifth of each end. Nodes count
by how sure they are of a weight, in the equal ones all alike."""

PLAIN, MASKED, PROVEN = "federated", "federated_masked", "federated_proven"


@dataclass(frozen=True)
class Plan:
    """Args:
    tape: a file or folder of quotes or trades. by: its column that names desks.
    nodes: by default as many as desks, or the next number that clusters can hold.
    cluster_size: of the masked federation, a divisor of `nodes`; by default the smallest.
    hours: length of a snapshot of trades. most: the newest snapshots of the tape, all by default.
    rule: one of RULES. attack, hostile: what that share of the nodes does once the federation has warmed up; None: all
        are honest.
    epsilon: every node's budget of differential privacy of one trade for the whole tape; None: no noise.
    seeds: how often federations are walked, each with its own rounding, seats, noise and hostile nodes.
    engine: how the federations' participants are trained.
    """

    tape: Path
    by: str
    nodes: int | None = None
    cluster_size: int | None = None
    rounds: int = ROUNDS
    hours: float = 6.0
    most: int | None = None
    agreed: bool = False
    rule: str = "mean"
    attack: str | None = None
    hostile: float = 0.2
    epsilon: float | None = None
    seeds: int = 1
    engine: EngineName = "in-turn"

    def filled(self, desks: int) -> Plan:
        """With nodes and clusters that fit.

        Raises:
            TapeError: clusters of that size do not hold that many nodes.
            ConfigError: no such rule or attack, or hostile nodes that are no minority.
        """
        if self.rule not in RULES:
            raise ConfigError(f"There is no rule named {self.rule!r}.", f"Choose one of {', '.join(RULES)}.")
        nodes, size = clusters(self, desks)
        plan = replace(self, nodes=nodes, cluster_size=size)
        plan.attacker(nodes, 0, 1)
        return plan

    @property
    def federations(self) -> Sequence[str]:
        """The federations that walk the tape; proofs change nothing for the honest."""
        return (PLAIN, MASKED) if self.attack is None else (PLAIN, MASKED, PROVEN)

    def attacker(self, count: int, seed: int, rounds: int) -> Attacker | None:
        if self.attack is None:
            return None
        return Attacker(attack_named(self.attack), self.hostile, count, seed, rounds, self.rounds_of(BURN))

    def rounds_of(self, snapshots: int) -> int:
        return FIRST_ROUNDS + self.rounds * (snapshots - 1)

    def federation(self, method: str, model: Model, snapshots: int, seed: int = 0, masks: bool = True) -> Nodes:
        """A fresh federation for that many snapshots. masks: see `Nodes`."""
        rounds = self.rounds_of(snapshots)
        private = None if self.epsilon is None else Privacy(self.epsilon, rounds=rounds)
        return Nodes(
            model,
            self.nodes,
            RULES[self.rule],
            Settings(privacy=private),
            Limits() if self.agreed else None,
            1 if method == PLAIN else self.cluster_size,
            norm=NORM if method == PROVEN else None,
            masks=masks,
            bounds=PLAN_BOUNDS,
            attacker=self.attacker(self.nodes, seed, rounds),
            backend=Seeded(seed, EPOCH),
            engine=engine(self.engine),
        )


def clusters(plan: Plan, desks: int) -> tuple[int, int]:
    """(nodes, cluster size) of a plan.

    Raises:
        TapeError: clusters of that size do not hold that many nodes.
    """
    sizes = [plan.cluster_size] if plan.cluster_size else list(CLUSTER_SIZES)
    most = plan.nodes or desks + max(sizes)
    for nodes in range(plan.nodes or desks, most + 1):
        for size in sizes:
            if nodes % size == 0:
                return nodes, size
    raise TapeError(
        f"{most} nodes do not fill clusters of {' or '.join(map(str, sizes))}.",
        "Choose --nodes and --cluster-size to fit.",
    )
