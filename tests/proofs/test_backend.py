"""A small program, proven under the local string, and judged by its generated verifier in a real EVM."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from scripts._anvil import anvil, rpc
from toolchain import circuits

from fedvol.errors import ProofError
from fedvol.proofs import reference
from fedvol.proofs.backend import Backend, find_bb, find_node
from fedvol.proofs.bn254 import ORDER
from tests.proofs import evm
from tests.proofs.forge import forged

HERE = Path(__file__).parent / "circuits"
ROOT, NUMBER = 1234567, 1234567**2


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("square")
    files = {path.name: content for path, content in circuits.make(HERE, "square", circuits.INSECURE_LOCAL)}
    program = folder / "square.json"
    program.write_bytes(files["square.json"])
    backend = Backend(scratch=folder / "scratch")
    vk = files["InsecureSquare.vk"]
    compiled = circuits.compile_verifier(files["InsecureSquareVerifier.sol"].decode(), "InsecureSquareVerifier")
    stock = circuits.compile_verifier(backend.solidity(vk), "HonkVerifier")
    proof = backend.prove(program, backend.witness(program, {"root": str(ROOT), "number": str(NUMBER)}), vk)
    with anvil() as url:
        yield SimpleNamespace(
            program=program, backend=backend, vk=vk, proof=proof, files=files, url=url,
            verifier=evm.deploy(url, compiled), stock=evm.deploy(url, stock),
        )  # fmt: skip


def accepted(square: SimpleNamespace, proof: bytes, inputs: list[int]) -> bool:
    return evm.accepts(square.url, square.verifier, proof, inputs)


def test_an_honest_proof_is_accepted(square: SimpleNamespace) -> None:
    assert square.proof.inputs == [NUMBER]
    assert accepted(square, square.proof.proof, [NUMBER])
    assert evm.gas(square.url, square.verifier, square.proof.proof, [NUMBER]) < 1_000_000
    assert square.proof.seconds > 0
    assert 5e6 < square.proof.peak_memory < 300e6


def test_two_proofs_of_one_fact_differ(square: SimpleNamespace) -> None:
    """Zero knowledge: a proof is blinded, or equal secrets would be seen to be equal."""
    witness = square.backend.witness(square.program, {"root": hex(ROOT), "number": hex(NUMBER)})
    again = square.backend.prove(square.program, witness)
    assert again.proof != square.proof.proof
    assert accepted(square, again.proof, [NUMBER])


@pytest.mark.parametrize("place", [0.02, 0.3, 0.6, 0.999])
def test_a_flipped_bit_is_refused(square: SimpleNamespace, place: float) -> None:
    proof = bytearray(square.proof.proof)
    proof[int(place * len(proof)) | 31] ^= 1  # the last byte of a word: the word stays a field element
    assert not accepted(square, bytes(proof), [NUMBER])


def test_a_truncated_proof_is_refused(square: SimpleNamespace) -> None:
    assert not accepted(square, square.proof.proof[:-32], [NUMBER])
    assert not accepted(square, b"", [NUMBER])


@pytest.mark.parametrize("inputs", [[NUMBER + 1], [0], [NUMBER + ORDER], [], [NUMBER, 0]])
def test_other_public_inputs_are_refused(square: SimpleNamespace, inputs: list[int]) -> None:
    assert not accepted(square, square.proof.proof, inputs)


@pytest.mark.parametrize("changes", [{1: NUMBER + 1}, {0: ROOT + 1}, {0: -ROOT % ORDER}])
def test_a_forged_witness_makes_a_proof_that_is_refused(square: SimpleNamespace, changes: dict[int, int]) -> None:
    witness = square.backend.witness(square.program, {"root": str(ROOT), "number": str(NUMBER)})
    unchanged = square.backend.prove(square.program, forged(witness, {0: ROOT, 1: NUMBER}), square.vk)
    assert accepted(square, unchanged.proof, unchanged.inputs)
    lie = square.backend.prove(square.program, forged(witness, changes), square.vk)
    assert not accepted(square, lie.proof, lie.inputs)


def test_the_stock_verifier_trusts_another_string(square: SimpleNamespace) -> None:
    assert not evm.accepts(square.url, square.stock, square.proof.proof, [NUMBER])


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"root": str(ROOT), "number": str(NUMBER + 1)}, "Cannot satisfy constraint"),
        ({"root": str(-ROOT % ORDER), "number": str(NUMBER)}, "assert_max_bit_size"),
        ({"root": str(ROOT)}, "number"),
        ({"root": [str(ROOT)], "number": str(NUMBER)}, "cannot parse value it into Field"),
        ({"root": f"{ROOT}x", "number": str(NUMBER)}, "`root` is invalid"),
    ],
)
def test_false_inputs_have_no_witness(square: SimpleNamespace, inputs: dict[str, str], why: str) -> None:
    with pytest.raises(ProofError, match=why) as raised:
        square.backend.witness(square.program, inputs)
    assert str(ROOT) not in str(raised.value), "a message must not tell a secret"


def test_secrets_lie_in_private_files_and_go(square: SimpleNamespace, tmp_path: Path, monkeypatch) -> None:
    seen = tmp_path / "seen"
    spy = tmp_path / "bb"
    look = f'for f in {tmp_path}/scratch/*/witness; do ls -ld "$f"; done'
    spy.write_text(f'#!/bin/sh\n(echo "$@"; {look}) > {seen}\nexit 1\n')
    spy.chmod(0o755)
    monkeypatch.setenv("FEDVOL_BB", str(spy))
    with pytest.raises(ProofError, match="exit code 1"):
        Backend(scratch=tmp_path / "scratch").prove(square.program, b"the witness")
    arguments, listing = seen.read_text().splitlines()
    assert "the witness" not in arguments
    assert listing.startswith(stat.filemode(stat.S_IFREG | 0o600))
    assert not list((tmp_path / "scratch").iterdir())


def test_missing_tools_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, find in (("FEDVOL_BB", find_bb), ("FEDVOL_NODE", find_node)):
        monkeypatch.setenv(variable, str(tmp_path / "nothing"))
        with pytest.raises(ProofError, match=rf"nothing\. Run `make setup` .* {variable}"):
            find()


def test_artefacts_do_not_depend_on_where_they_are_made(square: SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(HERE, tmp_path / "elsewhere")
    circuits.compile_program(tmp_path / "elsewhere", "square", tmp_path / "square.json")
    assert (tmp_path / "square.json").read_bytes() == square.files["square.json"]
    assert str(Path.home()).encode() not in square.files["square.json"]


def test_code_tells_which_string_it_trusts(square: SimpleNamespace) -> None:
    def code(address: str) -> bytes:
        return bytes.fromhex(rpc(square.url, "eth_getCode", address, "latest")[2:])

    assert reference.trusted_by(code(square.verifier)) == reference.INSECURE_LOCAL
    assert reference.trusted_by(code(square.stock)) == reference.IGNITION
    assert reference.trusted_by(b"\0" * 1000) is None


def test_a_generated_verifier_is_named_after_its_string(square: SimpleNamespace) -> None:
    source = square.files["InsecureSquareVerifier.sol"].decode()
    assert "contract InsecureSquareVerifier is" in source
    assert "INSECURE" in source.splitlines()[1]
    with pytest.raises(ProofError, match="0 times"):
        circuits.verifier_source(source, "Twice", reference.IGNITION_POINT2, "")
    stock = square.backend.solidity(square.vk)
    public = circuits.verifier_source(stock, "SquareVerifier", reference.IGNITION_POINT2, "")
    assert public.replace("SquareVerifier", "HonkVerifier") == stock.lstrip()
