"""The asker of a session that asks through batch APIs: what is asked is submitted, and comes in a later session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_llmbench import clock, http
from pytest_llmbench.asker.batch_collect import collect
from pytest_llmbench.asker.batch_questions import EndpointOf, pending, still_pending
from pytest_llmbench.asker.batch_submit import submit
from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.opening import budget_of
from pytest_llmbench.asker.question import ModelStatus, Question, Status, Streamed
from pytest_llmbench.clients import Endpoint
from pytest_llmbench.config import Resolved
from pytest_llmbench.errors import Category, InfraError, LlmbenchError, PendingError
from pytest_llmbench.providers.targets import Providers
from pytest_llmbench.records import Reply
from pytest_llmbench.store import Store

_TURN_S = 600.0
"""How long another process may take to submit what it has."""


def open_batch(resolved: Resolved, store: Store, run_id: str) -> BatchAsker:
    """The asker of a run with `--batch`; several may be open at once, and what one submits the others do not."""
    return BatchAsker(
        store,
        run_id,
        _endpoint_of(resolved),
        keep_prompts=resolved.settings.keep_prompts,
        budget=partial(budget_of, resolved, store, run_id),
        turn=resolved.results_dir / "logs" / run_id / "batches.lock",
    )


def collect_batches(resolved: Resolved, store: Store, run_id: str) -> tuple[str, ...]:
    """Fetch what has come of the run's batches, and say so, a sentence each; nothing where the run has none."""
    if not pending(store, run_id):
        return ()
    found = http.run(collect(store, run_id, _endpoint_of(resolved)))
    counted = f"batches: {found.done} replies collected, {found.pending} still pending, {found.failed} failed"
    return counted, *found.notes


def _endpoint_of(resolved: Resolved) -> EndpointOf:
    providers = Providers(resolved)
    return lambda target: Endpoint.of(target, providers.key(target))


@dataclass(frozen=True, slots=True)
class _Stored:
    """A stored reply as a stream of one piece."""

    reply: Reply

    def __iter__(self) -> Iterator[str]:
        yield self.reply.text


class BatchAsker:
    """Implements `Asker`: gives what is stored, and submits all else.

    What was planned is submitted as a whole when the first of it is wanted, so that nothing goes out unless tests run.

    Args:
        store: where replies are, and what is submitted is written.
        run_id: the run.
        endpoint_of: where a model is asked.
        keep_prompts: see `submit`.
        budget: what is left of the run's when it is called, see `submit`.
        turn: locked while one of the run's processes submits: what it reserves, the next one has to see.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        endpoint_of: EndpointOf,
        *,
        keep_prompts: bool,
        budget: Callable[[], Budget | None],
        turn: Path,
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._endpoint_of = endpoint_of
        self._keep_prompts = keep_prompts
        self._budget = budget
        self._turn = turn
        self._planned: dict[str, Question] = {}
        self._pending = pending(store, run_id)
        self._stored = store.stored_replies(run_id)
        self._failed: Exception | None = None
        self._began_at = clock.monotonic()

    def plan(self, questions: Sequence[Question], *, window: int | None = None) -> None:  # noqa: ARG002 - all or none
        self._planned |= {question.id: question for question in questions}

    def follow(self, question: Question, tell: Callable[[Reply | BaseException], None]) -> None:  # noqa: ARG002 - comes later
        tell(PendingError("it comes with its batch"))

    def get(self, question: Question) -> Reply:
        __tracebackhide__ = True
        return self.get_all([question])[0]

    def get_all(self, questions: Sequence[Question], *, concurrency: int | None = None) -> list[Reply]:  # noqa: ARG002 - the provider's
        __tracebackhide__ = True
        places = [(question.test_key, question.request_hash, question.ordinal) for question in questions]
        if not all(place in self._stored for place in places):
            self._submit(questions)
            raise still_pending(next(self._pending[each.id] for each in questions if each.id in self._pending))
        return [self._stored[place] for place in places]

    def get_each(self, questions: Sequence[Question]) -> list[Reply | LlmbenchError]:
        """As `get_all`: what has not come yet is nobody's failure."""
        __tracebackhide__ = True
        return list(self.get_all(questions))

    def agree(self, choices: Mapping[str, str]) -> Mapping[str, str]:
        """As it is chosen: whoever submits a batch chooses by what does not change."""
        return choices

    def stream(self, question: Question) -> Streamed:
        """As `get`; nothing streams out of a batch."""
        __tracebackhide__ = True
        return _Stored(self.get(question))

    def pause(self) -> None:
        """Nothing is under way here."""

    def resume(self) -> None:
        """As `pause`."""

    def cancel(self) -> None:
        """What is submitted stays so."""
        self._planned.clear()

    def status(self) -> Status:
        waiting = [ModelStatus("batch", waiting=len(self._pending))] if self._pending else []
        return Status(tuple(waiting), elapsed_s=clock.monotonic() - self._began_at)

    def close(self) -> None:
        self.cancel()

    def _submit(self, questions: Sequence[Question]) -> None:
        """Submit these with all that is planned; a failure is everybody's."""
        if self._failed is not None:
            raise self._failed
        wanted = [*self._planned.values(), *questions]
        self._planned.clear()
        if all(question.id in self._pending for question in wanted):
            return
        try:
            with self._alone():
                http.run(
                    submit(
                        self._store,
                        self._run_id,
                        wanted,
                        self._endpoint_of,
                        keep_prompts=self._keep_prompts,
                        budget=self._budget(),
                    )
                )
        except Exception as error:
            self._failed = error
            raise
        self._pending = pending(self._store, self._run_id)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._turn.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._turn, timeout=_TURN_S):
                yield
        except Timeout:
            raise InfraError(
                f"another process of the run has been submitting a batch for {_TURN_S:g} s",
                category=Category.LOCAL_ASKER,
                hint="`--resume last` submits what was not submitted",
            ) from None
