"""What one pytest session shares in one process: settings, run, store, models, machine lock, supervisor.

Everything is made, and imported, at first use: a session which asks for nothing costs nothing, and what each of
xdist's workers would import without need delays the first answer of all. Under pytest-xdist every worker has a session
of its own; the database, the machine lock and the supervisor join them.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmbench.asker.probing import Probes
from pytest_llmbench.asker.question import Asker, Status
from pytest_llmbench.bookings import Bookings
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.config import Resolved
from pytest_llmbench.contexts import Identity, TestContext
from pytest_llmbench.datasets import Datasets
from pytest_llmbench.errors import UsageError
from pytest_llmbench.grants import Grants
from pytest_llmbench.http import Deadlines
from pytest_llmbench.local_models import LocalModels, stop_servers, supervisor_of
from pytest_llmbench.once import Once
from pytest_llmbench.providers.keys import register_configured
from pytest_llmbench.providers.targets import Providers
from pytest_llmbench.records import Host, ServerSpec, Target, TestResult
from pytest_llmbench.routing.routing import Routing

if TYPE_CHECKING:
    from pytest_llmbench.asker.remote import Watch
    from pytest_llmbench.bench import Book
    from pytest_llmbench.cache.local_replies import LocalReplies
    from pytest_llmbench.cache.response_cache import ResponseCache
    from pytest_llmbench.observe.observer import Observer
    from pytest_llmbench.servers.claims import Supervisor
    from pytest_llmbench.servers.machine import MachineLock
    from pytest_llmbench.store import Store


DATABASE = "results.db"
"""The file name of what pytest sessions are kept in."""


class Session:
    """One process's share of a run.

    Args:
        resolved: settings and configuration.
        identity: the run.
        say: tells the user something now, whatever pytest captures: why it waits.
        is_worker: whether this is an xdist worker.
        database: the file name of what the run is kept in.
        process_name: what logs call this process; empty: by what it does for a pytest session.
    """

    def __init__(
        self,
        resolved: Resolved,
        identity: Identity,
        say: Callable[[str], None],
        *,
        is_worker: bool = False,
        database: str = DATABASE,
        process_name: str = "",
    ) -> None:
        register_configured(resolved, os.environ)
        self.resolved = resolved
        self.settings = resolved.settings
        self.config = resolved.config
        self._be(identity)
        self.context: TestContext | None = None
        self.bookings = Bookings(lambda: self.book, self.asking, lambda: self.identity.source, self._local_replies)
        self.datasets = Datasets()
        self.routing = Routing(self)
        self.asks = False
        """Whether a test of this session uses an API model."""
        self._is_worker = is_worker
        self.say = say
        self.grants = Grants(
            lambda: self.machine,
            lambda: self.supervisor,
            lambda: self.asker if self.asks else None,
            say,
            timeout_s=self.settings.lock_timeout_s,
        )
        self.database = database
        self.process_name = process_name
        self._measured: Counter[str] = Counter()
        self._unsaid: deque[str] = deque()
        """What observers tell, in threads in which nothing can be said."""

    @property
    def run_id(self) -> str:
        return self.identity.run_id

    @property
    def rejudges(self) -> bool:
        """Whether models under test are asked nothing: what they said stands in an earlier run."""
        return bool(self.identity.source)

    @property
    def folder(self) -> Path:
        """Where results, logs and reports are kept."""
        return self.resolved.results_dir

    @Once
    def store(self) -> Store:
        from pytest_llmbench import run_store

        path = self.folder / self.database
        if self.identity.resuming:
            return run_store.reopened(path, self.resolved, self.run_id, with_cells=not self._is_worker)
        return run_store.begun(path, self.resolved, self.identity, lambda: self.host, self.say)

    @property
    def has_store(self) -> bool:
        """Whether the database was opened: this session did something."""
        return "store" in self.__dict__

    @Once
    def host(self) -> Host:
        from pytest_llmbench.servers import host

        return host.describe()

    @Once
    def machine(self) -> MachineLock:
        from pytest_llmbench.servers.machine import MachineLock

        return MachineLock()

    @property
    def meeting_place(self) -> Path:
        """Where the processes of this run meet."""
        return Path(self.identity.folder)

    @Once
    def supervisor(self) -> Supervisor:
        return supervisor_of(self.resolved, self.identity, lambda: self.store.servers_measured(self.host.fingerprint))

    @cached_property
    def deadlines(self) -> Deadlines:
        s = self.settings
        return Deadlines(s.connect_timeout_s, s.ttft_timeout_s, s.idle_timeout_s, s.total_timeout_s)

    @property
    def book(self) -> Book:
        from pytest_llmbench.bench import Book

        return Book(
            self.store,
            self.run_id,
            self.host.fingerprint,
            self.settings.keep_prompts,
            self.identity.resuming,
            memory_bytes=self.host.container_memory_bytes or self.host.memory_bytes,
            retakes=self.settings.retakes,
            monitor_interval_s=self.settings.monitor_interval_s,
            say=self.say,
        )

    @cached_property
    def client_error(self) -> Mapping[str, Any]:
        """How far our client is off on a stream of known timing, read once a session; empty where not wanted."""
        from pytest_llmbench.calibration import calibrate

        return calibrate().as_dict() if self.settings.calibrate else {}

    @cached_property
    def anchor_s(self) -> float | None:
        """How long a fixed piece of work takes on this machine now, timed once a session; None where not wanted."""
        from pytest_llmbench.anchor import anchor

        return anchor() if self.settings.calibrate else None

    @Once
    def local(self) -> LocalModels:
        return LocalModels(self.resolved, lambda: self.host, self.providers.unknown, self.say)

    @Once
    def providers(self) -> Providers:
        return Providers(self.resolved)

    @Once
    def asker(self) -> Asker:
        """What API models are asked through; under xdist all workers share one, in a process of its own."""
        from pytest_llmbench.asker.choosing import Worker, asker_of

        who = self.identity
        told = self.meeting_place, who.controller_pid, who.command, self.resolved.told_of_machine
        worker = Worker(*told) if self._is_worker else None
        return asker_of(
            self.resolved,
            lambda: self.store,
            self.run_id,
            resuming=who.resuming,
            worker=worker,
            cache=lambda: self.cache,
            observer=lambda: self.observer,
        )

    @Once
    def cache(self) -> ResponseCache | None:
        """Where this process looks replies of earlier runs up; None: nowhere. Tells why, where one was asked for.

        Raises:
            UsageError: it is to be a Redis server, and the address or the extra is missing.
        """
        if self.settings.cache == "off":
            return None
        from pytest_llmbench.cache.opening import opened

        cache, why_not = opened(self.resolved, self.observer)
        if why_not and not self._is_worker:  # else it would be said as often as there are workers
            self.say(why_not)
        return cache

    def _local_replies(self) -> LocalReplies | None:
        if self.cache is None:
            return None
        from pytest_llmbench.cache.local_replies import LocalReplies

        return LocalReplies(self.cache, self.host.fingerprint)

    @Once
    def observer(self) -> Observer | None:
        """Told of every call that this process makes; None: nobody looks on."""
        from pytest_llmbench.observe.opening import opened

        usual = os.environ.get("PYTEST_XDIST_WORKER", "worker") if self._is_worker else "main"
        return opened(self.resolved, self.run_id, self.process_name or usual, self._unsaid.append)

    def collect(self) -> None:
        """On a run that goes on: fetch what has come of its batches, before anything is asked."""
        if self.identity.resuming and not (self.settings.replay or self.settings.dry_run):
            from pytest_llmbench.asker.batching import collect_batches

            cache, observer = lambda: self.cache, lambda: self.observer
            for said in collect_batches(self.resolved, self.store, self.run_id, cache=cache, observer=observer):
                self.say(said)

    def asking_status(self, *, elsewhere: bool) -> Callable[[], Status | None]:
        """What tells how asking goes here, or in the asker's process; None where nobody asks. Imports nothing later."""
        return self._watch.status if elsewhere else self.asker.status

    @cached_property
    def _watch(self) -> Watch:
        from pytest_llmbench.asker.remote import Watch

        return Watch(self.meeting_place)

    def is_remote(self, name: str) -> bool:
        """Whether a model of this name is asked of a provider or of a configured server; needs no key for that."""
        return self.providers.is_remote(name)

    def target(self, name: str) -> Target | None:
        """All that is needed to ask a remote model; None for a local model's name.

        Raises:
            UsageError: its key or address is missing.
        """
        return self.providers.target(name)

    @cached_property
    def _probes(self) -> Probes:
        return Probes(self.asker.get)

    def fit(self, target: Target, request: ChatRequest, role: str = "subject") -> Target:
        """The target, once what the request needs is known of it: tried where nobody tells, where anything is asked."""
        s = self.settings
        is_asked = not (s.replay or s.batch or s.dry_run or (self.rejudges and role == "subject"))
        return self._probes.known(target, request) if is_asked else target

    def grant(self, needs_machine: bool, specs: Callable[[], Sequence[ServerSpec]]) -> None:
        """Note that the test of the context starts, and get it the machine and its declared servers, all or nothing."""
        context = self.asking()
        context.taken.clear()  # a test that is run once more begins anew
        begun = self.run_id, context.nodeid, context.key, context.model
        if needs_machine:
            self.store.start_result(*begun)
            self.grants.begin(specs(), exclusive=context.exclusive)
        elif not self._is_worker:  # the controller notes what its workers begin: they may do without the database
            self.store.order_start(*begun)

    def end(self) -> None:
        """Let go of what `grant` and the test's fixtures were granted."""
        self.context = None
        self.grants.end()

    def measurement_owner(self) -> str:
        """Distinguishes measurements that a test makes for itself; "" for those of a shared fixture."""
        owner = self.context.owner() if self.context else ""
        if not owner:
            return ""
        self._measured[owner] += 1
        return f"{owner}#{self._measured[owner]}"

    def choose_run(self) -> None:
        """Become the stored run that is to go on, take over the replies of the one that is judged anew: as was typed.

        Raises:
            UsageError: there is no such run, or it cannot be used so.
        """
        from pytest_llmbench.earlier import chosen

        self._be(chosen(self.identity, self.folder / self.database, self.settings))

    def _be(self, identity: Identity) -> None:
        self.identity = identity
        if identity.source:
            self.resolved = self.resolved.with_value("rejudge", identity.source)
            self.settings = self.resolved.settings

    def known(self, nodeid: str) -> TestResult | None:
        """What this run knows of a test, which may be none of ours; asks without making a run or a file."""
        if self.has_store:
            return self.store.find_result(self.run_id, nodeid)
        from pytest_llmbench.earlier import stored_result

        return stored_result(self.folder / self.database, self.run_id, nodeid)

    def end_asking(self) -> None:
        """Break off what is under way; what was complete is stored. On the controller: for all its workers.

        Tells what had to be changed in requests for models that do not take it.
        """
        from pytest_llmbench.asker import reaching

        notes: list[str] = []
        if "asker" in self.__dict__:
            self.asker.close()
            notes += getattr(self.asker, "notes", ())
        if "_watch" in self.__dict__:
            self._watch.close()
        if not self._is_worker:
            notes += reaching.end(self.meeting_place)
        if (cache := self.__dict__.get("cache")) is not None:
            notes += cache.notes
        self.flush_log()
        notes += self._taken_unsaid()
        for note in dict.fromkeys(notes):
            self.say(note)

    def flush_log(self) -> None:
        """Have written what this process's log was told."""
        if (observer := self.__dict__.get("observer")) is not None:
            observer.flush()

    def _taken_unsaid(self) -> list[str]:
        return [self._unsaid.popleft() for _ in range(len(self._unsaid))]

    def stop_servers(self) -> None:
        """Stop every server of this run, and the supervisor with them, where this is its controller."""
        stop_servers(self.identity, lambda: self.supervisor, self.folder / "logs")

    def close(self) -> None:
        """Free what this process holds; servers stop with the controller."""
        for opened in ("asker", "supervisor", "cache", "observer"):
            if (made := self.__dict__.get(opened)) is not None:
                made.close()
        for told in self._taken_unsaid():
            self.say(told)
        if self.has_store:
            self.store.close()

    def asking(self) -> TestContext:
        """The test on whose behalf something is asked for.

        Raises:
            UsageError: none of ours runs, so there is nobody to book it on, and nobody holds the machine for it.
        """
        if self.context is None:
            raise UsageError(
                "a model or server was asked for outside a test of ours",
                hint="name the fixture in the arguments of the test, instead of asking for it by getfixturevalue",
            )
        return self.context
