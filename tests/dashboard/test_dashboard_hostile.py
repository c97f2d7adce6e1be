"""Names that would run if they were markup: in deployment file, spec and tape. And who may ask at all."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from fedvol.cli import app
from fedvol.dashboard.guard import POLICY
from tests.dashboard.conftest import Eyes, get, served
from tests.node.conftest import Lab

pytestmark = pytest.mark.timeout(240)

NAME = "<img src=x onerror=alert(1)>"
MARKETS = ("</script><script>alert(2)</script>", '<a href="javascript:alert(3)">E</a><b>TH</b>')
DESK = "<svg onload=alert(4)>"


def make_hostile(lab: Lab) -> None:
    """The deployment file and the tape, by somebody who wants to run something in the viewer's browser."""
    path = lab.folder / "deployments.json"
    records = json.loads(path.read_text())
    (record,) = records["federations"].values()
    records["federations"] = {NAME: record | {"name": NAME, "spec": record["spec"] | {"markets": list(MARKETS)}}}
    path.write_text(json.dumps(records))
    rows = pd.read_parquet(lab.tape)
    rows["market"] = rows["market"].map(dict(zip(("BTC", "ETH"), MARKETS, strict=True)))
    rows["desk"] = DESK
    rows["trade_id"] = [f"{DESK}{i}" for i in range(len(rows))]
    rows.to_parquet(lab.tape, index=False)


def test_hostile_names_are_text(lab: Lab, eyes: Eyes) -> None:
    lab.cycle(lab.node(1), until=lambda: lab.client.snapshot().joining == 1)
    make_hostile(lab)
    with served(lab, "--name", NAME, "--tape", lab.tape) as page:
        viewer = eyes.open(page.url)
        viewer.drawn()
        assert viewer.page.locator("#federation").text_content() == NAME
        assert viewer.page.title() == f"{NAME} · FedVol"
        assert viewer.page.locator("#markets label span").all_text_contents() == list(MARKETS)
        assert MARKETS[0] in viewer.page.get_attribute("#surface-plot", "aria-label")
        viewer.page.locator("#markets label").nth(1).click()
        viewer.wait("document.getElementById('surface-plot').ariaLabel.includes('TH</b>')", 60)
        viewer.wait("document.querySelectorAll('#error-plot .legendtext').length === 4")
        shown = viewer.page.locator("#error-plot .legendtext").all_text_contents()
        assert shown[1:3] == list(MARKETS)
        strange = (
            "img, iframe, object, embed, base, form, script:not([src]), [onload], [onerror], a[href^='javascript']"
        )
        assert viewer.page.locator(strange).count() == 0
        assert viewer.page.locator("#error-plot a").count() == 0


def test_a_deployment_file_with_no_model_leaves_the_rest_of_the_page(lab: Lab, eyes: Eyes) -> None:
    lab.cycle(lab.node(1), until=lambda: lab.client.snapshot().joining == 1)
    path = lab.folder / "deployments.json"
    records = json.loads(path.read_text())
    records["federations"]["lab"]["spec"] = {"name": NAME, "markets": "BTC"}
    path.write_text(json.dumps(records))
    with served(lab) as page:
        viewer = eyes.open(page.url)
        viewer.wait("document.getElementById('node-table').tBodies[0].rows.length === 1")
        viewer.wait("document.getElementById('surface').dataset.trouble === 'yes'")
        assert "model spec cannot be read" in viewer.text("#surface-note")


def test_only_this_machine_asks_and_only_the_pages_own_files_run(lab: Lab) -> None:
    with served(lab) as page:
        port = int(page.url.rsplit(":", 1)[1])
        for path in ("/", "/static/app.js", "/static/plotly.js", "/audit/1", "/nowhere"):
            headers = get(page, path).headers
            assert headers["content-security-policy"] == POLICY
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "access-control-allow-origin" not in headers
            assert "server" not in headers
        assert "unsafe" not in POLICY
        assert POLICY.startswith("default-src 'none'; script-src 'self';")
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", f"[::1]:{port}"):
            assert get(page, "/", host=host).status_code == 421, host
        assert get(page, "/", host=f"localhost:{port}").status_code == 200
        assert get(page, "/api/surface/1/0", **{"sec-fetch-site": "cross-site"}).status_code == 403
        assert get(page, "/api/surface/1/0", **{"sec-fetch-site": "same-origin"}).status_code == 200
        assert get(page, "/api/surface/9/0").json()["error"] == "There is no version 9."
        assert get(page, "/api/surface/1/7").json()["error"] == "There is no market 7."
        assert get(page, "/api/surface/x/0").status_code == 422
        assert get(page, "/static/..%2fserver.py").status_code == 404
        tag = get(page, "/static/plotly.js").headers["etag"]
        assert get(page, "/static/plotly.js", **{"if-none-match": tag}).status_code == 304
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", port), 2):
            pass  # a server on all addresses would answer


def test_an_audit_without_storage_says_what_to_do(lab: Lab) -> None:
    with served(lab) as page:
        assert get(page, "/api/audit/1").json()["hint"] == "Start the dashboard with --storage, as members do."


def test_a_port_that_is_taken_is_named_with_the_next_thing_to_try(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ["dashboard", "--rpc", lab.url, "--deployments", str(lab.folder / "deployments.json")]
        found = CliRunner().invoke(app, [*options, "--port", str(port)])
    assert found.exception.exit_code == 2
    assert f"Port {port} of this machine cannot be had" in found.exception.message
    assert "--port" in found.exception.hint


def test_help_needs_neither_web_server_nor_plots() -> None:
    heavy = "{'torch', 'fastapi', 'uvicorn', 'plotly', 'web3', 'pandas'}"
    code = f"import fedvol.cli, sys; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
