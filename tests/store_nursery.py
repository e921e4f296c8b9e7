"""A process that raises writers by fork, and kills them on demand: a life begins in milliseconds, imports included.

Run as a program: its standard input takes `start NAME` and `kill NAME`, each answered with a line once it is done.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn, Self

import alembic.command  # noqa: F401 - else each life would import it anew, to create or migrate the database
import store_samples as samples

from pytest_llmbench.store import Store


class Nursery:
    """The nursery as the test sees it; leaves no process behind.

    Args:
        database: where its writers write.
        logs: folder for one file a writer, NAME.log, with what was acknowledged to it.
    """

    def __init__(self, database: Path, logs: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(database), str(logs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(self, name: str) -> None:
        self._told(f"start {name}")

    def kill(self, name: str) -> None:
        """SIGKILL, and wait until it is dead."""
        assert self._told(f"kill {name}") == "SIGKILL", "it had ended by itself"

    def _told(self, order: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def write_for_ever(database: Path, name: str, log: Path) -> NoReturn:
    """One writer's life: every kind of write in turn, each noted in its own log once the store's method returned."""
    side = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with Store.open(database) as store:
        store.ensure_run(samples.run())
        store.start_measurement("run-1", samples.measurement(name, name))
        for n in itertools.count():
            reply = dataclasses.replace(samples.reply(f"{name} {n} " * 50), request_hash=f"{name}-{n}")
            match n % 4:
                case 0:
                    store.save_reply("run-1", name, n, {"n": n}, reply)
                case 1:
                    store.save_repetition(name, samples.repetition(n), reply=({"n": n}, reply))
                case 2:
                    store.save_result("run-1", samples.result(f"{name}-{n}"))
                case 3:
                    store.save_failed_attempt("run-1", name, samples.failed_attempt(n))
            os.write(side, f"{n}\n".encode())
            os.fsync(side)
    raise AssertionError("unreachable")


def main() -> None:
    """Take orders until standard input ends; then kill whoever is left."""
    database, logs = map(Path, sys.argv[1:])
    writers: dict[str, int] = {}
    for line in sys.stdin:
        order, name = line.split()
        if order == "start":
            writers[name] = os.fork()
            if not writers[name]:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the test reads ours
                write_for_ever(database, name, logs / f"{name}.log")
            print("started", flush=True)
        else:
            print(_end(writers.pop(name)), flush=True)
    for pid in writers.values():
        _end(pid)


def _end(pid: int) -> str:
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {status}"


if __name__ == "__main__":
    main()
