"""The process in which runs what might never end, or take all the memory there is: patterns, queries, schemas.

    python -I cell.py        requests on stdin, answers on stdout, JSON, one a line; the first line is `sys.path`

It ends with its stdin, and by an alarm where its parent is gone while it computes.
"""

from __future__ import annotations

import json
import signal
import sys
from importlib import import_module
from typing import Any

MEMORY_BYTES = 1 << 30
SPARE_S = 2.0
"""Seconds beyond a job's own limit after which the process ends itself."""


def main() -> None:
    """Answer requests until there are no more."""
    _limit()
    sys.path[:] = json.loads(sys.stdin.buffer.readline() or b"[]")
    for line in sys.stdin.buffer:
        request = json.loads(line)
        answer = _loaded(request["load"]) if "load" in request else _done(request)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _loaded(module: str) -> str:
    return import_module(f"pytest_llmbench.validators.{module}").__name__


def _done(request: dict[str, Any]) -> Any:
    job = getattr(sys.modules[f"pytest_llmbench.validators.{request['module']}"], request["function"])
    signal.setitimer(signal.ITIMER_REAL, request["limit_s"] + SPARE_S)
    answer = job(**request["arguments"])
    signal.setitimer(signal.ITIMER_REAL, 0)
    return answer


def _limit() -> None:
    import resource  # noqa: PLC0415  not on every system

    limits = ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_AS, MEMORY_BYTES))
    for what, most in limits:
        try:
            resource.setrlimit(what, (most, most))
        except (ValueError, OSError):  # macOS refuses some; the time limits hold there as well
            continue


if __name__ == "__main__":
    main()
