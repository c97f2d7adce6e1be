"""What a replay has found so far, on disk: one that is stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from fedvol import __version__
from fedvol.lab.replay.report import Record
from fedvol.lab.replay.terms import Plan

_LISTS = ("same", "next", "next_index")


class Shelf:
    """Records of one plan on one tape, in a folder of their own under `folder`."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = folder / "parts" / _key(plan)
        self._folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str) -> Record | None:
        """The record of a method that has been walked to its end."""
        path = self._path(name)
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as found:
            record = Record(**json.loads(str(found["numbers"])))
            for key in _LISTS:
                setattr(record, key, [found[f"{key}/{i}"] for i in range(_count(found.files, key))])
            heads = _count(found.files, "heads")
            if heads:
                width = _count(found.files, "heads/0")
                record.heads = [[found[f"heads/{node}/{i}"] for i in range(width)] for node in range(heads)]
        return record

    def put(self, name: str, record: Record) -> None:
        numbers = {"seconds": record.seconds, "violations": record.violations, "extra": record.extra}
        arrays = {f"{key}/{i}": vols for key in _LISTS for i, vols in enumerate(getattr(record, key))}
        arrays |= {f"heads/{n}/{i}": vols for n, said in enumerate(record.heads) for i, vols in enumerate(said)}
        part = self._path(name).with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(file, numbers=json.dumps(numbers), **arrays)
        part.replace(self._path(name))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name.replace(' ', '-')}.npz"


def _count(names: list[str], prefix: str) -> int:
    return len({name[len(prefix) + 1 :].split("/")[0] for name in names if name.startswith(prefix + "/")})


def _key(plan: Plan) -> str:
    digest = hashlib.sha256(f"{__version__} {plan}".encode())
    for file in sorted(plan.tape.iterdir()) if plan.tape.is_dir() else [plan.tape]:
        with file.open("rb") as data:
            digest.update(hashlib.file_digest(data, "sha256").digest())
    return digest.hexdigest()[:16]
