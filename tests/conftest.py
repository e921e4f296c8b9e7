"""Fixtures of our own tests: the real model, a browser, a place for a suite."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy  # noqa: F401, ICN001 - loads once a process; pytester forgets what a session inside was first to import
import pytest
import slow_cases
from raw_servers import background_loop

from pytest_llmbench import config, redaction
from pytest_llmbench.models.model_store import ModelStore, default_folder
from pytest_llmbench.records import ModelFile

if TYPE_CHECKING:
    from browsers import Visit
    from chat_terminals import Nursery, Terminal
    from playwright.sync_api import Browser

collect_ignore = ["regex_usecase", "ci_sample"]  # looked at by tests, not asked of a model


def pytest_configure() -> None:
    """A background job of a plain shell ignores Ctrl-C, and so would every process that our tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Cases of slow_cases.txt are slow ones: each was measured at some 3 s and more, and has quicker siblings."""
    cases = slow_cases.listed()
    for item in items:
        if item.nodeid in cases:
            item.add_marker(pytest.mark.slow)
    is_whole = not (any("::" in word for word in config.args) or config.getoption("lf", default=False))
    collected = [item.nodeid for item in items] if is_whole else ()
    config.stash[slow_cases.GONE] = slow_cases.gone(cases, collected, config.rootpath)


@pytest.fixture(autouse=True)
def _keys_of_one_test() -> Iterator[None]:
    """What a test has taken out of all texts is no secret to the next one: pieces of it may stand in its own."""
    register = redaction._register
    values, forms, grams = set(register._values), register.forms, register.grams
    yield
    if register._values != values:
        register._values, register.forms, register.grams = values, forms, grams


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """Where model files are kept between test runs."""
    return Path(os.environ.get("LLMBENCH_MODELS_DIR") or default_folder())


@pytest.fixture(scope="session")
def smollm2(models_folder: Path) -> ModelFile:
    """SmolLM2-135M-Instruct Q4_1, fetched once."""
    return ModelStore(models_folder, config.load(None).models, offline=False).ensure("smollm2-135m:Q4_1")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; the test skips visibly where there is none, unless one is required (CI)."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return found
    if os.environ.get("LLMBENCH_REQUIRE_BROWSER") == "1":
        pytest.fail("LLMBENCH_REQUIRE_BROWSER=1 and no Chromium is installed")
    pytest.skip("no Chromium: install Debian's `chromium` to run the browser tests")


@pytest.fixture(scope="session")
def redis_program() -> str:
    """The path of redis-server; the test skips visibly where there is none, unless one is required (CI)."""
    found = shutil.which("redis-server")
    if found:
        return found
    if os.environ.get("LLMBENCH_REQUIRE_REDIS") == "1":
        pytest.fail("LLMBENCH_REQUIRE_REDIS=1 and no redis-server is installed")
    pytest.skip("no redis-server: install Debian's `redis-server` to run the tests of the shared cache")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium, without a window."""
    from browsers import launched  # slow to import

    with launched(chromium) as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Iterator[Visit]:
    """Opens the report of a run: see `browsers.Visit`."""
    from browsers import visiting

    with visiting(browser, tmp_path) as visit:
        yield visit


@pytest.fixture(params=["asyncio", "uvloop"])
def on_both_loops(request: pytest.FixtureRequest) -> Iterator[None]:
    """The test once on each kind of background loop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    with background_loop(request.param):
        yield


@pytest.fixture
def without_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    """For processes that may not write, or whose standard error is compared: they are not measured."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture(autouse=True)
def no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, models_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Tests see the defaults, whatever the developer's environment and own configuration say; only the model folder is
    kept."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "own-configuration"))
    for name in [name for name in os.environ if name.startswith("LLMBENCH_")]:
        if not name.startswith("LLMBENCH_REQUIRE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LLMBENCH_MODELS_DIR", str(models_folder))
    monkeypatch.setenv("LLMBENCH_CALIBRATE", "false")  # half a second a session
    monkeypatch.setenv("LLMBENCH_RETAKES", "0")  # else a busy machine would decide how many requests are sent
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)  # else a serial run that a test starts takes itself for a worker


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Where the chats of a file's tests come from."""
    from chat_terminals import Nursery

    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def chat(tmp_path: Path, nursery: Nursery) -> Callable[..., AbstractContextManager[Terminal]]:
    """Begins a chat at a terminal, with a provider that answers as told."""
    from chat_terminals import chat_in

    return partial(chat_in, nursery, tmp_path)
