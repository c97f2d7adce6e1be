"""`make circuits`: committed artefacts are what the sources make."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from toolchain import circuits


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["circuits", *arguments])
    return circuits.main()


def test_committed_artefacts_are_what_the_sources_make(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "--check") == 0


def test_a_file_that_differs_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(circuits, "CIRCUITS", Path(__file__).parent / "circuits")
    monkeypatch.setattr(circuits, "ROOT", tmp_path)
    assert run(monkeypatch, "--check") == 1
    assert not list(tmp_path.iterdir()), "a check writes nothing"
    assert run(monkeypatch) == 0
    assert run(monkeypatch, "--check") == 0
    made = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [path.name for path in made] == [
        "InsecureSquare.vk", "InsecureSquareVerifier.sol", "square.json", "InsecureSquareVerifier.json",
    ]  # fmt: skip
    made[0].write_bytes(made[0].read_bytes()[:-1] + b"?")
    capsys.readouterr()
    assert run(monkeypatch, "--check") == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in said if line.endswith("OUT OF DATE")] == [
        "circuits/artifacts/InsecureSquare.vk"
    ]
