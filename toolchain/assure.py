"""`make assure`: Slither over the contracts, with every finding explained; halmos over `tests/proofs`. See
docs/assurance.md.

Both work on a Foundry build of their own under build/assure, which nothing else reads: ape compiles what is deployed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

from toolchain.setup import PINS, ROOT, VENV, SetupError, install_foundry_tool, run

HOME = ROOT / "build" / "assure"
TOOLS = HOME / "tools"
PROJECT = HOME / "project"
TRIAGE = ROOT / "docs" / "assurance.md"
PACKAGES = ("slither-analyzer", "halmos")
LOOK_HERE = "See build/assure, or remove it to start afresh."


def install() -> None:
    """Slither and halmos in an environment of their own, whose packages are not the project's; forge beside them."""
    wanted = [f"{name}=={PINS[name]}" for name in PACKAGES] + [f"forge=={PINS['forge']}"]
    stamp = TOOLS / "installed.json"
    if stamp.exists() and json.loads(stamp.read_text()) == wanted:
        return
    shutil.rmtree(TOOLS, ignore_errors=True)
    run(sys.executable, "-m", "venv", TOOLS, hint="Python's venv module is missing.")
    run(TOOLS / "bin" / "pip", "install", "--quiet", *wanted[:-1], hint="The first run needs the Python registry.")
    install_foundry_tool("forge", PINS["forge"], TOOLS / "forge", TOOLS / "bin")
    stamp.write_text(json.dumps(wanted))


def lay_out() -> None:
    """A Foundry project of links: a foundry.toml at the root would be read by ape too."""
    shutil.rmtree(PROJECT, ignore_errors=True)
    PROJECT.mkdir(parents=True)
    links = {"contracts": "contracts", "proofs": "tests/proofs", "node_modules": "node_modules"}
    for name, target in links.items():
        (PROJECT / name).symlink_to(ROOT / target)
    (PROJECT / "foundry.toml").symlink_to(ROOT / "toolchain" / "foundry.toml")


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a tool in the project; its exit status is the caller's to judge."""
    path = os.pathsep.join([str(TOOLS / "bin"), os.environ["PATH"]])
    solc = VENV / "solc" / f"solc-v{PINS['solc']}"
    environment = os.environ | {"PATH": path, "FOUNDRY_SOLC": str(solc), "FOUNDRY_DISABLE_NIGHTLY_WARNING": "1"}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)


def findings() -> set[tuple[str, str]]:
    """What Slither says: detector, and the contract and function or variable that it points at."""
    out = PROJECT / "slither.json"
    done = tool("slither", ".", "--config-file", str(ROOT / "toolchain" / "slither.json"), "--json", str(out))
    if not out.exists():
        raise SetupError(f"Slither did not run: {done.stderr[-2_000:]}\n{LOOK_HERE}")
    report = json.loads(out.read_text())
    if not report["success"]:
        raise SetupError(f"Slither did not run: {report['error']}\n{LOOK_HERE}")
    return {(f["check"], place(f["elements"][0])) for f in report["results"].get("detectors", [])}


def place(element: dict) -> str:
    """Contract.function, or Contract.function.variable."""
    names = [element["name"]]
    while parent := element.get("type_specific_fields", {}).get("parent"):
        if parent["type"] in ("contract", "function"):
            names.insert(0, parent["name"])
        element = parent
    return ".".join(names)


def triaged() -> set[tuple[str, str]]:
    """The rows of the table in docs/assurance.md: `detector` and `place`, then why it is not a fault."""
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \| .+ \|$", TRIAGE.read_text(), re.MULTILINE)
    return {(check, where) for check, places in rows for where in re.findall(r"`([^`]+)`", places)}


def static_analysis() -> bool:
    found, known = findings(), triaged()
    for title, rows in (("New, neither mended nor explained", found - known), ("Explained, but gone", known - found)):
        for check, where in sorted(rows):
            print(f"{title}: {check} in {where}", file=sys.stderr)
    print(f"Slither: {len(found)} findings, {len(found & known)} explained in {TRIAGE.relative_to(ROOT)}")
    return found == known


def proofs() -> bool:
    done = tool("halmos", "--contract", "(Packing|Padding)", "--loop", "9", "--solver-timeout-assertion", "60000")
    lines = [line for line in done.stdout.splitlines() if re.search(r"PASS|FAIL|TIMEOUT|ERROR|Symbolic test", line)]
    print("\n".join(lines) or done.stdout + done.stderr)
    # A proof that stopped at a loop's bound is none.
    whole = "not been fully explored" not in " ".join((done.stdout + done.stderr).split())
    return done.returncode == 0 and whole and "PASS" in done.stdout


def assure() -> bool:
    install()
    lay_out()
    built = tool("forge", "build", "--build-info", "--quiet")
    if built.returncode:
        raise SetupError(f"forge did not compile: {built.stderr[-2_000:]}\n{LOOK_HERE}")
    static = static_analysis()
    return proofs() and static


if __name__ == "__main__":
    try:
        sys.exit(not assure())
    except SetupError as problem:
        sys.exit(f"assurance stopped: {problem}")
