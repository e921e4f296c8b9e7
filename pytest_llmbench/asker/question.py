"""A question: what is asked of whom, on whose behalf."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.errors import LlmbenchError
from pytest_llmbench.records import Record, Reply, Target


@dataclass(frozen=True, slots=True)
class Question(Record):
    """One request on behalf of one test. Two with the same id are the same question: asked once, answered alike."""

    target: Target
    request: ChatRequest
    test_key: str
    """The stable key of the test that wants it."""
    request_hash: str
    """Of the request and of who is asked; with `test_key` and `ordinal` the reply's place in the store."""
    ordinal: int = 0
    """How many times this test asked the same before."""
    use_case: str = ""
    role: str = "subject"
    """`subject`, `judge` or `chat`."""
    sample: str = ""
    """The id of the sample it is about; empty where it is about none."""
    alike: str = ""
    """What it has in common with others that one verdict may answer; empty: its reply is its own."""
    hasty: bool = False
    """Whether another model can be asked instead: it fails at once, instead of waiting for a model that is ill."""
    anew: bool = False
    """Whether no earlier reply will do: it is asked, and the response cache keeps what comes."""
    id: str = field(init=False, default="")

    @property
    def place(self) -> tuple[str, str, int]:
        """Of its reply in the store."""
        return self.test_key, self.request_hash, self.ordinal

    def __post_init__(self) -> None:
        place = f"{self.test_key}\n{self.request_hash}\n{self.ordinal}"
        object.__setattr__(self, "id", hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest())


@dataclass(frozen=True, slots=True)
class ModelStatus(Record):
    """How asking one model goes."""

    model: str
    done: int = 0
    failed: int = 0
    in_flight: int = 0
    waiting: int = 0
    limit: int = 0
    """How many may be under way at once, now."""
    completion_tokens: int = 0
    cost_usd: str = "0"
    """Known costs so far, as decimal text."""
    unknown_costs: int = 0
    """Calls of unknown cost."""
    state: str = ""
    """What holds it up, in words: `rate limited, goes on in 12 s`; empty where nothing does."""
    answered: int = 0
    """Calls that brought a reply."""
    answered_s: float = 0.0
    """How long they took, added up."""
    broken: int = 0
    """Calls that failed, refusals for the rate not among them."""
    held_s: float = 0.0
    """How long nothing begins, because the provider said so or the model fails."""
    breaker: str = "closed"
    """`closed`, `open` or `half-open`."""


@dataclass(frozen=True, slots=True)
class Status(Record):
    """How asking goes."""

    models: tuple[ModelStatus, ...] = ()
    elapsed_s: float = 0.0
    """Since the first question."""
    paused: bool = False
    budget_left_usd: str = ""
    """Of the run's cap; empty where there is none."""


class Streamed(Protocol):
    """An answer while it comes: iterate over its pieces, those of its reasoning among them as `Thought`, then read
    `reply`.
    """

    def __iter__(self) -> Iterator[str]: ...

    @property
    def reply(self) -> Reply:
        """The whole reply, stored; known once the iteration is over."""


class Asker(Protocol):
    """What tests ask through; blocking, usable from several threads.

    What comes back has been committed to the results database before. Errors are those of the question alone:
    `InfraError` (after the attempts that help), `OverBudgetError`, `PendingError`.
    """

    def plan(self, questions: Sequence[Question], *, window: int | None = None) -> None:
        """Ask ahead, in this order.

        Args:
            questions: what tests are going to want.
            window: how many may be asked beyond the last one that was fetched with `get`; None is no limit.
        """

    def follow(self, question: Question, tell: Callable[[Reply | BaseException], None]) -> None:
        """Ask ahead, and hear of it when it is answered; nothing is hurried by it.

        Args:
            question: planned or not.
            tell: called once with the reply, or with what stands for it, in any thread, which it must not hold up.
        """

    def get(self, question: Question) -> Reply:
        """The reply to a question, planned or not; waits for it."""

    def get_all(self, questions: Sequence[Question], *, concurrency: int | None = None) -> list[Reply]:
        """Several at once. The first failure is raised; what is not under way then is dropped, what is, is kept."""

    def get_each(self, questions: Sequence[Question]) -> list[Reply | LlmbenchError]:
        """Several at once, each with its reply or with why there is none; waits for all, and drops nothing."""

    def agree(self, choices: Mapping[str, str]) -> Mapping[str, str]:
        """What was chosen first for each of these keys, by any process of the session: this choice, or an earlier one.

        Args:
            choices: key → what is chosen where nobody has chosen yet.
        """

    def stream(self, question: Question) -> Streamed:
        """Ask one question and hand its text on as it comes."""

    def pause(self) -> None:
        """Wait until nothing is under way, and begin nothing until `resume`; counted, so each needs its own."""

    def resume(self) -> None:
        """End one `pause`."""

    def cancel(self) -> None:
        """Drop what waits and break off what is under way; what was complete is stored."""

    def status(self) -> Status:
        """How it goes."""

    def close(self) -> None:
        """Cancel, and free what this process holds."""
