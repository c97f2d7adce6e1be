"""A masked federation on the page while a round goes final: content, speed, steadiness, reach, and the pictures."""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytest
from scripts._anvil import rpc

from fedvol.chain.federation import Phase
from tests.dashboard.conftest import LAPTOP, PHONE, Eyes, Viewer, served, until
from tests.node.conftest import PARAMS, Lab

pytestmark = pytest.mark.timeout(420)

M = 4
PENALTY = PARAMS["silencePenalty"] // 2 / 1e18
"""For an absence."""


@pytest.fixture
def rounds() -> dict[str, Any]:
    return {"seats": 2 * M, "clusterSize": M, "minMembers": 2 * M, "epochRounds": 3}


def test_a_round_goes_final_before_the_viewers_eyes(lab: Lab, eyes: Eyes) -> None:
    *present, absent = nodes = [lab.node(i) for i in range(1, 2 * M + 1)]
    lab.cycle(*nodes, until=lambda: lab.version == 2)
    with served(lab, "--storage", lab.folder / "storage", "--tape", lab.tape) as page:
        viewer = eyes.open(page.url)
        shows_what_the_chain_says(viewer, lab)
        assert_loads_in_a_second(viewer)
        assert_a_block_is_on_the_page_in_two_seconds(viewer, lab)

        viewer.page.evaluate("window.same = 'not loaded again'; window.shifts.length = 0")
        lab.cycle(*present, until=lambda: lab.client.snapshot().clock.committed == len(present), seconds=4)
        viewer.wait("document.getElementById('phase').textContent === 'Commit'")
        viewer.wait("document.querySelectorAll('#node-table .state.going').length === 7")
        while lab.client.snapshot().phase != Phase.REVEAL:
            lab.pass_time(4)
        viewer.wait("document.getElementById('phase').textContent === 'Reveal'")
        viewer.wait("document.getElementById('spoken').textContent === 'Round 2: Reveal'")
        viewer.picture("dashboard-laptop-dark")
        lab.cycle(*present, until=lambda: lab.version == 3, seconds=4)
        shows_the_new_version(viewer, absent._account.address)
        assert viewer.page.evaluate("window.same") == "not loaded again"
        assert viewer.shifted() < 0.001, viewer.page.evaluate("window.shifts")

        an_older_version_can_be_chosen_and_stays(viewer)
        the_audit_is_a_link_away(viewer)
        laptop, phone = eyes.open(page.url, LAPTOP, "light"), eyes.open(page.url, PHONE, "light")
        reads_well(laptop, "laptop", "light")
        the_keyboard_reaches_everything(laptop)
        reads_well(phone, "phone", "light")
        phone.page.evaluate("performance.clearMarks()")
        phone.page.emulate_media(color_scheme="dark")
        reads_well(phone, "phone", "dark")


def shows_what_the_chain_says(viewer: Viewer, lab: Lab) -> None:
    head = lab.client.snapshot()
    viewer.drawn()
    assert viewer.text("#federation") == "lab"
    assert viewer.page.title() == "lab · FedVol"
    assert viewer.text("#chain") == "31337"
    viewer.wait(f"Number(document.getElementById('block').textContent.replace(',', '')) >= {head.block}")
    assert viewer.text("#round-number") == str(head.clock.number)
    steps = ["Draw", "Commit", "Reveal", "Availability", "Unmask", "Propose", "Challenge", "Final"]
    assert viewer.page.locator("#steps li").all_text_contents() == steps
    members = lab.client.members(head)
    rows = viewer.rows("node-table")
    short = [f"{m.address[:6]}…{m.address[-4:]}" for m in members]
    assert [(row[0], row[1], row[4], row[5]) for row in rows] == [
        (str(m.seat), name, "1/1", "1,000") for m, name in zip(members, short, strict=True)
    ]
    clusters = viewer.page.locator("#cluster-list h3").all_text_contents()
    assert clusters == ["Cluster 0sum of 4 known", "Cluster 1sum of 4 known"]
    viewer.wait("document.getElementById('check-table').tBodies[0].rows.length === 2")
    newest, genesis = viewer.rows("check-table")
    assert (newest[0], newest[1], newest[4:]) == ("v2", "1", ["0", "0", "audit"])
    assert 0 < float(newest[2]) < float(genesis[2])  # vol points against the viewer's tape: training has helped
    viewer.wait("document.getElementById('gas-table').tBodies[0].rows.length >= 8")
    gas = {row[0]: row for row in viewer.rows("gas-table")}
    assert gas["commit"][4] == gas["reveal"][4] == gas["unmask"][4] == str(2 * M)
    assert 30_000 < int(gas["commit"][2].replace(",", "")) < 60_000
    assert "BTC, version 2. At the money:" in viewer.page.get_attribute("#surface-plot", "aria-label")
    assert viewer.page.locator("#minis figure").count() >= 4
    assert "quotes of your tape" in viewer.page.locator("#minis [role=img]").first.get_attribute("aria-label")


def assert_loads_in_a_second(viewer: Viewer) -> None:
    """Warm, the better of two: another test may have the machine."""
    taken = []
    for _ in range(2):
        viewer.page.reload()
        viewer.wait("performance.getEntriesByName('shown').length > 0")
        taken.append(
            viewer.page.evaluate(
                "[performance.getEntriesByType('navigation')[0].loadEventEnd,"
                " performance.getEntriesByName('shown')[0].startTime]"
            )
        )
        viewer.drawn()
    print(f"\nload event and first data, ms: {[[round(t) for t in pair] for pair in taken]}")
    loaded, shown = (min(times) for times in zip(*taken, strict=True))
    assert loaded < 1_000
    assert shown < 1_000


def assert_a_block_is_on_the_page_in_two_seconds(viewer: Viewer, lab: Lab) -> None:
    taken = []
    for _ in range(5):
        rpc(lab.url, "anvil_mine", 1)
        start, block = time.monotonic(), lab.client.web3.eth.block_number
        until(lambda b=block: viewer.text("#block").replace(",", "") == str(b), 10)
        taken.append(time.monotonic() - start)
    print(f"from block to page, s: {[round(t, 2) for t in taken]}")
    assert statistics.median(taken) < 2


def shows_the_new_version(viewer: Viewer, absent: str) -> None:
    viewer.wait("document.getElementById('version-text').textContent.startsWith('v3 newest')")
    viewer.wait("document.getElementById('surface-plot').ariaLabel.includes('version 3')", 60)
    viewer.wait("document.getElementById('incident-table').tBodies[0].rows[0]?.cells.length > 1")
    short = f"{absent[:6]}…{absent[-4:]}"
    (incident,) = viewer.rows("incident-table")
    assert incident[1:4] + incident[5:] == ["round 2", "absent", short, f"{PENALTY:g}"]
    row = next(r for r in viewer.rows("node-table") if r[1] == short)
    assert row[2] == "absent"
    assert row[4:] == ["1/2", f"{1000 - PENALTY:g}", f"{PENALTY:g}", "1 absent"]
    strip = viewer.page.locator(f"tr[data-key='{absent}'] .strip")
    assert strip.get_attribute("aria-label") == "Last 2 rounds: revealed 1, absent 1"


def an_older_version_can_be_chosen_and_stays(viewer: Viewer) -> None:
    slider = viewer.page.locator("#version")
    slider.focus()
    slider.press("ArrowLeft")
    viewer.wait("document.getElementById('surface-plot').ariaLabel.includes('version 2')", 60)
    viewer.page.locator("#markets label").nth(1).click()
    viewer.wait("document.getElementById('surface-plot').ariaLabel.includes('of ETH, version 2')", 60)
    assert viewer.text("#version-text").startswith("v2 of 3")
    assert viewer.text("#smiles-of") == "· ETH v2"


def the_keyboard_reaches_everything(viewer: Viewer) -> None:
    reached = []
    for _ in range(40):
        viewer.page.keyboard.press("Tab")
        name, outline = viewer.page.evaluate(
            "(e => [e.id || e.getAttribute('aria-label') || e.textContent,"
            " getComputedStyle(e.type === 'radio' ? e.nextElementSibling : e).outlineStyle])(document.activeElement)"
        )
        assert outline != "none", name
        reached.append(name)
        if name == "Contracts":
            break
    assert reached[0] == "Skip to the round"
    wanted = ["Round", "Gas", "theme", "BTC", "version", "Nodes", "cluster-list", "Checks by version", "Contracts"]
    radio = next(i for i, name in enumerate(reached) if name == "theme") + 1
    reached[radio] = "BTC"  # the one radio button that Tab stops at has no text of its own
    assert [name for name in wanted if name not in reached] == []
    before = viewer.page.evaluate("document.documentElement.dataset.theme")
    viewer.page.locator("#theme").focus()
    viewer.page.keyboard.press("Enter")
    assert viewer.page.evaluate("document.documentElement.dataset.theme") != before
    viewer.page.locator("#markets input").first.focus()
    viewer.page.keyboard.press("ArrowRight")
    viewer.wait("document.getElementById('surface-plot').ariaLabel.includes('of ETH')", 60)


def the_audit_is_a_link_away(viewer: Viewer) -> None:
    viewer.page.locator("#incident-table a").first.click()
    viewer.page.wait_for_url("**/audit/2")
    viewer.wait("document.getElementById('link').dataset.up !== 'starting'", 60)
    assert viewer.text("#link").startswith("Everything holds.")
    steps = viewer.rows("audit-table")
    assert [s[0] for s in steps if s[0] in ("seats", "cluster", "model")] == ["seats", "cluster", "cluster", "model"]
    assert {s[2] for s in steps} == {"holds"}
    assert viewer.violations() == []
    viewer.picture("audit-laptop-dark")


def reads_well(viewer: Viewer, size: str, theme: str) -> None:
    viewer.drawn()
    viewer.page.wait_for_timeout(600)
    assert viewer.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert viewer.page.evaluate("document.documentElement.dataset.theme") == theme
    assert viewer.shifted() < 0.01, viewer.page.evaluate("window.shifts")
    assert viewer.violations() == []
    viewer.picture(f"dashboard-{size}-{theme}", whole=size == "laptop")
