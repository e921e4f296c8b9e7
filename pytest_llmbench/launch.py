"""Become a server that dies with the process that started it. Standard library only; run by path.

    python -I -S launch.py PARENT_PID PROGRAM [ARGUMENT ...]

On Linux the kernel kills the server when the *thread* that forked it ends, so that thread has to live as long as its
process: the supervisor starts servers from its main thread. The flag survives `execvp`.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
EXIT_CANNOT_RUN = 127
STAMP = "llmbench: process started at monotonic"
"""Begins the log line that holds when the server's own program began; Python's start-up before it is not its load."""


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel (Linux) to kill this process when its parent ends; exits at once if that has happened already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        raise SystemExit(EXIT_CANNOT_RUN)


def adopt_orphans() -> None:
    """Let processes that lost their parent below this one become its children (Linux), so that it can end them."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def main(argv: list[str]) -> None:
    """Replace this process by the program."""
    die_with_parent(int(argv[0]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file holds the key, the prompts and the whole model
    print(f"{STAMP} {time.monotonic():.6f}", file=sys.stderr, flush=True)
    try:
        os.execvp(argv[1], argv[1:])  # noqa: S606 - a shell is what this avoids
    except OSError as error:
        print(f"llmbench: cannot run {argv[1]}: {error.strerror}", file=sys.stderr)
        raise SystemExit(EXIT_CANNOT_RUN) from error


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
