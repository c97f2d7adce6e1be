"""What anybody can see of one desk in a masked round, beside what is recovered."""

from __future__ import annotations

from fedvol.chain.federation import Snapshot
from fedvol.console import out, table
from fedvol.protocol.cluster import Member, unmask
from fedvol.protocol.roll import Roll
from fedvol.protocol.vector import BIAS, lanes_of
from fedvol.storage import open_storage
from scripts._localnet import Localnet


def eavesdrop(net: Localnet, s: Snapshot) -> dict[str, object]:
    """What anybody sees of one desk in the last final round, and what its cluster's sum is."""
    client, storage = net.client, open_storage(str(net.home / "storage"))
    number = client.events("RoundFinal", s.block)[-1]["args"]["round"]
    seats = {e["args"]["node"]: e["args"]["seat"] for e in client.events("Committed", s.block, round=number)}
    shown = client.unmaskings(number, s.block)
    reveals = {r.node: r for r in client.reveals(number, s.block) if r.node in shown}
    m = s.clock.cluster_size
    roll = Roll.of(m, s.clock.selected, [seats[n] for n in reveals], [seats[n] for n in shown])
    names = {d.address: d.name for d in net.desks}
    node = next(n for n in reveals if n in names and roll.is_open(seats[n] // m))
    cluster = seats[node] // m
    members = [
        Member(seats[n] % m, storage.get(r.content_id), shown[n].keys)
        for n, r in reveals.items()
        if seats[n] // m == cluster
    ]
    total = unmask(members, roll.missing_in(cluster))
    masked, count = storage.get(reveals[node].content_id), len(members)
    sums = lanes_of(b"".join(w.to_bytes(32, "big") for w in total.words)) - (count - 1) * BIAS
    return {
        "round": number,
        "desk": names[node],
        "cluster": [names.get(n, "cheat") for n in reveals if seats[n] // m == cluster],
        "masked_words": ["0x" + masked[i : i + 32].hex() for i in (0, 32, 64)],
        "masked_lanes": lanes_of(masked)[:8].tolist(),
        "sum_lanes": sums[:8].tolist(),
        "survivors": count,
        "clusters_open": sum(map(roll.is_open, roll.clusters)),
    }


def tell_masks(seen: dict) -> None:
    out.print(
        f"[bold]what an eavesdropper sees[/] of {seen['desk']} in round {seen['round']}: "
        f"{seen['masked_words'][0][:34]}… (uniform in the field; no key that could lift it is ever public)"
    )
    table(
        f"read as an update it says nothing; only the sum of {', '.join(seen['cluster'])} is recovered",
        ["weight", f"{seen['desk']}, masked", f"sum of {seen['survivors']}", "mean move, 2^-20"],
        [
            [str(i), lane, total, total / seen["survivors"]]
            for i, (lane, total) in enumerate(zip(seen["masked_lanes"], seen["sum_lanes"], strict=True))
        ],
    )
