"""A universal, updatable reference string: the powers of a number τ that nobody knows, in BN254.

Each contributor multiplies τ by a number of its own, proves that it knows that number, and forgets it. One honest
contributor is enough. The last word belongs to a beacon: public randomness that nobody could foresee. Whoever holds the
string and its transcript verifies both, and needs none of the strings in between: a contribution is linked to the one
before by τ·G alone.

Source: V. Nikolaenko, S. Ragsdale, J. Bonneau, D. Boneh, "Powers-of-Tau to the People: Decentralizing Setup
Ceremonies", 2022, with a Schnorr proof as the proof of knowledge.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import accumulate, repeat
from multiprocessing import get_context
from pathlib import Path

from fedvol.errors import CeremonyError
from fedvol.proofs import bn254
from fedvol.proofs.bn254 import GENERATOR, GENERATOR2, ORDER, Point, Point2

FORMAT = "fedvol powers of tau, BN254, version 1"
POINTS_FILE, POINT2_FILE = "bn254_g1.dat", "bn254_g2.dat"
"""The names that `bb` looks for under CRS_PATH."""
TRANSCRIPT_FILE = "transcript.json"

_IN_ONE_PROCESS = 4096  # fewer points than this are not worth a second process
_CHECK_BITS = 128  # a false string passes the verifier's random combination with a chance of 2^-128


@dataclass(frozen=True)
class Powers:
    """τ^i · G for i in 0..n-1, and τ · G2."""

    points: Sequence[tuple[int, int]]
    point2: Point2

    def encode(self) -> tuple[bytes, bytes]:
        """The two files that `bb` reads: x, y big endian; in G2 the real part of a coordinate comes first."""
        one = b"".join(_word(x) + _word(y) for x, y in self.points)
        return one, b"".join(_word(c) for coordinate in self.point2 for c in coordinate)

    def digest(self) -> str:
        """SHA-256 of both files, one after the other, in hex."""
        return hashlib.sha256(b"".join(self.encode())).hexdigest()


@dataclass(frozen=True)
class Beacon:
    """Public randomness: `hashings` times SHA-256 of `value` (hex) is the number that is multiplied in."""

    source: str
    value: str
    hashings: int

    def secret(self) -> int:
        digest = bytes.fromhex(self.value)
        for _ in range(self.hashings):
            digest = hashlib.sha256(digest).digest()
        return int.from_bytes(digest) % (ORDER - 1) + 1


@dataclass(frozen=True)
class Contribution:
    """One link of the chain. Points and numbers are hex; `before` is the digest of the link before."""

    name: str
    before: str
    power: str
    beacon: Beacon | None
    nonce: str = ""
    answer: str = ""

    def digest(self) -> str:
        return hashlib.sha256(_canonical(asdict(self))).hexdigest()

    def challenge(self, base: tuple[int, int], nonce: str) -> int:
        said = asdict(self) | {"nonce": nonce, "answer": "", "base": _shown(base), "format": FORMAT}
        return int.from_bytes(hashlib.sha256(_canonical(said)).digest()) % ORDER


@dataclass(frozen=True)
class Transcript:
    """Who contributed, and what came of it: `string` is the digest of the powers."""

    points: int
    contributions: tuple[Contribution, ...]
    string: str

    def write(self, folder: Path) -> None:
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=2)
        (folder / TRANSCRIPT_FILE).write_text(text + "\n")

    @staticmethod
    def read(folder: Path) -> Transcript:
        """
        Raises:
            CeremonyError: no transcript there, or one of another format.
        """
        path = folder / TRANSCRIPT_FILE
        try:
            said = json.loads(path.read_text())
            if said.pop("format") != FORMAT:
                raise ValueError("format")
            links = [link | {"beacon": link["beacon"] and Beacon(**link["beacon"])} for link in said["contributions"]]
            return Transcript(said["points"], tuple(Contribution(**link) for link in links), said["string"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CeremonyError(f"{path} is no transcript: {error!r}.", "Ask for the file again.") from error


def start(points: int) -> tuple[Powers, Transcript]:
    """The string of τ = 1, and a transcript of no contributions."""
    powers = Powers([GENERATOR] * points, GENERATOR2)
    return powers, Transcript(points, (), powers.digest())


def contribute(
    powers: Powers, transcript: Transcript, name: str, secret: int | None = None, beacon: Beacon | None = None
) -> tuple[Powers, Transcript]:
    """Multiplies a number into τ.

    Args:
        secret: in 1..ORDER - 1; drawn here, and forgotten, when not given.
        beacon: public randomness, in place of a secret: nobody contributes after it.
    """
    secret = beacon.secret() if beacon else secret or secrets.randbelow(ORDER - 1) + 1
    factors = list(accumulate(repeat(secret, len(powers.points) - 1), lambda a, b: a * b % ORDER, initial=1))
    updated = Powers(in_parallel(bn254.multiply_each, powers.points, factors), bn254.multiply2(powers.point2, secret))
    links = (*transcript.contributions, link(transcript.contributions, transcript.points, name, secret, beacon))
    return updated, Transcript(transcript.points, links, updated.digest())


def link(
    before: Sequence[Contribution], points: int, name: str, secret: int, beacon: Beacon | None = None
) -> Contribution:
    """What a contributor says in public, with its proof that it knows `secret`."""
    base = _read_point(before[-1].power) if before else GENERATOR
    power = _shown(bn254.multiply(base, secret))
    bare = Contribution(name, _digest_before(before, points), power, beacon)
    # From the secret and all that is said, as in EdDSA: no draw can be repeated with another challenge.
    drawn = int.from_bytes(hashlib.sha512(_word(secret) + _canonical(asdict(bare))).digest()) % (ORDER - 1) + 1
    nonce = _shown(bn254.multiply(base, drawn))
    answer = (drawn + bare.challenge(base, nonce) * secret) % ORDER
    return Contribution(name, bare.before, power, beacon, nonce, _word(answer).hex())


def verify(
    powers: Powers, transcript: Transcript, beacon: str | None = None, *, finished: bool = True
) -> tuple[Contribution, ...]:
    """Whether a string is the outcome of its transcript; about ten seconds for 2^18 points on two cores.

    Args:
        beacon: the value that the last contribution must have used, in hex, when the caller knows it.
        finished: whether the last contribution must be a beacon: not while contributions are still taken.

    Raises:
        CeremonyError: naming the first thing that is wrong.
    """
    links = transcript.contributions
    if not links:
        raise _refused("nobody has contributed: everybody knows τ")
    base: tuple[int, int] = GENERATOR
    for i, one in enumerate(links):
        who = f"contribution {i + 1} ({one.name})"
        if one.before != _digest_before(links[:i], transcript.points):
            raise _refused(f"{who} does not follow the one before it")
        if one.beacon and i + 1 < len(links):
            raise _refused(f"{who} is a beacon, but not the last")
        base = _verify_link(who, base, one)
    last = links[-1].beacon
    if finished and not last:
        raise _refused("no beacon ends it")
    if beacon is not None and (last is None or last.value != beacon):
        raise _refused("the beacon is not the one that was expected")
    if base != powers.points[1]:
        raise _refused("the last contribution is to another string")
    verify_powers(powers)
    if len(powers.points) != transcript.points or powers.digest() != transcript.string:
        raise _refused("the transcript names another string")
    return links


def _verify_link(who: str, base: tuple[int, int], one: Contribution) -> tuple[int, int]:
    power, nonce = _read_point(one.power), _read_point(one.nonce)
    try:
        answer = int(one.answer, 16)
    except ValueError:
        raise _refused(f"{who} has no proof of knowledge") from None
    # answer · base = nonce + challenge · power
    challenge = one.challenge(base, one.nonce)
    left, right = bn254.multiply_each([base, power], [answer % ORDER, challenge])
    if left != bn254.add_pairs([nonce], [right])[0]:
        raise _refused(f"{who} does not prove that its number is known")
    if one.beacon and bn254.multiply(base, one.beacon.secret()) != power:
        raise _refused(f"{who} is not what its beacon makes")
    return power


def verify_powers(powers: Powers) -> None:
    """Each point is τ times the one before, by one random combination of them all, and τ is that of G2."""
    points = powers.points
    if points[0] != GENERATOR or not all(map(bn254.is_on_curve, points)):
        raise _refused("a point is not on the curve, or the first is not the generator")
    if not bn254.is_in_group2(powers.point2) or not bn254.same_ratio(points[0], points[1], GENERATOR2, powers.point2):
        raise _refused("τ·G2 is of another τ")
    weights = [secrets.randbits(_CHECK_BITS) for _ in points[1:]]
    combine = partial(_combined, bits=_CHECK_BITS)
    lower = in_parallel(combine, points[:-1], weights)
    upper = in_parallel(combine, points[1:], weights)
    if not bn254.same_ratio(_total(lower), _total(upper), GENERATOR2, powers.point2):
        raise _refused("the points are not the powers of one τ")


def _combined(points: Sequence[Point], weights: Sequence[int], bits: int) -> list[Point]:
    return [bn254.combine(points, weights, bits)]


def _total(points: Sequence[Point]) -> Point:
    return bn254.combine(points, [1] * len(points), 1)


def in_parallel(work: Callable[..., list[Point]], *lists: Sequence) -> list:
    """work(*lists), with the lists cut into a part for each core and the results joined again."""
    count, cores = len(lists[0]), os.cpu_count() or 1
    if count < _IN_ONE_PROCESS or cores == 1:
        return work(*lists)
    size = -(-count // cores)
    parts = [[one[i : i + size] for i in range(0, count, size)] for one in lists]
    # Spawned: a fork of a process with threads may wait for ever.
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        return [point for part in pool.map(work, *parts) for point in part]


def read(folder: Path) -> Powers:
    """The string in a folder; says nothing about whether it is any good.

    Raises:
        CeremonyError: a file is missing or of an odd length.
    """
    words = _read_words(folder / POINTS_FILE)
    if len(words) < 4 or len(words) % 2:
        raise CeremonyError(f"{folder / POINTS_FILE} is cut short.", "Fetch or make the string again.")
    return Powers(list(zip(words[::2], words[1::2], strict=True)), read_point2(folder))


def read_point2(folder: Path) -> Point2:
    """τ · G2 alone.

    Raises:
        CeremonyError: the file is missing or of an odd length.
    """
    words = _read_words(folder / POINT2_FILE)
    if len(words) != 4:
        raise CeremonyError(f"{folder / POINT2_FILE} is cut short.", "Fetch or make the string again.")
    return (words[0], words[1]), (words[2], words[3])


def _read_words(path: Path) -> list[int]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CeremonyError(f"There is no reference string: {error}.", "Name another folder.") from error
    return [int.from_bytes(content[i : i + 32]) for i in range(0, len(content), 32)]


def write(folder: Path, powers: Powers, transcript: Transcript) -> None:
    """Writes the string and its transcript, each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip((POINTS_FILE, POINT2_FILE), powers.encode(), strict=True):
        partial_file = folder / f"{name}.{os.getpid()}"
        partial_file.write_bytes(content)
        partial_file.replace(folder / name)
    transcript.write(folder)


def _digest_before(before: Sequence[Contribution], points: int) -> str:
    return before[-1].digest() if before else hashlib.sha256(f"{FORMAT}, {points} points".encode()).hexdigest()


def _refused(why: str) -> CeremonyError:
    return CeremonyError(f"The reference string is refused: {why}.", "Take it and its transcript from another source.")


def _read_point(shown: str) -> tuple[int, int]:
    try:
        point = int(shown[:64], 16), int(shown[64:], 16)
    except ValueError:
        raise _refused(f"{shown!r} is no point") from None
    if not bn254.is_on_curve(point):
        raise _refused(f"{shown} is not on the curve")
    return point


def _shown(point: Point) -> str:
    assert point is not None, "secrets are never 0 modulo the order"
    return (_word(point[0]) + _word(point[1])).hex()


def _word(value: int) -> bytes:
    return value.to_bytes(32)


def _canonical(said: dict) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
