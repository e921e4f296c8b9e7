"""The asker of a session that asks through batch APIs: what is asked is submitted, and comes in a later session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_llmbench import clock, http
from pytest_llmbench.asker.batch_cached import BatchCached
from pytest_llmbench.asker.batch_collect import collect
from pytest_llmbench.asker.batch_questions import EndpointOf, pending, still_pending
from pytest_llmbench.asker.batch_submit import submit
from pytest_llmbench.asker.opening import Keeper, budget_of
from pytest_llmbench.asker.question import ModelStatus, Question, Status, Streamed
from pytest_llmbench.cache.response_cache import ResponseCache
from pytest_llmbench.clients import Endpoint
from pytest_llmbench.config import Resolved
from pytest_llmbench.errors import Category, InfraError, LlmbenchError, PendingError
from pytest_llmbench.observe.observer import Observer
from pytest_llmbench.providers.targets import Providers
from pytest_llmbench.records import Reply
from pytest_llmbench.store import Store

_TURN_S = 600.0
"""How long another process may take to submit what it has."""


def open_batch(
    resolved: Resolved,
    store: Store,
    run_id: str,
    *,
    cache: Callable[[], ResponseCache | None],
    observer: Observer | None,
) -> BatchAsker:
    """The asker of a run with `--batch`; several may be open at once, and what one submits the others do not.

    Args:
        resolved: settings and configuration.
        store: where replies are, and what is submitted is written.
        run_id: the run.
        cache: opens where replies are looked up before anything is submitted; gives None where there is none.
        observer: told of what is found there, and of what is submitted.
    """
    keep = Keeper(store, run_id, keep_prompts=True).keep  # without texts nothing is submitted, nor looked up
    cached = BatchCached(cache, keep, observer=observer, run_id=run_id)
    submitting = partial(
        submit,
        store,
        run_id,
        endpoint_of=_endpoint_of(resolved),
        keep_prompts=resolved.settings.keep_prompts,
        left_of=cached.left_of,
        observer=observer,
    )

    def send(questions: Sequence[Question]) -> None:
        # What another process has reserved meanwhile is to be seen.
        http.run(submitting(questions, budget=budget_of(resolved, store, run_id)))

    turn = resolved.results_dir / "logs" / run_id / "batches.lock"
    return BatchAsker(store, run_id, send, turn=turn, notes=lambda: cached.notes)


def collect_batches(
    resolved: Resolved,
    store: Store,
    run_id: str,
    *,
    cache: Callable[[], ResponseCache | None],
    observer: Callable[[], Observer | None],
) -> tuple[str, ...]:
    """Fetch what has come of the run's batches, and say so, a sentence each; nothing where the run has none.

    Args:
        resolved: settings and configuration.
        store: where replies are, and what was submitted is written.
        run_id: the run.
        cache: opens where replies are put; gives None where there is none. Like the observer, only where a batch is
            looked for.
        observer: opens who is told of what came.
    """
    if not pending(store, run_id):
        return ()
    found = http.run(collect(store, run_id, _endpoint_of(resolved), cache=cache(), observer=observer()))
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
        send: answers what it can without a provider, and submits the rest.
        turn: locked while one of the run's processes submits: what it reserves, the next one has to see.
        notes: what is to be said at the end, a sentence each.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        send: Callable[[Sequence[Question]], None],
        *,
        turn: Path,
        notes: Callable[[], tuple[str, ...]],
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._send = send
        self._turn = turn
        self._notes = notes
        self._planned: dict[str, Question] = {}
        self._pending = pending(store, run_id)
        self._stored = store.stored_replies(run_id)
        self._failed: Exception | None = None
        self._began_at = clock.monotonic()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said at the end, a sentence each."""
        return self._notes()

    def plan(self, questions: Sequence[Question], *, window: int | None = None) -> None:  # noqa: ARG002 - all or none
        self._planned |= {question.id: question for question in questions}

    def follow(self, question: Question, tell: Callable[[Reply | BaseException], None]) -> None:  # noqa: ARG002 - comes later
        tell(PendingError("it comes with its batch"))

    def get(self, question: Question) -> Reply:
        __tracebackhide__ = True
        return self.get_all([question])[0]

    def get_all(self, questions: Sequence[Question], *, concurrency: int | None = None) -> list[Reply]:  # noqa: ARG002 - the provider's
        __tracebackhide__ = True
        if not self._has_all(questions):
            self._submit(questions)
        if not self._has_all(questions):
            if self._failed is not None:
                raise self._failed
            lying = (self._pending[each.id] for each in questions if each.id in self._pending)
            raise still_pending(next(lying, questions[0].target.name))
        return [self._stored[question.place] for question in questions]

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

    def _has_all(self, questions: Sequence[Question]) -> bool:
        return all(question.place in self._stored for question in questions)

    def _submit(self, questions: Sequence[Question]) -> None:
        """Submit these with all that is planned; a failure is that of all who have no reply."""
        wanted = [*self._planned.values(), *questions]
        self._planned.clear()
        if self._failed is not None or all(question.id in self._pending for question in wanted):
            return
        try:
            with self._alone():
                self._send(wanted)
        except Exception as error:  # noqa: BLE001 - raised for each of those that have no reply
            self._failed = error
        self._look_again(wanted)

    def _look_again(self, wanted: Sequence[Question]) -> None:
        """See what lies with a provider now, and what was found in the response cache, by whatever process."""
        self._pending = pending(self._store, self._run_id)
        if any(each.id not in self._pending and each.place not in self._stored for each in wanted):
            self._stored = self._store.stored_replies(self._run_id)

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
