"""What a pytest item and its reports tell: identity, model, exclusivity, needs, message."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmbench.fixtures import asked_of_us
from pytest_llmbench.redaction import redact
from pytest_llmbench.session import Session, TestContext

MESSAGE_LIMIT = 4000


def context_of(item: pytest.Item) -> TestContext:
    """A fresh context for a test that begins."""
    call, asked = getattr(item, "callspec", None), asked_of_us(item)
    named = "model" in asked and item.get_closest_marker("models") is not None
    model = str(call.params.get("model", "")) if call and named else ""
    exclusive = "bench" in asked or item.get_closest_marker("exclusive") is not None
    return TestContext(item.nodeid, stable_key(item), model, exclusive, asked)


def stable_key(item: pytest.Item) -> str:
    """Suite, test and parameters: stable where xdist changes node ids."""
    classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    name = getattr(item, "originalname", None) or item.name
    call = getattr(item, "callspec", None)
    suite = relative(item.path, item.config.rootpath).as_posix()
    return "::".join([suite, *classes, name]) + (f"[{call.id}]" if call else "")


def needs_machine(context: TestContext, session: Session) -> bool:
    """Whether the test computes on this machine: it measures, or a model of it runs here."""
    local_model = bool(context.model) and session.external(context.model) is None
    return context.exclusive or "llama_server" in context.asked or local_model


def message_of(error: BaseException | None, report: pytest.TestReport) -> str:
    """Why a test ended as it did, in its own words."""
    if report.outcome == "skipped":
        skipped = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr or "")
        return _kept(str(getattr(report, "wasxfail", "") or skipped))
    if error is not None:
        return _kept(str(error))
    return _kept(str(report.longrepr)) if report.failed else ""


def _kept(message: str) -> str:
    """Redacted before it is cut: half a key is harder to find."""
    return redact(message)[:MESSAGE_LIMIT]


def relative(path: Path, root: Path | None = None) -> Path:
    """A path as short as it can be named from `root` (or from here)."""
    try:
        return path.relative_to(root or Path.cwd())
    except ValueError:
        return path
