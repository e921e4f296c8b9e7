"""Chromium for our tests: a page, and everything it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from pytest_llmbench import reports
from pytest_llmbench.records import Run


@dataclass
class Opened:
    """A page, and everything it did that a report must not do."""

    page: Page
    dialogs: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(str(error)))


Visit = Callable[..., Opened]
"""The report of a run, opened: `visit(run, width=1280, scheme="light", scripts=True)`."""


@contextmanager
def launched(chromium: str) -> Iterator[Browser]:
    """The installed browser, without a window."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser, folder: Path) -> Iterator[Visit]:
    """Opens reports, each in a context of its own."""
    contexts = []

    def open_(run: Run, *, width: int = 1280, scheme: str = "light", scripts: bool = True) -> Opened:
        path = reports.write(run, "html", folder / "report.html")
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.page.goto(path.as_uri())
        if scripts:
            wait_for_charts(opened.page)
        return opened

    yield open_
    for context in contexts:
        context.close()


def wait_for_charts(page: Page) -> None:
    """Until every chart that can be seen is drawn."""
    for box in page.query_selector_all("[data-chart]"):
        if box.is_visible():
            box.wait_for_selector("svg", state="attached")
