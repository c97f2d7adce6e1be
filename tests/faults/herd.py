"""Some real node processes of one lab, started again whenever they end, on a chain that goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import tomli_w
from scripts._anvil import rpc

from fedvol.node.config import NodeConfig
from tests.faults.crash import start
from tests.node.conftest import PASSWORD, Lab

TICK = 0.2
"""Seconds between two blocks, which are a second apart on the chain."""


class Herd:
    """Nodes at Anvil's accounts 1, 2, … of a lab. `ended`: exit codes of all processes that are gone."""

    def __init__(self, lab: Lab, count: int, marks: Path | None = None, **changes: dict[str, Any]) -> None:
        self.lab = lab
        self.marks = marks
        self.ended: list[int] = []
        self.indices: list[int] = []
        self.processes: dict[int, BaseProcess] = {}
        for index in range(1, count + 1):
            self.add(index, **changes.get(f"node{index}", {}))
        rpc(lab.url, "evm_setAutomine", False)

    def file(self, index: int, name: str) -> Path:
        return self.lab.folder / f"node{index}" / name

    def add(self, index: int, **changes: Any) -> None:
        """Another node; `run` starts it."""
        self.configure(index, self.lab.config(index, **{"poll_seconds": 0.2} | changes))

    def configure(self, index: int, config: NodeConfig) -> None:
        self.file(index, "node.toml").parent.mkdir(exist_ok=True)
        settings = config.model_dump(mode="json", exclude_none=True, exclude_unset=True)
        self.file(index, "node.toml").write_text(tomli_w.dumps(settings))
        self.indices.append(index)

    def log(self, index: int) -> str:
        path = self.file(index, "node.log")
        return path.read_text() if path.exists() else ""

    def start(self, index: int) -> None:
        files = self.file(index, "node.toml"), self.file(index, "node.log")
        self.processes[index] = start(*files, {"FEDVOL_PASSWORD": PASSWORD}, self.marks)

    def run(self, until: Callable[[], bool], seconds: float) -> None:
        """Goes on until something holds; whoever ends is started again."""
        deadline = time.monotonic() + seconds
        while not until():
            for index in self.indices:
                process = self.processes.get(index)
                if process is None or not process.is_alive():
                    if process is not None:
                        self.ended.append(process.exitcode)
                    self.start(index)
            rpc(self.lab.url, "anvil_mine", 1)
            time.sleep(TICK)
            assert time.monotonic() < deadline, self.story()

    def story(self) -> str:
        logs = "\n".join(f"== {i}\n{self.log(i)[-1500:]}" for i in self.indices)
        return f"still in {self.lab.client.snapshot()}\n{logs}"

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.join()
