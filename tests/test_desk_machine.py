"""Random workers at the real desk, over its real socket: it stays fair, within memory, and never locks up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from desk_house import BROKEN, House, order
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from server_sessions import eventually

from pytest_llmbench.servers.connection import Connection

CAPACITY = 100
SIZES = {"a": 20, "b": 30, "c": 50, "d": 70, "e": 100, BROKEN: 40}
PATIENCE_S = 10.0
CHOICE = st.integers(0, 59)
WANTED = st.sets(st.sampled_from(sorted(SIZES)), min_size=1, max_size=2)


@dataclass(eq=False)
class Worker:
    """A client as the model sees it."""

    line: Connection
    held: Counter[str] = field(default_factory=Counter)


@dataclass(eq=False)
class Asked:
    """A claim, and the answer to come."""

    worker: Worker
    keys: list[str]
    number: int
    answer: Future[dict[str, Any]]


def total(keys: set[str]) -> int:
    return sum(SIZES[key] for key in keys)


class Desks(RuleBasedStateMachine):
    """The desk beside a model of what it promises."""

    def __init__(self) -> None:
        super().__init__()
        self.house = House(CAPACITY).__enter__()
        self.living: list[Worker] = []
        self.queue: list[Asked] = []
        self.granted: list[Asked] = []

    @initialize()
    def three_come(self) -> None:
        for _ in range(3):
            self.comes()

    @precondition(lambda self: len(self.living) < 5)
    @rule()
    def comes(self) -> None:
        self.living.append(Worker(self.house.connect()))

    @precondition(lambda self: self.living)
    @rule(who=CHOICE, keys=WANTED, wait=st.booleans())
    def claims_servers(self, who: int, keys: set[str], wait: bool) -> None:
        worker = self.living[who % len(self.living)]
        number, answer = worker.line.send("claim", orders=[order(key, SIZES[key]) for key in sorted(keys)], wait=wait)
        asked = Asked(worker, sorted(keys), number, answer)
        may_wait = wait and not worker.held
        if total(keys) > CAPACITY:
            assert "never fits" in self.refusal(asked)
        elif self.fits(keys) and not (may_wait and self.queue):
            self.grant(asked)
        elif may_wait:
            self.queue.append(asked)
            worker.line.ask("ping")
        else:
            assert "have to wait" in self.refusal(asked)

    @precondition(lambda self: self.granted)
    @rule(which=CHOICE)
    def releases(self, which: int) -> None:
        asked = self.granted.pop(which % len(self.granted))
        asked.worker.line.ask("release", keys=asked.keys)
        asked.worker.held -= Counter(asked.keys)
        self.queue_moves()

    @precondition(lambda self: self.queue)
    @rule(which=CHOICE)
    def gives_up(self, which: int) -> None:
        asked = self.queue.pop(which % len(self.queue))
        asked.worker.line.send("cancel", request=asked.number, keys=asked.keys)
        assert self.told(asked)["error"]["kind"] == "stopped"
        self.queue_moves()

    @precondition(lambda self: self.living)
    @rule(who=CHOICE)
    def dies(self, who: int) -> None:
        worker = self.living.pop(who % len(self.living))
        self.queue = [asked for asked in self.queue if asked.worker is not worker]
        self.granted = [asked for asked in self.granted if asked.worker is not worker]
        worker.held.clear()
        worker.line.close()
        self.queue_moves()

    @invariant()
    def the_desk_stands_where_the_model_stands(self) -> None:
        def agrees() -> bool:
            held, waiting = self.house.stand()
            return (set(held), waiting) == (self.claimed(), len(self.queue))

        assert eventually(agrees, PATIENCE_S), (self.house.stand(), self.claimed(), self.queue)
        assert not any(asked.answer.done() for asked in self.queue)

    @invariant()
    def memory_is_never_exceeded(self) -> None:
        assert self.house.most_bytes <= CAPACITY
        assert self.house.told == []

    @invariant()
    def who_waits_holds_nothing(self) -> None:
        assert not any(asked.worker.held for asked in self.queue)

    def teardown(self) -> None:
        for worker in self.living:
            worker.line.close()
        try:
            assert eventually(lambda: self.house.stand() == ({}, 0), PATIENCE_S)
            last = self.house.connect()
            answer = last.send("claim", orders=[order("e", CAPACITY)], wait=False)[1].result(PATIENCE_S)
            assert "ok" in answer
            assert self.house.running == {"e": CAPACITY}
            last.close()
        finally:
            self.house.__exit__()

    def fits(self, keys: set[str]) -> bool:
        return total(self.claimed() | keys) <= CAPACITY

    def claimed(self) -> set[str]:
        return {key for worker in self.living for key in worker.held}

    def told(self, asked: Asked) -> Mapping[str, Any]:
        return asked.answer.result(PATIENCE_S)

    def refusal(self, asked: Asked) -> str:
        return str(self.told(asked)["error"]["message"])

    def grant(self, asked: Asked) -> None:
        """It gets all it wants; a server that cannot start is told, and nothing of the claim is kept."""
        asked.worker.held += Counter(asked.keys)
        for other in [waiting for waiting in self.queue if waiting.worker is asked.worker]:
            self.holder_waits_no_more(other)
        if BROKEN in asked.keys:
            assert self.told(asked)["error"]["kind"] == "exited"
            asked.worker.held -= Counter(asked.keys)
            self.queue_moves()
        else:
            assert [server["key"] for server in self.told(asked)["ok"]] == asked.keys
            self.granted.append(asked)

    def holder_waits_no_more(self, asked: Asked) -> None:
        if asked not in self.queue:
            return
        self.queue.remove(asked)
        if self.fits(set(asked.keys)):
            self.grant(asked)
        else:
            assert "have to wait" in self.refusal(asked)

    def queue_moves(self) -> None:
        while self.queue and self.fits(set(self.queue[0].keys)):
            self.grant(self.queue.pop(0))


TestDesks = Desks.TestCase
TestDesks.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
