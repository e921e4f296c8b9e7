"""Askers in a process of their own whose answers are made up, and runs that use one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_llmbench import clock
from pytest_llmbench.asker import process, reaching
from pytest_llmbench.asker.local import LocalAsker
from pytest_llmbench.asker.means import Means, OnHeaders, OnText
from pytest_llmbench.asker.orders import Orders
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.remote import RemoteAsker
from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.errors import Category, OverBudgetError, WireError
from pytest_llmbench.records import Cost, FailedAttempt, Reply, Target, Usage
from pytest_llmbench.servers import orphans

PATIENCE_S = 60.0
TARGET = Target("made/up", "made", "up", "openai", "http://127.0.0.1:9", headers={"x-from": "tests"})
MADE_UP = (sys.executable, "-P", "-c", "import remote_askers; raise SystemExit(remote_askers.main())")
"""Starts an asker that makes its answers up."""


_test = ["t"]
"""Who asks: the same text asked by another test is another question."""


def question(text: str, target: Target = TARGET) -> Question:
    """What is asked decides what is answered: see `MadeUp`."""
    request = ChatRequest(target.name, ({"role": "user", "content": text},))
    return Question(target, request, _test[0], request.hash())


class MadeUp:
    """Answers with the question in capitals, and keeps a journal of what it was asked.

    `slow …` takes a second, `stuck …` for ever, `broken …` fails, `dear …` is over budget, `die …` ends the process,
    `forked …` is told in pieces.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._count = 0

    async def send(self, question: Question, _headers: OnHeaders, on_text: OnText | None) -> Reply:
        text = str(question.request.messages[-1]["content"])
        self._note(text)
        match text.split(maxsplit=1)[0]:
            case "slow":
                await asyncio.sleep(1)
            case "stuck":
                await asyncio.sleep(PATIENCE_S)
            case "broken":
                raise WireError("it broke", category=Category.INVALID_REQUEST, status=400, partial_text="half")
            case "dear":
                raise OverBudgetError("too dear", hint="allow more")
            case "die":
                os._exit(9)
            case "pieces" if on_text is not None:
                for word in text.split():
                    on_text(word)
        return Reply(text.upper(), question.target.name, usage=Usage(1, 2))

    def keep(self, _question: Question, reply: Reply) -> Future[Reply]:
        self._count += 1
        return _done(replace(reply, id=str(self._count)))

    def keep_failed(self, _question: Question, _attempt: FailedAttempt) -> Future[None]:
        return _done(None)

    def _note(self, text: str) -> None:
        with self._journal.open("a") as file:
            file.write(json.dumps(text) + "\n")


def local(journal: Path) -> LocalAsker:
    """One that makes its answers up, in this process."""
    made_up = MadeUp(journal)
    return LocalAsker(
        Means(
            send=made_up.send,
            keep=made_up.keep,
            keep_failed=made_up.keep_failed,
            cost=lambda *_: Cost("0.5", "priced"),
        )
    )


@contextmanager
def opening(orders: Orders) -> Iterator[LocalAsker]:
    """As the process opens it."""
    asker = local(Path(orders.rootdir) / "journal")
    try:
        yield asker
    finally:
        asker.close()


def main() -> int:
    """The process."""
    return process.main(opening)


class Run:
    """A run in a folder of its own, this process being its controller."""

    def __init__(self, root: Path, folder: Path, controller_pid: int) -> None:
        self.root = root
        self.folder = folder
        self.orders = Orders("r1", controller_pid, str(root), {"results_dir": str(root)})

    def asker(self, command: Sequence[str] = MADE_UP) -> RemoteAsker:
        """A worker's."""
        return RemoteAsker(self.folder, self.orders, command=command)

    def asked(self) -> list[str]:
        """What was asked of the model, in order."""
        journal = self.root / "journal"
        return [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []

    def begin(self, test: str) -> None:
        """What is asked from now on is asked by this test; the journal begins anew."""
        _test[0] = test
        (self.root / "journal").write_text("")

    def process(self) -> str:
        """The identity of the asker's process."""
        return str(self.address()["asker"])

    def address(self) -> dict[str, Any]:
        """What the process told of itself; empty where there is none."""
        path = self.folder / "asker.json"
        return json.loads(path.read_text()) if path.exists() else {}


@contextmanager
def run_in(root: Path, controller_pid: int | None = None) -> Iterator[Run]:
    """A run; its asker is ended with the block."""
    run = Run(root, root / "scratch", controller_pid or os.getpid())
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    try:
        yield run
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
        reaching.end(run.folder)


@contextmanager
def two_askers(run: Run) -> Iterator[tuple[RemoteAsker, RemoteAsker]]:
    """Two workers of a run; they hang up with the block."""
    first, second = run.asker(), run.asker()
    yield first, second
    first.close()
    second.close()


def stand_still(run: Run) -> None:
    """Stop the asker's process, and wait for each of its threads: one that runs on would answer for a moment."""
    pid = run.address()["pid"]
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task")  # nothing there, and nothing to wait for, where it is not Linux
    assert soon(lambda: {each.read_text().rpartition(") ")[2][0] for each in threads.glob("*/stat")} <= {"T"})


def is_gone(process: str) -> bool:
    """Whether the process of this identity (`orphans.identity`) ends in time."""
    return soon(lambda: orphans.is_over(process))


def soon(is_so: Any, patience_s: float = PATIENCE_S) -> bool:
    """Whether something comes true in time."""
    deadline = clock.monotonic() + patience_s
    while not is_so():
        if clock.monotonic() > deadline:
            return False
        clock.sleep(0.01)
    return True


def _done(result: Any) -> Future[Any]:
    done: Future[Any] = Future()
    done.set_result(result)
    return done
