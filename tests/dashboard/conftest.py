"""A real browser on a real page of a real federation: the nodes' lab, `fedvol dashboard` as a process, Chromium."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright
from scripts._page import Served, dashboard
from toolchain import chromium

from tests.node.conftest import (  # noqa: F401 - fixtures
    Lab,
    artefacts,
    chain,
    chain_url,
    deploy,
    lab,
    logs_as_before,
    proofs,
    rounds,
    tape,
)

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / ("docs/pictures" if os.environ.get("FEDVOL_PICTURES") == "1" else "build/pictures")
AXE = chromium.PEER / "node_modules" / "axe-core" / "axe.min.js"
LAPTOP = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 780}
START_S = 60.0


@contextmanager
def served(where: Lab, *options: object, rpc: str | None = None) -> Iterator[Served]:
    """The command as a viewer runs it; it ends well when it is told to, and has nothing to complain about."""
    log = where.folder / "dashboard.log"
    with dashboard(rpc or where.url, where.folder / "deployments.json", log, *options) as page:
        until(lambda: get(page, "/").status_code == 200, START_S)
        yield page
    assert (page.process.returncode, log.read_text()) == (0, "")


def get(page: Served, path: str, **headers: str) -> httpx.Response:
    return httpx.get(page.url + path, headers=headers, timeout=30, trust_env=False)


def until(holds: Callable[[], object], seconds: float, why: Callable[[], str] = str) -> None:
    """Waits; a server that does not listen yet is one that does not hold."""
    end = time.monotonic() + seconds
    while True:
        with suppress(httpx.TransportError):
            if holds():
                return
        assert time.monotonic() < end, why()
        time.sleep(0.05)


@dataclass
class Viewer:
    """One tab, and all that it said and asked for."""

    page: Page
    context: BrowserContext
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def wait(self, expression: str, seconds: float = 20.0) -> None:
        """Until some JavaScript is true."""
        # Playwright's own waiting evaluates strings in the page, which its policy forbids.
        until(lambda: self.page.evaluate(expression), seconds, lambda: f"{expression}\n{self.text('body')[:2000]}")

    def shifted(self) -> float:
        """Cumulative layout shift so far; what moved is in `window.shifts`."""
        return self.page.evaluate("window.shifts.reduce((sum, s) => sum + s.by, 0)")

    def rows(self, table: str) -> list[list[str]]:
        """The text of a table's cells."""
        return self.page.evaluate(
            f"[...document.getElementById('{table}').tBodies[0].rows].map(r => [...r.cells].map(c => c.textContent))"
        )

    def violations(self) -> list[str]:
        """What axe-core finds against WCAG 2 A and AA, and its best practices."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
        return [f"{v['id']}: {[n['html'][:160] for n in v['nodes']][:3]}" for v in found]

    def picture(self, name: str, whole: bool = False) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=whole)

    def drawn(self) -> None:
        """Until everything has its picture."""
        for name in ("surface", "smiles", "errors"):
            self.wait(f"performance.getEntriesByName('drawn-{name}').length > 0", 60)


@dataclass
class Eyes:
    """Opens tabs; afterwards none may have complained, or asked for anything off this machine."""

    browser: Browser
    opened: ExitStack
    viewers: list[Viewer] = field(default_factory=list)

    def open(self, url: str, size: dict[str, int] = LAPTOP, theme: str = "dark", **more: object) -> Viewer:
        context = self.browser.new_context(viewport=size, color_scheme=theme, **more)
        self.opened.callback(context.close)
        page = context.new_page()
        viewer = Viewer(page, context)
        self.viewers.append(viewer)

        def heard(message: ConsoleMessage) -> None:
            if "GL Driver Message" not in message.text:  # the software renderer on its own speed
                viewer.said.append(f"{message.type}: {message.text}")

        def asked(request: Request) -> None:
            viewer.asked.append(request.url)

        page.on("console", heard)
        page.on("pageerror", lambda error: viewer.said.append(f"uncaught: {error}"))
        page.on("dialog", lambda dialog: (viewer.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        context.on("request", asked)
        page.add_init_script(
            "window.shifts = []; window.refused = [];"
            "new PerformanceObserver(l => l.getEntries().forEach(e => { if (!e.hadRecentInput) window.shifts.push("
            "{by: e.value, of: e.sources.map(s => s.node?.id || s.node?.className || s.node?.nodeName)}) }))"
            ".observe({type: 'layout-shift', buffered: true});"
            "addEventListener('securitypolicyviolation',"
            " e => window.refused.push(e.violatedDirective + ' ' + e.blockedURI));"
        )
        page.goto(url)
        return viewer


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, to which every name and address but this machine's is nothing."""
    path, environment = chromium.find()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            env=os.environ | environment,
            args=[
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
            ],
        )  # fmt: skip
        yield browser
        browser.close()


@pytest.fixture
def eyes(browser: Browser) -> Iterator[Eyes]:
    with ExitStack() as opened:
        eyes = Eyes(browser, opened)
        yield eyes
        for viewer in eyes.viewers:
            assert viewer.said == []
            assert viewer.page.evaluate("window.refused") == []
            assert [url for url in viewer.asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))] == []
