"""What Prometheus sees of a real node, and that dashboard, alerts and health check ask for nothing else."""

from __future__ import annotations

import json
import math
import re
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from scripts._anvil import free_port
from scripts._faults import faulty_proxy

from fedvol.node.health import ails
from tests.node.conftest import Lab
from tests.node.daemons import daemon, turn_until
from tests.node.test_node_commands import write

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "operating.md"


def scrape(port: int) -> dict[str, dict[str, float]]:
    """Samples by name and by their labels' values."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[",".join(sample.labels.values())] = sample.value
    return found


def expressions() -> list[str]:
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    rules = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"][0]["rules"]
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries = [v["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    return panels + queries + [rule["expr"] for rule in rules]


def asked_for() -> set[str]:
    """Names of metrics, by what PromQL calls a name; labels and functions are none."""
    bare = [re.sub(r'"[^"]*"|\b(?:by|without|on|ignoring) *\([^)]*\)', "", text) for text in expressions()]
    words = {word for text in bare for word in re.findall(r"[a-z_:][a-z0-9_:]*(?! *\(|[a-z0-9_:]| *=~| *!=| *=)", text)}
    return {word for word in words if word.startswith(("fedvol_", "process_", "python_"))}


def test_a_node_shows_all_that_dashboard_alerts_and_documentation_name(lab: Lab, tmp_path: Path) -> None:
    others, port, account = [lab.node(i) for i in (1, 2)], free_port(), lab.client.web3.eth.accounts[3]
    node = lambda: lab.client.snapshot(account).node  # noqa: E731
    with faulty_proxy(lab.url) as proxy:
        path = write(lab.config(3), tmp_path, rpc=proxy.url)
        with daemon(path, METRICS=f"127.0.0.1:{port}") as one:
            turn_until(lab, others, lambda: node().ballot_state == 1)
            turn_until(lab, [], lambda: scrape(port)["fedvol_duty_left_seconds"][""] > 0, seconds=0)
            turn_until(lab, [], lambda: scrape(port)["fedvol_duty_penalty_tokens"][""] == 50, seconds=0)
            seen = scrape(port)
            missing = asked_for() - seen.keys()
            assert not missing, f"asked for and never shown: {missing}"
            listed = set(re.findall(r"^\| `(fedvol_\w+)`", DOCS.read_text(), re.MULTILINE))
            shown = {name for name in seen if name.startswith("fedvol_") and not name.endswith("_created")}
            assert shown == listed

            assert seen["fedvol_phase"]["commit"] + seen["fedvol_phase"]["settle"] == 1
            assert (seen["fedvol_round"][""], seen["fedvol_model_version"][""], seen["fedvol_member"][""]) == (1, 1, 1)
            assert (seen["fedvol_bond_tokens"][""], seen["fedvol_penalty_tokens"][""]) == (1000, 50)
            assert (seen["fedvol_bond_penalties"][""], seen["fedvol_duty_window_seconds"][""]) == (20, 60)
            assert seen["fedvol_duty_open"][""] == 0, "revealing has not begun"
            assert seen["fedvol_model_age_limit_seconds"][""] == 7 * 86_400
            assert math.isnan(seen["fedvol_privacy_epsilon_left"][""])
            assert seen["fedvol_training_seconds_count"][""] == 1
            assert seen["fedvol_transactions_total"]["commit,mined"] == 1
            assert seen["fedvol_gas_total"]["commit"] > 21_000
            assert seen["fedvol_rpc_errors_total"][""] == seen["fedvol_storage_errors_total"][""] == 0
            assert 0 < seen["fedvol_epoch_cost_eth"][""] < seen["fedvol_balance_eth"][""]
            now = seen["fedvol_last_look_timestamp_seconds"][""]
            assert ails(f"127.0.0.1:{port}", now + 100) is None
            assert "it last saw the chain" in ails(f"127.0.0.1:{port}", now + 1000)

            proxy.mode = "close"  # deadlines draw near all the same
            left = scrape(port)["fedvol_duty_left_seconds"][""]
            turn_until(lab, [], lambda: scrape(port)["fedvol_rpc_errors_total"][""] > 0, seconds=0)
            turn_until(lab, [], lambda: scrape(port)["fedvol_duty_left_seconds"][""] < left - 1, seconds=0)
            assert one.alive
    assert "nobody answers" in ails(f"127.0.0.1:{port}", now)


def test_a_port_in_use_is_a_warning(lab: Lab, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with daemon(write(lab.config(3), tmp_path), METRICS=address) as one:
            turn_until(lab, [], lambda: one.said("join"), seconds=0)
            line = one.said("no metrics")
            assert (line["level"], line["address"]) == ("warning", address)


@pytest.mark.parametrize("name", ["alerts.yml", "grafana-dashboard.json"])
def test_the_files_are_what_their_readers_take(name: str) -> None:
    content: Any = yaml.safe_load((DEPLOY / name).read_text())
    if name == "alerts.yml":
        rules = content["groups"][0]["rules"]
        assert {"FedvolDutyNotDone", "FedvolBondBelowTwoPenalties", "FedvolVersionStale"} <= {r["alert"] for r in rules}
        for rule in rules:
            assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert rule["annotations"].keys() == {"summary", "description"}
    else:
        assert len({panel["id"] for panel in content["panels"]}) == len(content["panels"])
        cells = [(x, y) for p in content["panels"] for x, y in _cells(**p["gridPos"])]
        assert len(cells) == len(set(cells)), "panels overlap"
        assert max(x for x, _ in cells) < 24


def _cells(x: int, y: int, w: int, h: int) -> list[tuple[int, int]]:
    return [(x + i, y + j) for i in range(w) for j in range(h)]
