"""What proofs about updates cost: gates, seconds, memory, bytes, gas, and the verification of 64 of them off chain.

    .venv/bin/python -m benchmarks.proofs [--runs 3] [--threads N] [--markdown]

Writes benchmarks/proofs.json; with --markdown only prints it, as docs/proofs.md has it. See README.md here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import run
from typing import Any

for pool in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{pool}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
from eth_abi import encode  # noqa: E402
from eth_utils import keccak  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from scripts._anvil import TRANSACTION_GAS_CAP, anvil, rpc  # noqa: E402
from toolchain import circuits as toolchain  # noqa: E402

from benchmarks.peers.timing import processor  # noqa: E402
from fedvol.learning.agreed import opening  # noqa: E402
from fedvol.learning.model import build  # noqa: E402
from fedvol.learning.ssvi_mixture import mixture_spec  # noqa: E402
from fedvol.proofs import backend as tools  # noqa: E402
from fedvol.proofs import ceremony  # noqa: E402
from fedvol.proofs.circuits import named, of_lanes, of_rows, program  # noqa: E402
from fedvol.proofs.reference import INSECURE_LOCAL, PROJECT  # noqa: E402
from fedvol.protocol.agreed import FULL_WEIGHT, MARKETS, ROWS, UNIT, Limits, Row, fill, root  # noqa: E402
from fedvol.protocol.agreed_step import step  # noqa: E402
from fedvol.protocol.commitment import RoundId  # noqa: E402
from fedvol.protocol.grumpkin import ORDER, public_key  # noqa: E402
from fedvol.protocol.mask import key_hash, mask, pair_key, words_of_bytes  # noqa: E402
from fedvol.protocol.statement import WORDS, Bounds, Subject, bounded_inputs, trained_inputs  # noqa: E402
from fedvol.protocol.vector import pack_weighted  # noqa: E402

RESULT = Path(__file__).with_suffix(".json")
CLUSTER, PLACE, FIRST = 8, 2, 16
CLAMP, CAP, SHIFT = 1 << 19, 1 << 18, 18
WHERE = RoundId(31337, "0x" + "11" * 20, 7, 12345)
WIDE = 176
"""Weights whose 352 lanes stand for the d = 350 of the target."""
AS_OF = 1_780_000_000
PROOFS, AT_ONCE = 64, 4
VERIFY = keccak(text="verify(bytes,bytes32[])")[:4]
WIDTH = 110
BASE_GAS, ZERO_BYTE_GAS, BYTE_GAS = 21_000, 4, 16

MOST_GAS = 950_000
TARGETS = {
    "bounded": {"seconds": 5, "megabytes": 300, "gas": MOST_GAS, "gas_transaction": MOST_GAS},
    "trained": {"seconds": 15, "megabytes": 1_000, "gas": MOST_GAS, "gas_transaction": MOST_GAS},
}
"""At most. Seconds are those of witness and proof together; gas is that of the call, and of a transaction with it."""


@dataclass(frozen=True)
class Case:
    """A program, an honest node's inputs for it, and the verifier made from it."""

    name: str
    circuit: str
    program: Path
    inputs: dict[str, Any]
    public: list[int]
    key: bytes
    verifier: dict[str, Any]


# ---------------------------------------------------------------------- what is proven


@dataclass(frozen=True)
class Member:
    """A node in a cluster of eight, all of which have keys."""

    secret: int
    self_key: int
    pair_keys: list[int]
    subject: Subject

    def masked(self, moves: np.ndarray, weights: np.ndarray) -> bytes:
        return mask(pack_weighted(moves, weights), self.self_key, self.pair_keys, PLACE)


def member() -> Member:
    chance = random.Random(1)
    secrets = [chance.randrange(1, ORDER) for _ in range(CLUSTER)]
    points = [public_key(secret) for secret in secrets]
    own = chance.getrandbits(248)
    keys = [
        0 if j == PLACE else pair_key(secrets[PLACE], point, WHERE, FIRST + PLACE, FIRST + j)
        for j, point in enumerate(points)
    ]
    hashes = [bytes(32) if j == PLACE else key_hash(key) for j, key in enumerate(keys)]
    return Member(secrets[PLACE], own, keys, Subject(WHERE, FIRST, PLACE, points, key_hash(own), hashes))


def bounds(moves: np.ndarray) -> Bounds:
    return Bounds(CLAMP, CAP, 1 << SHIFT, int((moves.astype(object) ** 2).sum()))


def bounded(node: Member, dimension: int) -> tuple[dict[str, Any], list[int]]:
    """Inputs by name, and the public ones in their order, for so many weights."""
    draw = np.random.default_rng(1)
    weights = draw.integers(0, CAP + 1, dimension)
    moves = draw.integers(-CLAMP, CLAMP + 1, dimension)
    moves = np.sign(moves) * (np.abs(moves) * weights >> SHIFT)
    words = words_of_bytes(data := node.masked(moves, weights))
    # `bounded_inputs` knows 160 weights only: what comes before the words is the same for any number.
    public = bounded_inputs(node.subject, bounds(moves), data[: 32 * WORDS])
    given = named(public, node.secret, node.self_key, of_lanes(moves.tolist(), weights.tolist()))
    return given | {"vector": [hex(word) for word in words]}, public[:-WORDS] + words


def trained(node: Member) -> tuple[dict[str, Any], list[int]]:
    """Likewise, of a full commitment: 64 rows on listed expiries."""
    chance, limits = random.Random(1), Limits()
    at = opening(build(mixture_spec()).initial_weights(), AS_OF)
    rows = [
        Row(
            market=chance.randrange(MARKETS),
            day=chance.choice(at.days),
            k=int(UNIT * max(-1.0, min(1.0, chance.gauss(0, 0.2)))),
            vol=int(UNIT * chance.uniform(0.3, 1.2)),
            weight=FULL_WEIGHT,
        )
        for _ in range(ROWS)
    ]
    slots, salt = fill(rows, limits), chance.getrandbits(248)
    made = step(slots, at, limits, CLAMP, CAP, SHIFT)
    moves = np.array(made.p)
    data, data_root = node.masked(moves, np.array(made.h)), root(slots, salt).to_bytes(32, "big")
    public = trained_inputs(node.subject, bounds(moves), data, data_root, at, limits)
    return named(public, node.secret, node.self_key, of_rows(slots, salt, made.moves)), public


def committed(name: str) -> tuple[bytes, dict[str, Any]]:
    """Key and verifier that `make circuits` left."""
    title = f"Insecure{name.title()}"
    contract = json.loads((PROJECT / "contracts" / "verifiers" / f"{title}Verifier.json").read_text())
    return program(name).with_name(f"{title}.vk").read_bytes(), contract


def widened(folder: Path) -> Path:
    """The program "bounded" for more weights, compiled."""
    shutil.copytree(toolchain.CIRCUITS, folder / "circuits")
    main = folder / "circuits" / "bounded" / "src" / "main.nr"
    before, after = "global WEIGHTS: u32 = 160;", f"global WEIGHTS: u32 = {WIDE};"
    text = main.read_text()
    if text.count(before) != 1:
        raise SystemExit(f"{main.name} does not say {before!r} once: adapt this benchmark.")
    main.write_text(text.replace(before, after))
    toolchain.compile_program(folder / "circuits", "bounded", folder / "bounded.json")
    return folder / "bounded.json"


def cases(prover: tools.Backend, folder: Path, tell: Callable[[str], None]) -> Iterator[Case]:
    tell("inputs of bounded")
    node = member()
    yield Case("bounded, 160 weights", "bounded", program("bounded"), *bounded(node, 160), *committed("bounded"))
    tell("bounded for 352 lanes: compiling")
    wide = widened(folder)
    tell("bounded for 352 lanes: verification key and verifier")
    key = prover.vk(wide)
    point = ceremony.read_point2(prover.string)
    source = toolchain.verifier_source(prover.solidity(key), "InsecureWideVerifier", point, toolchain.INSECURE_NOTE)
    contract = toolchain.compile_verifier(source, "InsecureWideVerifier")
    yield Case(f"bounded, {2 * WIDE} lanes", "bounded", wide, *bounded(node, WIDE), key, contract)
    tell("inputs of trained")
    yield Case(f"trained, {ROWS} rows", "trained", program("trained"), *trained(node), *committed("trained"))


# ---------------------------------------------------------------------- what it costs


@contextmanager
def watched() -> Iterator[list[Any]]:
    """Time and memory of each tool that the prover runs, in the order in which they end."""
    seen: list[Any] = []
    plain = tools._run

    def noted(*arguments: Any) -> Any:
        seen.append(done := plain(*arguments))
        return done

    tools._run = noted
    try:
        yield seen
    finally:
        tools._run = plain


def proven(prover: tools.Backend, case: Case, runs: int, tell: Callable[[str], None]) -> tuple[bytes, dict[str, Any]]:
    """A proof, and what it took: medians."""
    witnesses, proofs, peaks = [], [], []
    for number in range(runs):
        tell(f"{case.name}: proof {number + 1} of {runs}")
        with watched() as seen:
            made = prover.prove(case.program, prover.witness(case.program, case.inputs), case.key)
        assert made.inputs == case.public, "the circuit takes its public inputs in another order"
        solver, bb = seen
        witnesses.append(solver.seconds)
        proofs.append(bb.seconds)
        peaks.append((solver.peak_memory, bb.peak_memory))
    both = [w + p for w, p in zip(witnesses, proofs, strict=True)]
    solver_peak, bb_peak = (round(statistics.median(each) / 1e6) for each in zip(*peaks, strict=True))
    return made.proof, {
        "witness_seconds": round(statistics.median(witnesses), 2),
        "proof_seconds": round(statistics.median(proofs), 2),
        "seconds": round(statistics.median(both), 2),
        "witness_megabytes": solver_peak,
        "proof_megabytes": bb_peak,
        "megabytes": max(solver_peak, bb_peak),
    }


def gates(case: Case) -> int:
    done = run([tools.find_bb(), "gates", "-t", "evm", "-b", case.program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout[done.stdout.index("{") :])["functions"][0]["circuit_size"]


def sent(url: str, **transaction: str) -> dict[str, str]:
    """The receipt of a transaction of Anvil's first account."""
    sender = rpc(url, "eth_accounts")[0]
    sent = rpc(url, "eth_sendTransaction", {"from": sender, "gas": hex(TRANSACTION_GAS_CAP)} | transaction)
    for _ in range(400):
        if receipt := rpc(url, "eth_getTransactionReceipt", sent):
            assert receipt["status"] == "0x1", "reverted"
            return receipt
        time.sleep(0.05)
    raise TimeoutError(f"Anvil has not mined {sent}")


def verified(url: str, case: Case, proof: bytes, tell: Callable[[str], None]) -> dict[str, Any]:
    """Gas of one verification, and the time of 64 by `eth_call`: of one proof, as all take the same time."""
    tell(f"{case.name}: verifying")
    words = [value.to_bytes(32, "big") for value in case.public]
    call = VERIFY + encode(["bytes", "bytes32[]"], [proof, words])
    verifier = sent(url, data=case.verifier["deploymentBytecode"]["bytecode"])["contractAddress"]
    spent = int(sent(url, to=verifier, data=f"0x{call.hex()}")["gasUsed"], 16)
    calldata = sum(BYTE_GAS if byte else ZERO_BYTE_GAS for byte in call)

    def holds(_: int) -> bool:
        return int(rpc(url, "eth_call", {"to": verifier, "data": f"0x{call.hex()}"}, "latest"), 16) == 1

    holds(0)
    began = time.monotonic()
    assert all(map(holds, range(PROOFS)))
    alone = time.monotonic() - began
    with ThreadPoolExecutor(AT_ONCE) as pool:
        began = time.monotonic()
        assert all(pool.map(holds, range(PROOFS)))
        together = time.monotonic() - began
    return {
        "gas_transaction": spent,
        "gas": spent - BASE_GAS - calldata,
        f"seconds_of_{PROOFS}_calls": round(alone, 2),
        f"seconds_of_{PROOFS}_calls_by_{AT_ONCE}_threads": round(together, 2),
    }


# ---------------------------------------------------------------------- what is said of it


ROWS_OF_TABLE = (
    ("gates", "gates"),
    ("public inputs", "public_inputs"),
    ("proof, bytes", "proof_bytes"),
    ("witness, s", "witness_seconds"),
    ("proof, s", "proof_seconds"),
    ("both, s", "seconds"),
    ("peak of Node.js, MB", "witness_megabytes"),
    ("peak of bb, MB", "proof_megabytes"),
    ("the larger, MB", "megabytes"),
    ("verifier's code, bytes", "verifier_bytes"),
    ("gas of verifying", "gas"),
    ("as a transaction", "gas_transaction"),
    (f"{PROOFS} by eth_call, s", f"seconds_of_{PROOFS}_calls"),
    (f"{PROOFS} in {AT_ONCE} threads, s", f"seconds_of_{PROOFS}_calls_by_{AT_ONCE}_threads"),
)


def cell(measured: dict[str, Any], name: str) -> str:
    """A figure and, where there is one, its target."""
    target = measured["targets"].get(name)
    if target is None:
        return f"{measured[name]:,}"
    return f"{measured[name]:,} ≤ {target:,} {'met' if measured[name] <= target else 'MISSED'}"


def table(figures: dict[str, dict[str, Any]]) -> Table:
    out = Table("", *figures, title=f"cluster of {CLUSTER}, {os.cpu_count()} cores", title_justify="left")
    for column in out.columns[1:]:
        column.justify = "right"
    for label, name in ROWS_OF_TABLE:
        out.add_row(label, *(cell(measured, name) for measured in figures.values()))
    return out


def markdown(figures: dict[str, dict[str, Any]]) -> str:
    rows = [["", *figures], ["---", *("---:" for _ in figures)]]
    rows += [[label, *(cell(measured, name) for measured in figures.values())] for label, name in ROWS_OF_TABLE]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def versions() -> dict[str, str]:
    names = ("@noir-lang/noir_wasm", "@noir-lang/noir_js", "@aztec/bb.js")
    return {
        name: json.loads((PROJECT / "node_modules" / name / "package.json").read_text())["version"] for name in names
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="proofs of each, of which the median counts")
    parser.add_argument("--threads", type=int, default=None, help="of bb; by default one a core")
    parser.add_argument("--markdown", action="store_true", help="measure nothing: print the last figures")
    asked = parser.parse_args()
    if asked.markdown:
        print(markdown(json.loads(RESULT.read_text())["cases"]))
        return
    load = os.getloadavg()[0]
    figures: dict[str, dict[str, Any]] = {}
    console = Console()
    console.width = max(console.width, WIDTH)
    with tempfile.TemporaryDirectory() as folder, console.status("…") as status, anvil() as url:
        prover = tools.Backend(scratch=Path(folder) / "scratch", threads=asked.threads)
        for case in cases(prover, Path(folder), status.update):
            size = gates(case)
            proof, cost = proven(prover, case, asked.runs, status.update)
            figures[case.name] = {
                "gates": size,
                "public_inputs": len(case.public),
                "proof_bytes": len(proof),
                **cost,
                "verifier_bytes": len(case.verifier["runtimeBytecode"]["bytecode"]) // 2 - 1,
                **verified(url, case, proof, status.update),
                "targets": TARGETS[case.circuit],
            }
    console.print(table(figures))
    report = {
        "cluster": CLUSTER,
        "runs": asked.runs,
        "cores": os.cpu_count(),
        "threads_of_bb": asked.threads or os.cpu_count(),
        "processor": processor(),
        "load_average": {"before": round(load, 2), "after": round(os.getloadavg()[0], 2)},
        "string": INSECURE_LOCAL,
        "python": platform.python_version(),
        "packages": versions(),
        "cases": figures,
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
