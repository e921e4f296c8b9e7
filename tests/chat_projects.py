"""`llmbench chat` in an empty project, run within this process: what is asked, printed and kept."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_llmbench import cli
from pytest_llmbench.chat import kept
from pytest_llmbench.demo import DemoProvider
from pytest_llmbench.records import Run
from pytest_llmbench.store import Store

KEY = "sk-canary-0a1b2c3d4e5f6071"

Ask = Callable[..., tuple[int, str, str]]
"""Runs the verb with these words: (exit status, standard output, standard error)."""


def empty_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes the folder the project, with nothing on standard input and a user who is somebody else."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("LAB_KEY", KEY)
    pipe(monkeypatch, "")
    return folder


def pipe(monkeypatch: pytest.MonkeyPatch, what: str | bytes) -> None:
    """What comes by standard input."""
    data = what.encode() if isinstance(what, str) else what
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def lab(folder: Path, provider: DemoProvider, **more: str) -> None:
    """llmbench.yaml for `lab/...`; further sections as YAML text."""
    text = f"providers:\n  lab: {{url: '{provider.url}', key_env: LAB_KEY}}\n"
    (folder / "llmbench.yaml").write_text(text + "".join(f"{name}: {value}\n" for name, value in more.items()))


def asking(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs the verb in this process."""

    def run(*words: str) -> tuple[int, str, str]:
        status = cli.main(["chat", *words])
        out = capsys.readouterr()
        return status, out.out, out.err

    return run


def stored(folder: Path, run: str = "last") -> Run:
    """A chat as the database has it."""
    with Store.open(folder / ".llmbench" / kept.DATABASE) as store:
        return store.load_run(run)
