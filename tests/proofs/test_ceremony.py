"""The ceremony, at a size where each contribution is made in full, and every lie about it that we could think of."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from functools import partial

import pytest
from py_ecc import optimized_bn128 as curve

from fedvol.errors import CeremonyError
from fedvol.proofs import bn254, ceremony, reference
from fedvol.proofs.bn254 import FIELD, GENERATOR, GENERATOR2, ORDER
from fedvol.proofs.ceremony import Beacon, Powers, Transcript

POINTS = 16
BEACON = Beacon("block 1 of nowhere", "ab" * 32, 10)


@pytest.fixture(scope="module")
def unfinished() -> tuple[Powers, Transcript]:
    made = ceremony.start(POINTS)
    for name, secret in (("ada", 1001), ("bob", 1002), ("cleo", None)):
        made = ceremony.contribute(*made, name, secret)
    return made


@pytest.fixture(scope="module")
def finished(unfinished: tuple[Powers, Transcript]) -> tuple[Powers, Transcript]:
    return ceremony.contribute(*unfinished, "the beacon", beacon=BEACON)


def renamed(powers: Powers, transcript: Transcript) -> Transcript:
    """The transcript of a liar who takes care to name the string that is handed out."""
    return dataclasses.replace(transcript, string=powers.digest())


def with_links(transcript: Transcript, *links: ceremony.Contribution) -> Transcript:
    return dataclasses.replace(transcript, contributions=links)


def test_a_chain_of_contributions_verifies(finished: tuple[Powers, Transcript]) -> None:
    names = [one.name for one in ceremony.verify(*finished, beacon=BEACON.value)]
    assert names == ["ada", "bob", "cleo", "the beacon"]


def test_a_chain_verifies_before_its_beacon_only_if_asked(unfinished: tuple[Powers, Transcript]) -> None:
    ceremony.verify(*unfinished, finished=False)
    with pytest.raises(CeremonyError, match="no beacon ends it"):
        ceremony.verify(*unfinished)


def test_files_hold_all_of_it(finished: tuple[Powers, Transcript], tmp_path) -> None:
    ceremony.write(tmp_path, *finished)
    assert (tmp_path / "bn254_g1.dat").stat().st_size == 64 * POINTS
    ceremony.verify(ceremony.read(tmp_path), Transcript.read(tmp_path))
    (tmp_path / "bn254_g1.dat").write_bytes(b"\0" * 96)
    with pytest.raises(CeremonyError, match="cut short"):
        ceremony.read(tmp_path)


@pytest.mark.parametrize("index", [2, 7, POINTS - 1])
def test_a_tampered_power_is_refused(finished: tuple[Powers, Transcript], index: int) -> None:
    powers, transcript = finished
    points = list(powers.points)
    points[index] = bn254.add_pairs([points[index]], [GENERATOR])[0]
    lie = Powers(points, powers.point2)
    with pytest.raises(CeremonyError, match="not the powers of one τ"):
        ceremony.verify(lie, renamed(lie, transcript))


def test_a_tampered_first_power_is_refused(finished: tuple[Powers, Transcript]) -> None:
    powers, transcript = finished
    lie = Powers([GENERATOR, GENERATOR, *powers.points[2:]], powers.point2)
    with pytest.raises(CeremonyError, match="to another string"):
        ceremony.verify(lie, renamed(lie, transcript))


def test_points_off_the_curve_are_refused(finished: tuple[Powers, Transcript]) -> None:
    powers, transcript = finished
    lie = Powers([*powers.points[:-1], (1, 3)], powers.point2)
    with pytest.raises(CeremonyError, match="not on the curve"):
        ceremony.verify(lie, renamed(lie, transcript))


def test_another_tau_in_g2_is_refused(finished: tuple[Powers, Transcript]) -> None:
    powers, transcript = finished
    lie = Powers(powers.points, bn254.multiply2(powers.point2, 2))
    with pytest.raises(CeremonyError, match="of another τ"):
        ceremony.verify(lie, renamed(lie, transcript))


def test_a_string_that_the_transcript_does_not_name_is_refused(finished: tuple[Powers, Transcript]) -> None:
    powers, transcript = finished
    with pytest.raises(CeremonyError, match="names another string"):
        ceremony.verify(Powers(powers.points[:-1], powers.point2), transcript)


@pytest.mark.parametrize("who", [0, 1, 3])
def test_a_missing_proof_of_knowledge_is_refused(finished: tuple[Powers, Transcript], who: int) -> None:
    powers, transcript = finished
    links = list(transcript.contributions)
    links[who] = dataclasses.replace(links[who], answer="")
    with pytest.raises(CeremonyError, match="no proof of knowledge"):
        ceremony.verify(powers, with_links(transcript, *links))
    links[who] = dataclasses.replace(links[who], answer="00" * 32)
    with pytest.raises(CeremonyError, match="does not prove that its number is known"):
        ceremony.verify(powers, with_links(transcript, *links))


@pytest.mark.parametrize(("power", "why"), [("", "is no point"), ("01" * 64, "is not on the curve")])
def test_a_contribution_without_a_point_is_refused(finished: tuple[Powers, Transcript], power: str, why: str) -> None:
    powers, transcript = finished
    first, *rest = transcript.contributions
    with pytest.raises(CeremonyError, match=why):
        ceremony.verify(powers, with_links(transcript, dataclasses.replace(first, power=power), *rest))


def test_a_proof_cannot_be_taken_over(finished: tuple[Powers, Transcript]) -> None:
    powers, transcript = finished
    first, *rest = transcript.contributions
    with pytest.raises(CeremonyError, match="does not prove that its number is known"):
        ceremony.verify(powers, with_links(transcript, dataclasses.replace(first, name="mallory"), *rest))


def test_a_contribution_that_throws_the_others_away_is_refused(finished: tuple[Powers, Transcript]) -> None:
    """Who starts again from the generator knows all of τ: its proof is of another base."""
    _, transcript = finished
    ada, bob = transcript.contributions[:2]
    alone = ceremony.link([], POINTS, "mallory", 77)
    lie = with_links(transcript, ada, bob, dataclasses.replace(alone, before=bob.digest()))
    powers = ceremony.contribute(*ceremony.start(POINTS), "mallory", 77)[0]
    with pytest.raises(CeremonyError, match="does not prove that its number is known"):
        ceremony.verify(powers, renamed(powers, lie), finished=False)


def test_a_skipped_contribution_is_refused(finished: tuple[Powers, Transcript]) -> None:
    powers, transcript = finished
    ada, _, cleo, beacon = transcript.contributions
    with pytest.raises(CeremonyError, match="does not follow the one before"):
        ceremony.verify(powers, with_links(transcript, ada, cleo, beacon))
    cleo = dataclasses.replace(cleo, before=ada.digest())
    with pytest.raises(CeremonyError, match="does not prove that its number is known"):
        ceremony.verify(powers, with_links(transcript, ada, cleo, dataclasses.replace(beacon, before=cleo.digest())))


def test_a_wrong_beacon_is_refused(unfinished: tuple[Powers, Transcript], finished: tuple[Powers, Transcript]) -> None:
    with pytest.raises(CeremonyError, match="not the one that was expected"):
        ceremony.verify(*finished, beacon="cd" * 32)
    # A contributor who says that its own choice of secret is what the beacon made.
    _, before = unfinished
    powers, chosen = ceremony.contribute(*unfinished, "the beacon", 5)
    lie = ceremony.link(before.contributions, POINTS, "the beacon", 5, BEACON)
    with pytest.raises(CeremonyError, match="not what its beacon makes"):
        ceremony.verify(powers, with_links(chosen, *before.contributions, lie))


def test_nobody_contributes_after_the_beacon(finished: tuple[Powers, Transcript]) -> None:
    with pytest.raises(CeremonyError, match="a beacon, but not the last"):
        ceremony.verify(*ceremony.contribute(*finished, "late", 9), finished=False)


def test_the_string_of_nobody_is_refused() -> None:
    with pytest.raises(CeremonyError, match="everybody knows τ"):
        ceremony.verify(*ceremony.start(POINTS))


def test_many_points_are_multiplied_as_single_ones_are() -> None:
    """Long lists go through windows, buckets and processes; py_ecc goes through none of them."""
    scalars = [pow(3, i, ORDER) for i in range(40)] + [0, 1, ORDER - 1]
    each = bn254.multiples(GENERATOR, scalars, window=5)
    for scalar, point in zip(scalars, each, strict=True):
        expected = curve.multiply(curve.G1, scalar)
        assert point == (None if scalar == 0 else tuple(int(c) for c in curve.normalize(expected)))
    assert bn254.multiply_each([GENERATOR] * len(scalars), scalars) == each
    total = sum(i * s for i, s in enumerate(scalars)) % ORDER
    assert bn254.combine(each, list(range(len(each))), bits=6) == bn254.multiply(GENERATOR, total)


def test_processes_share_the_work_in_order() -> None:
    scalars = list(range(1, 5001))
    work = partial(bn254.multiples, GENERATOR, window=6)
    assert ceremony.in_parallel(work, scalars) == work(scalars)


def test_a_point_outside_the_subgroup_is_seen() -> None:
    assert bn254.is_in_group2(GENERATOR2)
    x = 1
    while (y := _root(curve.FQ2([x, 0]) ** 3 + curve.b2)) is None:
        x += 1
    point = ((x, 0), (int(y.coeffs[0]), int(y.coeffs[1])))
    assert curve.is_on_curve((curve.FQ2(point[0]), y, curve.FQ2.one()), curve.b2)
    assert not bn254.is_in_group2(point)


def _root(a: curve.FQ2) -> curve.FQ2 | None:
    """A square root where p = 3 mod 4 (G. Adj, F. Rodríguez-Henríquez, 2012, algorithm 9)."""
    power = a ** ((FIELD - 3) // 4)
    alpha, root = power * power * a, power * a
    root = (
        curve.FQ2([0, 1]) * root
        if alpha == -curve.FQ2.one()
        else (alpha + curve.FQ2.one()) ** ((FIELD - 1) // 2) * root
    )
    return root if root * root == a else None


def test_the_local_string_is_what_its_contributions_make() -> None:
    made = ceremony.start(POINTS)
    for i, secret in enumerate(reference.INSECURE_SECRETS, start=1):
        made = ceremony.contribute(*made, f"INSECURE, secret {i}", secret)
    made = ceremony.contribute(*made, "INSECURE, beacon", beacon=reference.INSECURE_BEACON)
    assert made == reference.make_insecure_local(POINTS)
    ceremony.verify(*made)


def test_the_local_string_is_the_agreed_one(tmp_path) -> None:
    folder = reference.reference(reference.INSECURE_LOCAL)
    assert (folder / "bn254_g1.dat").stat().st_size == 64 * reference.POINTS
    ceremony.write(tmp_path, *reference.make_insecure_local(POINTS))
    with pytest.raises(CeremonyError, match="does not hold the local string"):
        reference.reference(reference.INSECURE_LOCAL, tmp_path)


def test_ignition_is_told_from_all_others(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRS_PATH", str(tmp_path))
    with pytest.raises(CeremonyError, match=r"docs/ceremony\.md"):
        reference.reference(reference.IGNITION)
    ignition = Powers([GENERATOR, reference.IGNITION_POINT], reference.IGNITION_POINT2)
    ceremony.write(tmp_path, ignition, Transcript(2, (), ignition.digest()))
    assert reference.reference(reference.IGNITION) == tmp_path
    ceremony.write(tmp_path, *reference.make_insecure_local(POINTS))
    with pytest.raises(CeremonyError, match="is not Ignition"):
        reference.reference(reference.IGNITION)


def test_the_constants_of_ignition_are_of_one_tau() -> None:
    assert bn254.is_in_group2(reference.IGNITION_POINT2)
    assert bn254.same_ratio(GENERATOR, reference.IGNITION_POINT, GENERATOR2, reference.IGNITION_POINT2)


def test_a_node_recurses_no_deeper_than_python_does() -> None:
    """py_ecc raises that limit, and nested JSON from a tape or an endpoint would then end the process."""
    look = "import sys; before = sys.getrecursionlimit(); import fedvol.node.daemon, fedvol.proofs.ceremony"
    subprocess.run([sys.executable, "-c", f"{look}; assert sys.getrecursionlimit() == before"], check=True)
