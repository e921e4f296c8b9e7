"""An asker made ready: keys, wire formats, kept connections, prices and the store joined to one dispatcher.

A session that runs in one process has it in that process; under xdist it lives in the asker's.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs
from sqlalchemy import Connection

from pytest_llmbench import http
from pytest_llmbench.asker import cassette
from pytest_llmbench.asker.batch_questions import pending, still_pending
from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.caps import caps_of
from pytest_llmbench.asker.fitting import fitted
from pytest_llmbench.asker.local import LocalAsker
from pytest_llmbench.asker.means import Means, OnHeaders, OnText
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.recording import Recording
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.asker.taken_over import TakenOver
from pytest_llmbench.cache.response_cache import ResponseCache
from pytest_llmbench.clients.formats import FORMATS
from pytest_llmbench.clients.request import Endpoint
from pytest_llmbench.config import Resolved
from pytest_llmbench.observe.calls import CURRENT
from pytest_llmbench.observe.observer import Observer
from pytest_llmbench.providers.table import DEMO_URL
from pytest_llmbench.providers.targets import Providers
from pytest_llmbench.records import FailedAttempt, LaneState, Reply, Target
from pytest_llmbench.store import Store, lane_states, replies


class OpenedAsker(LocalAsker):
    """An asker and what it has open.

    Args:
        means: how questions are sent and kept.
        rules: the choices.
        budget: None where nothing is capped.
        sender: what sends.
        recording: the cassette that is written, if one is.
    """

    def __init__(
        self, means: Means, rules: Rules, *, budget: Budget | None, sender: Sender, recording: Recording | None
    ) -> None:
        # Where sessions of one account meet, to share its limits.
        accounts = Path(platformdirs.user_state_dir("pytest-llmbench")) / "accounts"
        super().__init__(means, rules, budget=budget, accounts=accounts)
        self._sender = sender
        self._recording = recording
        self._observer = means.observer

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed in requests because a model does not take it, and how the cache fared, a sentence each."""
        return (*self._sender.notes, *self.dispatcher.notes)

    def close(self) -> None:
        super().close()
        if self._recording is not None:
            self._recording.close()
        if self._observer is not None:
            self._observer.flush()


def open_local(
    resolved: Resolved,
    store: Store,
    run_id: str,
    *,
    resuming: bool,
    cache: ResponseCache | None = None,
    observer: Observer | None = None,
) -> OpenedAsker:
    """The asker of a run.

    Args:
        resolved: settings and configuration.
        store: where replies are kept; it holds the run already.
        run_id: the run they belong to.
        resuming: whether earlier processes of the run may have stored replies: those are not asked again.
        cache: where replies are looked up and put; as the observer closed by whoever hands it in.
        observer: told of every call; who hands it in closes it.

    Raises:
        UsageError: the cassette cannot be read or written.
    """
    settings, sender = resolved.settings, Sender(resolved)
    replayed, recording = cassette.opened(resolved)
    keeper = Keeper(store, run_id, keep_prompts=settings.keep_prompts)
    means = Means(
        send=sender.send,
        keep=keeper.keep,
        keep_failed=keeper.keep_failed,
        recall=_recall(store, run_id) if resuming else None,
        take=TakenOver(store, settings.rejudge).reply if settings.rejudge else None,
        replay=replayed.reply if replayed else None,
        lane_states=keeper.keep_lanes,
        cache=cache,
        record=recording.add if recording else None,
        observer=observer,
        run_id=run_id,
    )
    budget = None if replayed else budget_of(resolved, store, run_id)
    return OpenedAsker(means, _rules(resolved), budget=budget, sender=sender, recording=recording)


def _recall(store: Store, run_id: str) -> Callable[[Question], Reply | None]:
    """What earlier processes of the run have asked; what they left under way is counted."""
    stored, lying = store.stored_replies(run_id), pending(store, run_id)
    store.close_spending(run_id, lying)

    def recall(question: Question) -> Reply | None:
        if question.id in lying:
            raise still_pending(lying[question.id])
        return stored.get(question.place)

    return recall


def _rules(resolved: Resolved) -> Rules:
    settings = resolved.settings
    return Rules(
        max_concurrency=settings.max_concurrency,
        attempts=settings.attempts,
        retry_budget=settings.retry_budget,
        outage_patience_s=settings.outage_patience_s,
        prefer=settings.prefer,
        keep_text=settings.keep_prompts,
    )


def budget_of(resolved: Resolved, store: Store, run_id: str) -> Budget | None:
    """What is left of the run's, where anything is capped."""
    caps = caps_of(resolved)
    if not caps:
        return None
    return Budget(caps, save=partial(store.order_spending, run_id), earlier=store.spent(run_id))


class Sender:
    """Asks once, over connections that are kept.

    Args:
        resolved: settings and configuration.
    """

    def __init__(self, resolved: Resolved) -> None:
        s = resolved.settings
        self._deadlines = http.Deadlines(s.connect_timeout_s, s.ttft_timeout_s, s.idle_timeout_s, s.total_timeout_s)
        self._providers = Providers(resolved)
        self._pool = http.Pool()
        self._endpoints: dict[str, Endpoint] = {}
        self.notes: dict[str, None] = {}
        """What had to give way in requests, each once."""

    async def send(self, question: Question, on_headers: OnHeaders, on_text: OnText | None) -> Reply:
        """The reply to a question, or the error of this attempt."""
        endpoint = self._endpoints.get(question.target.name)
        if endpoint is None:
            endpoint = await asyncio.to_thread(self.endpoint, question.target)
            self._endpoints[question.target.name] = endpoint
        request, notes = fitted(question.request, question.target)
        self.notes.update(dict.fromkeys(notes))
        chat = FORMATS[question.target.format]
        if (sent_along := CURRENT.get(None)) and (endpoint.is_local or question.target.trace):
            endpoint = dataclasses.replace(endpoint, headers={**endpoint.headers, **sent_along})
        return await chat(endpoint, request, self._deadlines, pool=self._pool, on_headers=on_headers, on_text=on_text)

    def endpoint(self, target: Target) -> Endpoint:
        """Where a target is asked, with its key; may take a while, so not for an event loop's thread.

        Raises:
            UsageError: its key is missing.
        """
        if target.base_url == DEMO_URL:
            from pytest_llmbench.demo import background  # noqa: PLC0415 - only those who use it pay for it

            target = dataclasses.replace(target, base_url=background())
        return Endpoint.of(target, self._providers.key(target))


class Keeper:
    """Stores what comes, without anybody waiting for the disk.

    Args:
        store: where to.
        run_id: the run it belongs to.
        keep_prompts: whether texts are kept beside their numbers.
    """

    def __init__(self, store: Store, run_id: str, *, keep_prompts: bool) -> None:
        self._store = store
        self._run_id = run_id
        self._keep_prompts = keep_prompts

    def keep(self, question: Question, reply: Reply) -> Future[Reply]:
        """The reply as it is stored, once it is committed."""
        whole = dataclasses.replace(reply, request_hash=question.request_hash)
        place = question.test_key, question.ordinal
        if self._keep_prompts:
            return self._store.keep_reply(self._run_id, *place, _shown(question), whole)
        bare = dataclasses.replace(whole, text="", reasoning="", tool_calls=(), events=())
        done: Future[Reply] = Future()
        done.set_running_or_notify_cancel()
        kept = self._store.keep_reply(self._run_id, *place, {}, bare)
        kept.add_done_callback(lambda stored: _pass_on(stored, whole, done))
        return done

    def keep_failed(self, question: Question, attempt: FailedAttempt) -> Future[None]:
        """Keep what is known of an attempt that failed."""
        return self._store.submit(_save_failed, (self._run_id, question.test_key, attempt))

    def keep_lanes(self, states: Sequence[LaneState]) -> None:
        """Keep how lines stand; nobody waits for it."""
        self._store.submit(lane_states.put_all, (self._run_id, tuple(states)), patient=True)


def _save_failed(connection: Connection, several: Sequence[tuple[str, str, FailedAttempt]]) -> Sequence[None]:
    for each in several:
        replies.save_failed(connection, *each)
    return [None] * len(several)


def _pass_on(stored: Future[Reply], whole: Reply, done: Future[Reply]) -> None:
    if (error := stored.exception()) is not None:
        done.set_exception(error)
    else:
        done.set_result(dataclasses.replace(whole, id=stored.result().id))


def _shown(question: Question) -> Mapping[str, Any]:
    request = question.request
    return {field.name: getattr(request, field.name) for field in dataclasses.fields(request)}
