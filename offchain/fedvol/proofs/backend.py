"""The prover: a program and its inputs become a witness, a proof, a verification key.

Noir's `noir_js` solves for the witness in a process of Node.js; Barretenberg's `bb` proves, as UltraHonk with Keccak
and zero knowledge, what a verifier contract takes. `bb verify` trusts the string that is built into it, so that proofs
are verified where they count: by a call of the verifier contract.

Inputs and witnesses are secrets. They are written to files that their owner alone reads, in a folder that is always
removed, and show up neither in arguments nor in messages.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread, Timer
from typing import Any

from fedvol.errors import ProofError
from fedvol.proofs.reference import INSECURE_LOCAL, PROJECT, reference
from fedvol.protocol.mask import words_of_bytes

_TARGET = ("-t", "evm")
_SOLVER = Path(__file__).with_name("witness.cjs")
LONGEST_S = 600.0
"""Seconds after which a tool that hangs is killed; it fails then."""
_SET_UP = "Run `make setup` in the project"


@dataclass(frozen=True)
class Proof:
    """What a verifier contract takes, and what it cost to make.

    Args:
        proof: the bytes of the argument.
        inputs: the public inputs, each an element of BN254's scalar field.
        seconds: of `bb`, by the clock.
        peak_memory: bytes of `bb` resident at once.
    """

    proof: bytes
    inputs: list[int]
    seconds: float
    peak_memory: int


@dataclass(frozen=True)
class Backend:
    """The tools, the string, and where secrets may lie for a moment.

    Args:
        string: CRS_PATH; by default the local, INSECURE one.
        scratch: in which folder the secret files lie: one of the node's own; by default the system's.
        threads: of `bb`; by default, one a core.
    """

    string: Path = field(default_factory=lambda: reference(INSECURE_LOCAL))
    scratch: Path | None = None
    threads: int | None = None

    def witness(self, program: Path, inputs: Mapping[str, Any]) -> bytes:
        """Solves a program.

        Args:
            program: the compiled circuit, JSON.
            inputs: by parameter; numbers as decimal or 0x strings, arrays as lists, structs as dictionaries.

        Raises:
            ProofError: inputs that break a constraint or miss a parameter; no Node.js.
        """
        modules = {"NODE_PATH": str(PROJECT / "node_modules")}
        command = [find_node(), "--max-old-space-size=4096", str(_SOLVER), str(program)]
        done = _run(command, json.dumps(inputs).encode(), modules)
        if done.code:
            why = done.err.decode(errors="replace").strip() or f"exit code {done.code}"
            raise ProofError(f"{program.name} has no witness for these inputs: {why}.", "They break what it proves.")
        return done.out

    def prove(self, program: Path, witness: bytes, vk: bytes | None = None) -> Proof:
        """Proves that the witness satisfies the program; sooner when its verification key is given.

        Of a false witness it makes a proof, too, which no verifier accepts: `bb` 5.0.0 checks no witness of UltraHonk.

        Raises:
            ProofError: `bb` is missing or fails.
        """
        with self._folder({"witness": witness} | ({"vk": vk} if vk else {})) as folder:
            key = ("-k", folder / "vk") if vk else ("--write_vk",)
            done = self._bb("prove", *_TARGET, "-b", program, "-w", folder / "witness", *key, "-o", folder)
            inputs = words_of_bytes((folder / "public_inputs").read_bytes())
            return Proof((folder / "proof").read_bytes(), inputs, done.seconds, done.peak_memory)

    def vk(self, program: Path) -> bytes:
        """The verification key under this string, as `bb` writes it."""
        with self._folder({}) as folder:
            self._bb("write_vk", *_TARGET, "-b", program, "-o", folder)
            return (folder / "vk").read_bytes()

    def solidity(self, vk: bytes) -> str:
        """The source of the verifier contract `HonkVerifier`, which trusts Ignition until τ·G2 is replaced."""
        with self._folder({"vk": vk}) as folder:
            self._bb("write_solidity_verifier", "--optimized", *_TARGET, "-k", folder / "vk", "-o", folder / "sol")
            return (folder / "sol").read_text()

    def _bb(self, *arguments: object) -> _Done:
        done = _run([find_bb(), *(str(a) for a in arguments)], b"", self._settings())
        if done.code:
            said = (done.err + done.out).decode(errors="replace").strip().splitlines()[-1:]
            raise ProofError(
                f"bb {arguments[0]} failed with exit code {done.code}: {' '.join(said)}.",
                "The circuit may be too large for the reference string, or memory too small.",
            )
        return done

    def _settings(self) -> dict[str, str]:
        threads = self.threads or os.cpu_count() or 1
        return {"CRS_PATH": str(self.string), "HARDWARE_CONCURRENCY": str(threads)}

    @contextmanager
    def _folder(self, files: Mapping[str, bytes]) -> Iterator[Path]:
        if self.scratch:
            self.scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="proof-", dir=self.scratch))  # mode 0700
        try:
            for name, content in files.items():
                with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(content)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def find_bb() -> str:
    """FEDVOL_BB, or the prover among the project's npm packages.

    Raises:
        ProofError: neither is there.
    """
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )
    system = {"Linux": "linux", "Darwin": "macos"}.get(platform.system())
    packaged = PROJECT / "node_modules" / "@aztec" / "bb.js" / "build" / f"{machine}-{system}" / "bb"
    return _found("FEDVOL_BB", "the prover bb", packaged)


def find_node() -> str:
    """FEDVOL_NODE, or the project's Node.js, or the machine's.

    Raises:
        ProofError: none is there.
    """
    return _found("FEDVOL_NODE", "Node.js", Path(sys.prefix) / "bin" / "node", shutil.which("node"))


def _found(variable: str, what: str, *places: Path | str | None) -> str:
    named = os.environ.get(variable)
    for place in [named] if named else places:
        if place and Path(place).is_file():
            return str(place)
    looked = named or " or ".join(str(place) for place in places if place)
    raise ProofError(f"There is no {what} at {looked}.", f"{_SET_UP}, or name one in {variable}.")


@dataclass(frozen=True)
class _Done:
    code: int
    out: bytes
    err: bytes
    seconds: float
    peak_memory: int


def _run(command: list[str], given: bytes, settings: Mapping[str, str]) -> _Done:
    """Runs a tool to its end."""
    began = time.monotonic()
    with (
        tempfile.TemporaryFile() as err,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, env={**os.environ, **settings}
        ) as process,
    ):
        writer = Thread(target=_feed, args=(process.stdin, given), daemon=True)
        peak = _Peak(process.pid)
        for thread in (writer, peak):
            thread.start()
        watch = Timer(LONGEST_S, process.kill)
        watch.start()
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.cancel()
        for thread in (writer, peak):
            thread.join()
        seconds = time.monotonic() - began
        err.seek(0)
        return _Done(process.returncode, out, err.read(), seconds, peak.bytes or _resident(used.ru_maxrss))


class _Peak(Thread):
    """The most that a process held resident, as /proc tells; 0 where there is none.

    On Linux ru_maxrss also counts what we held when the process was forked, and torch alone is more than a prover.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self._status = Path(f"/proc/{pid}/status")

    def run(self) -> None:
        try:
            while True:
                said = self._status.read_text().partition("VmHWM:")[2].split(maxsplit=1)
                if not said:  # a zombie has no memory
                    return
                self.bytes = max(self.bytes, int(said[0]) * 1024)
                time.sleep(0.02)
        except OSError:
            return


def _resident(maximum: int) -> int:
    return maximum if sys.platform == "darwin" else maximum * 1024


def _feed(pipe: Any, given: bytes) -> None:
    try:
        with pipe:
            pipe.write(given)
    except BrokenPipeError:
        pass  # the tool has stopped, and says why
