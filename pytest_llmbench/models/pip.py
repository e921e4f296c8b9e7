"""pip as a child process: one wheel downloaded into a folder, with its progress told in bytes."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import IO

from pytest_llmbench import launch
from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models.transfer import FREE_SPACE, Progress

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_WITH_RAW_PROGRESS = (24, 1)
_ANNOUNCED = re.compile(r"Downloading .*\((?P<number>[\d.]+) (?P<unit>bytes|kB|MB)\)")
"""All that an older pip says of a download before its end; the size is rounded."""
_UNIT_BYTES = {"bytes": 1, "kB": 1000, "MB": 1000_000}
_LOOK_EVERY_S = 0.25


def download(package: str, folder: Path, progress: Progress) -> None:
    """Let this environment's pip put the package's wheel into `folder`.

    Args:
        package: a requirement, `name` or `name==version`.
        folder: made if need be; pip keeps its temporary files there too.
        progress: told bytes done and bytes in total; both are pip's own where it tells them to programs (24.1), else
            what lies on the disk by now, of the rounded size that pip announced.

    Raises:
        ModelFileError: there is no pip, or it fails.
        OSError: the folder cannot be made.
    """
    meter = _Meter(package, folder, progress)
    progress(0, None, meter.what)
    folder.mkdir(exist_ok=True)
    # The disk that the model will live on is the one that has room for it.
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        _command(package, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    ) as pip:
        try:
            for line in _lines(pip.stdout):
                meter.hear(line)
        except BaseException:
            pip.kill()
            raise
    if pip.returncode:
        raise _failed(package, list(meter.said))


def _command(package: str, folder: Path) -> list[str]:
    # Through launch.py pip ends with us, so that nobody writes into a folder that the next process sweeps.
    # -P: without it a pip.py in the current folder would be run.
    command = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), sys.executable, "-P", "-m", "pip"]
    command += ["download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--no-color", "--progress-bar", _progress_bar()]
    return [*command, "--dest", str(folder), "--", package]


def _lines(stdout: IO[bytes] | None) -> Iterator[str | None]:
    """What a process says line by line; None whenever it has been silent for a while."""
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        # A closed pipe is a process that was killed: there is nobody to listen to any more.
        with contextlib.suppress(ValueError, OSError):
            for raw in stdout or ():
                heard.put(raw)
        heard.put(b"")

    threading.Thread(target=listen, name="llmbench-pip", daemon=True).start()
    while True:
        try:
            raw = heard.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            yield None
            continue
        if not raw:
            return
        yield raw.decode("utf-8", "replace").strip()


class _Meter:
    """How far a download is, from what pip says and from what it has written."""

    def __init__(self, package: str, folder: Path, progress: Progress) -> None:
        self.what = f"downloading {package}"
        self.said: deque[str] = deque(maxlen=50)
        """Its last lines."""
        self._folder = folder
        self._progress = progress
        self._announced: int | None = None
        self._is_told = False

    def hear(self, line: str | None) -> None:
        """Take in a line, or a silence (None)."""
        if line is None:
            self._look()
        elif told := _PROGRESS.fullmatch(line):
            self._is_told = True
            self._progress(int(told[1]), int(told[2]) or None, self.what)
        elif line and not line.startswith(launch.STAMP):
            self.said.append(line[:500])
            self._note_size(line)

    def _note_size(self, line: str) -> None:
        if announced := _ANNOUNCED.fullmatch(line):
            self._announced = round(float(announced["number"]) * _UNIT_BYTES[announced["unit"]])

    def _look(self) -> None:
        if not self._is_told:
            done = _written(self._folder)
            self._progress(min(done, self._announced or done), self._announced, self.what)


def _written(folder: Path) -> int:
    """Bytes of the wheel so far: pip writes it below TMPDIR and copies it; its HTTP cache's files end differently."""
    sizes = [0]
    for wheel in folder.rglob("*.whl"):
        # pip removes its temporary folder when it likes.
        with contextlib.suppress(FileNotFoundError):
            sizes.append(wheel.stat().st_size)
    return max(sizes)


def _progress_bar() -> str:
    """The kind of progress this environment's pip can tell a program."""
    try:
        version = metadata.version("pip")
    except metadata.PackageNotFoundError as error:
        raise ModelFileError(
            "this Python environment has no pip, which downloads the model files",
            category=Category.MODEL_MISSING,
            hint=f"run `{sys.executable} -m ensurepip`, or give the model a path: source",
        ) from error
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    return "raw" if numbers >= _WITH_RAW_PROGRESS else "off"


_NO_NETWORK = "is there a network? The package index could not be reached (`pip config list` shows which it is)"
_FAILURES = (
    ("No space left on device", Category.LOCAL_DISK_FULL, FREE_SPACE),
    ("Disk quota exceeded", Category.LOCAL_DISK_FULL, FREE_SPACE),
    ("File too large", Category.LOCAL_DISK_FULL, FREE_SPACE),
    ("NameResolutionError", Category.NETWORK_DNS, _NO_NETWORK),
    ("name resolution", Category.NETWORK_DNS, _NO_NETWORK),
    ("SSLError", Category.NETWORK_TLS, "check the certificates and the proxy that pip uses (`pip config list`)"),
    ("timed out", Category.TIMEOUT_CONNECT, "the package index did not answer in time; try again"),
    ("NewConnectionError", Category.NETWORK_REFUSED, _NO_NETWORK),
    ("ProxyError", Category.NETWORK_REFUSED, "check the proxy that pip uses (`pip config list`)"),
)


def _failed(package: str, lines: list[str]) -> ModelFileError:
    text = "\n".join(lines)
    category, hint = Category.MODEL_MISSING, "check the package's name and version, and `pip config list` for the index"
    for sign, sign_category, sign_hint in _FAILURES:
        if sign in text:
            category, hint = sign_category, sign_hint
            break
    last = lines[-1].removeprefix("ERROR: ") if lines else "it said nothing"
    return ModelFileError(f"pip cannot download {package}: {display_safe(last, keep='')}", category=category, hint=hint)
