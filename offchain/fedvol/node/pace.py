"""How long a node rests between two looks: so that nothing it must do comes due and is over meanwhile.

A phase ends by the clock, which is known, or when all have acted, which is not. Where only the clock can end it a node
sleeps straight on. Elsewhere it looks at once, and then whenever what it sees is twice as old, as those who act mostly
act at once; and it never sleeps through more than a share of the window that might begin the next instant.

Times are the chain's, and only their differences count: a wrong clock here changes nothing. The head is as old as a
block takes at most, so a node may be late by as much again.
"""

from __future__ import annotations

from fedvol.chain.federation import COMMITTED, Phase, Snapshot
from fedvol.node.decide import BETWEEN_ROUNDS, EXIT_PATIENCE, Roles, View, proposals_open_at, turn

SHARE = 0.25
"""Of a window, by which a node may come late."""

LONGEST = 3_600.0
"""Seconds after which it looks even though nothing is due."""


def rest(s: Snapshot, view: View, roles: Roles, beat: float) -> float:
    """Seconds until the next look, after one at which there was nothing to do.

    Args:
        beat: seconds between two blocks.
    """
    spans = [LONGEST, *(at - s.time for at in _due(s, view, roles) if at > s.time)]
    if not _only_time_tells(s, view):
        spans.append(min(max(beat, _age(s, view)), SHARE * _next_window(s, view)))
    return min(spans)


def _age(s: Snapshot, view: View) -> int:
    """Seconds for which what the node waits for may have been there; between two rounds it waits for an opening."""
    return min(view.waited, max(0, s.time - s.next_opening)) if s.phase in BETWEEN_ROUNDS else view.waited


def _due(s: Snapshot, view: View, roles: Roles) -> list[float]:
    """Seconds at which something begins or ends, or the node's turn comes."""
    mine = turn(s, s.node) * roles.stagger
    times = [s.ends_at]
    shared = s.phase in (Phase.DRAW, *BETWEEN_ROUNDS) and not _is_over(s)
    if shared or view.answerable or view.reports:
        times.append(s.time - view.waited + mine)
    if s.phase in BETWEEN_ROUNDS:
        times += [s.next_opening + mine, s.next_opening + EXIT_PATIENCE]
    if s.phase == Phase.PROPOSE:
        opens = proposals_open_at(s)
        times.append(opens + min(mine, (s.ends_at - opens) / 2))
    if s.phase == Phase.AVAILABILITY and view.missing:
        window = s.params["demandWindow"]
        times.append(s.ends_at - (2 if s.clock.demands else 1) * window + min(mine, window / 3))
    return times


def _only_time_tells(s: Snapshot, view: View) -> bool:
    """Whether nobody's act can make this node's next one due."""
    match s.phase:
        case Phase.SETTLE:
            return not _owes(s, view)
        case Phase.AVAILABILITY:  # who is demanded has a whole window to answer once demanding is over
            return view.watched and not view.answerable
        case Phase.CHALLENGE:
            return view.watched
    return _is_over(s) and not view.reports


def _is_over(s: Snapshot) -> bool:
    """Whether a round has ended, and the next cannot open yet."""
    return (s.published or s.phase == Phase.VOID) and s.time < s.next_opening


def _next_window(s: Snapshot, view: View) -> float:
    """Seconds that the next thing to do takes at least, were it to begin now."""
    p = s.params
    if _owes(s, view) and s.phase != Phase.SETTLE:
        return s.ends_at - s.time
    match s.phase:
        case Phase.COMMIT | Phase.SETTLE:
            return p["revealWindow"]
        case Phase.REVEAL | Phase.AVAILABILITY:
            return p["demandWindow"]
        case Phase.UNMASK:
            return p["leadWindow"] if s.node.seat == s.lead_seat else p["proposeWindow"]
        case Phase.PROPOSE:
            return p["challengeWindow"]
        case Phase.CHALLENGE:
            return s.ends_at - s.time
    return p["commitWindow"]


def _owes(s: Snapshot, view: View) -> bool:
    """Whether the node waits for something of its own: a proof of what it committed to, or certainty of whom to unmask
    for."""
    node, mine = s.node, s.node.ballot_round == s.clock.number
    if s.phase in (Phase.COMMIT, Phase.SETTLE, Phase.REVEAL):
        return mine and node.ballot_state == COMMITTED and not view.can_open
    return s.phase == Phase.UNMASK and mine and s.roll.must_unmask(node.seat)
