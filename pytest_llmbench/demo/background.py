"""A provider in a process of its own, for `demo/…` models that nobody set up; it ends with whoever wanted it."""

from __future__ import annotations

import atexit
import subprocess
import sys
import threading

from pytest_llmbench.errors import Category, InfraError

_starting = threading.Lock()
_running: list[tuple[subprocess.Popen[str], str]] = []


def background() -> str:
    """The address of this process's demo provider, which is started at the first call and at the first after its end.

    The provider ends when this process does, however it ends: its standard input is a pipe from here. Callable from
    any thread.

    Returns:
        `http://127.0.0.1:PORT`.

    Raises:
        InfraError: it did not start.
    """
    with _starting:
        if _running and _running[0][0].poll() is not None:
            _let_go()
        if not _running:
            _running.append(_started())
        return _running[0][1]


def end_background() -> None:
    """End this process's demo provider, where there is one."""
    with _starting:
        _let_go()


def _started() -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "pytest_llmbench.demo", "--until-stdin-ends"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for those who ask: what is under way is answered
    )
    assert process.stdout is not None, "it was asked for"
    url = process.stdout.readline().strip()
    if not url:
        raise InfraError(
            f"the demo provider did not start (exit status {process.wait()})",
            category=Category.LOCAL_SERVER_START,
            hint="`llmbench demo-server` shows why",
        )
    return process, url


def _let_go() -> None:
    for process, _ in _running:
        with process:  # closes the pipe, which ends it
            pass
    _running.clear()


atexit.register(end_background)
