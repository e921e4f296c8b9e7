"""Become a program under limits. Standard library only; run by path.

    python -I -S cell_program.py CPU_S MEMORY_BYTES FILE_BYTES PROGRAM [ARGUMENT ...]

This is no sandbox: the program can read what its user can read, and use the network.
"""

from __future__ import annotations

import os
import resource
import signal
import sys


def main(argv: list[str]) -> None:
    """Replace this process by the program."""
    cpu_s, memory_bytes, file_bytes = map(int, argv[:3])
    limits = (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 64),
    )
    for what, most in limits:
        try:
            resource.setrlimit(what, (most, most))
        except (ValueError, OSError):  # macOS refuses some; the time limit of the parent holds there as well
            continue
    signal.alarm(cpu_s + 1)  # outlives the exec: a program that sleeps ends, too, where its parent is gone
    os.execv(argv[3], argv[3:])  # noqa: S606  a shell is what this avoids


if __name__ == "__main__":
    main(sys.argv[1:])
