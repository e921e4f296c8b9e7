"""A person at a terminal: a process with a terminal of its own, what is typed there, and what is shown."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

from pytest_llmbench import clock
from pytest_llmbench.demo import DemoProvider
from pytest_llmbench.display import display_safe

KEY = "sk-canary-0a1b2c3d4e5f6071"
CTRL_C, CTRL_D, ENTER, ALT_ENTER, UP = "\x03", "\x04", "\r", "\x1b\r", "\x1b[A"
_PATIENCE_S = 40.0
_DRAWN_PROMPT = b">\x08\x1b[2C"
"""How prompt_toolkit draws an empty line behind its prompt."""
_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|(?<=>)\x08|\x1b\][^\x07]*\x07")
"""Sequences of our own: colours, the cursor, modes of the keyboard."""


class Terminal:
    """A process at its terminal."""

    def __init__(self, pid: int, wait: Callable[[], int], ours: int) -> None:
        self.pid = pid
        self._wait = wait
        self.raw = b""
        """Everything that was written to the terminal."""
        self._ours = ours
        self._seen = 0
        self._prompts = 0

    @property
    def shown(self) -> str:
        """What was written, without the sequences that place and colour it."""
        return plain(self.raw)

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._ours, text.encode())

    def type_bytes(self, keys: bytes) -> None:
        """Press keys that no text stands for."""
        os.write(self._ours, keys)

    def paste(self, text: str) -> None:
        """As terminals hand on what is pasted: between two marks."""
        self.type(f"\x1b[200~{text}\x1b[201~")

    def until(self, text: str, patience_s: float = _PATIENCE_S) -> str:
        """Wait until this is shown, after what was waited for before; gives all that was shown up to it."""
        deadline = clock.monotonic() + patience_s
        while (at := self.shown.find(text, self._seen)) < 0:
            left_s = deadline - clock.monotonic()
            if left_s <= 0 or not self._read(left_s):
                raise AssertionError(f"{text!r} did not come; after what was seen came {self.shown[self._seen :]!r}")
        before, self._seen = self.shown[self._seen : at], at + len(text)
        return before

    def prompt(self) -> str:
        """Wait until a question can be typed, once more; gives what was shown since the last thing waited for."""
        self._prompts += 1
        deadline = clock.monotonic() + _PATIENCE_S
        while self.raw.count(_DRAWN_PROMPT) < self._prompts:
            if not self._read(max(0.0, deadline - clock.monotonic())):
                raise AssertionError(f"no prompt came, but {self.shown[self._seen :]!r}")
        before, self._seen = self.shown[self._seen :], len(self.shown)
        return before

    def end(self, patience_s: float = _PATIENCE_S) -> int:
        """Wait until the process has ended; gives its exit status."""
        deadline = clock.monotonic() + patience_s
        while self._read(max(0.0, deadline - clock.monotonic())):
            pass
        return self._wait()

    def _read(self, timeout_s: float) -> bool:
        """Whether something came."""
        ready, _, _ = select.select([self._ours], [], [], timeout_s)
        if not ready:
            return False
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:  # Linux says EIO when the other side is closed
            return False
        self.raw += chunk
        return bool(chunk)


class Nursery:
    """A process that raises chats by fork: one begins in milliseconds, imports included; leaves none behind."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    @contextlib.contextmanager
    def terminal(
        self, words: Sequence[str], folder: Path, *, columns: int = 100, lines: int = 40, **environ: str
    ) -> Iterator[Terminal]:
        """`llmbench` with these words at a terminal of its own; it is killed with the block."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        known = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
        environment = {**known, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **environ}
        told = {"tty": os.ttyname(theirs), "folder": str(folder), "environ": environment, "words": list(words)}
        pid = self._told(told)
        os.close(theirs)
        try:
            yield Terminal(pid, lambda: self._told({"wait": pid}), ours)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._told({"wait": pid})
            os.close(ours)

    def _told(self, order: Mapping[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def chat_in(
    nursery: Nursery,
    folder: Path,
    provider: DemoProvider,
    *words: str,
    columns: int = 100,
    environ: Mapping[str, str] | None = None,
    **sections: str,
) -> contextlib.AbstractContextManager[Terminal]:
    """A chat at a terminal, in a project where `lab/...` is a provider.

    Args:
        nursery: where it comes from.
        folder: the project.
        provider: it.
        *words: behind `llmbench chat`.
        columns: how wide the terminal is.
        environ: further variables.
        **sections: of llmbench.yaml, as YAML text.
    """
    text = f"providers:\n  lab: {{url: '{provider.url}', key_env: LAB_KEY}}\n"
    (folder / "llmbench.yaml").write_text(text + "".join(f"{name}: {value}\n" for name, value in sections.items()))
    known = {"LAB_KEY": KEY, "XDG_STATE_HOME": str(folder / "state"), **(environ or {})}
    return nursery.terminal(["chat", *words], folder, columns=columns, **known)


def plain(said: bytes) -> str:
    """What a reader sees of what was written, line by line."""
    return _STEERING.sub("", said.decode("utf-8", "replace")).replace("\r\n", "\n")


def steering(said: bytes) -> list[str]:
    """What is left in it that steers a terminal, once the sequences that we write ourselves are taken out."""
    left = plain(said).replace("\r", "")
    return [line for line in left.split("\n") if display_safe(line) != line]


def raise_chats() -> None:
    """The nursery's own life: each line is an order, answered with a pid or an exit status."""
    ended: dict[int, int] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if (pid := order.get("wait")) is None:
            terminal = os.open(order["tty"], os.O_RDWR | os.O_NOCTTY)
            pid = os.fork()
            if pid == 0:
                _live(order, terminal)
            os.close(terminal)
            print(pid, flush=True)
            continue
        if pid not in ended:
            ended[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(ended[pid], flush=True)


def _live(order: Mapping[str, Any], terminal: int) -> NoReturn:
    """One chat: with a terminal that is its own, so that Ctrl-C typed there reaches it."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for standard in (0, 1, 2):
        os.dup2(terminal, standard)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - as long as the process
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environ"])
    status = 70
    try:
        status = cli.main(order["words"])
        sys.stdout.flush()
    finally:
        os._exit(status)


if __name__ == "__main__":
    # What a chat imports as it goes is there already.
    from pytest_llmbench import cli
    from pytest_llmbench.asker import opening  # noqa: F401
    from pytest_llmbench.chat import chatting, columns, commands, history, interactive  # noqa: F401
    from pytest_llmbench.cli import chat  # noqa: F401
    from pytest_llmbench.observe import request_log  # noqa: F401

    raise_chats()
