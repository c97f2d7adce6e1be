"""Exit codes: classes, `fedvol --help`, the documentation and the systemd unit say the same."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module

from scripts._localnet import ROOT
from tests.cli.test_cli import fedvol as command

import fedvol
from fedvol.errors import EXIT_CODES, FedvolError
from fedvol.node.audit import Finding, Verdict, exit_code

UNIT = (ROOT / "deploy" / "fedvol-node.service").read_text()


def kinds(of: type[FedvolError] = FedvolError) -> Iterator[type[FedvolError]]:
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


def documented() -> dict[int, tuple[str, bool]]:
    """By code: meaning, and whether it may pass."""
    section = (ROOT / "docs" / "operating.md").read_text().split("## Exit codes")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| (.*?) \| (no)? ?\|$", section, re.MULTILINE)
    return {int(code): (meaning, not no) for code, meaning, no in rows}


def test_every_exit_code_is_known_and_every_known_one_is_used() -> None:
    for module in pkgutil.walk_packages(fedvol.__path__, "fedvol."):
        import_module(module.name)
    audits = {exit_code([Finding("", "", verdict)]) for verdict in Verdict}
    signals = {128 + 2, 128 + 15}
    assert {kind.exit_code for kind in kinds()} | audits | signals == EXIT_CODES.keys()


def test_documentation_and_help_have_the_same_table() -> None:
    assert {code: meaning for code, (meaning, _) in documented().items()} == EXIT_CODES
    shown = " ".join(command("--help").stdout.split())
    assert all(f"{code} {meaning}" in shown for code, meaning in EXIT_CODES.items())


def setting(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def test_the_unit_is_not_restarted_by_what_does_not_pass_and_outlasts_the_nodes_patience() -> None:
    from fedvol.node.config import NodeConfig

    (given,) = setting("RestartPreventExitStatus")
    assert {int(code) for code in given.split()} == {code for code, (_, passes) in documented().items() if not passes}
    assert float(setting("TimeoutStopSec")[0]) > NodeConfig.model_fields["stop_patience"].default
    assert setting("KillMode") == ["mixed"], "a prover is not killed beside the node"


def test_what_unit_and_container_name_is_there() -> None:
    from fedvol.node.config import PREFIX, NodeConfig

    container = (ROOT / "deploy" / "Containerfile").read_text()
    named = set(re.findall(rf"{PREFIX}(\w+)=", UNIT + container))
    assert named >= {"METRICS", "DATA_DIR", "PASSWORD_FILE"}
    assert {name.lower() for name in named} <= NodeConfig.model_fields.keys()
    (run,) = setting("ExecStart")
    assert re.match(r"/opt/fedvol/\.venv/bin/fedvol node run --config /etc/fedvol/node\.toml --log-json$", run)
    assert all(path.startswith("/etc/fedvol/") for path in re.findall(r"LoadCredential=\w[\w.]*:(\S+)", UNIT))
    lines = re.findall(r"^COPY (?!--from)(.*) \S+$", container, re.MULTILINE)
    copied = {word for line in lines for word in line.split()}
    assert copied
    assert all((ROOT / name).exists() for name in copied)
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_in == copied
    assert re.search(r"^USER (?!0\b|root)", container, re.MULTILINE)
    import_module(re.search(r'HEALTHCHECK.*"-m", "([\w.]+)"', container)[1])
