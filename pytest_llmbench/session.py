"""What one pytest session shares in one process: settings, run, store, models, machine lock, supervisor.

Everything is made at first use, so that a session which asks for nothing costs nothing. Under pytest-xdist every worker
has a session of its own; the database, the machine lock and the supervisor join them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_llmbench import clock, redaction
from pytest_llmbench.bench import Book, failed_attempt
from pytest_llmbench.calibration import calibrate
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.config import Resolved, ServerDef
from pytest_llmbench.environment import environment
from pytest_llmbench.errors import ServerError, UsageError
from pytest_llmbench.http import Deadlines
from pytest_llmbench.models.model_store import ModelStore, default_folder
from pytest_llmbench.records import Host, ModelFile, Record, Reply, Run, ServerInfo, ServerSpec, TestResult
from pytest_llmbench.secret import NO_KEY, Secret
from pytest_llmbench.servers import host
from pytest_llmbench.servers.claims import Supervisor
from pytest_llmbench.servers.logs import forget_old_runs
from pytest_llmbench.servers.machine import MachineLock
from pytest_llmbench.servers.memory_learned import learned
from pytest_llmbench.store import Store


@dataclass(frozen=True, slots=True)
class Identity(Record):
    """Which run this is, handed from the controller to xdist's workers."""

    run_id: str
    controller_pid: int
    nonce: str = ""
    """What nobody can guess of the name of the folder in which the run's processes meet."""
    command: Sequence[str] = ()
    resuming: bool = False


@dataclass(slots=True)
class TestContext:
    """The test that runs now, and what it asked for."""

    __test__ = False

    nodeid: str
    key: str
    model: str = ""
    exclusive: bool = False
    asked: frozenset[str] = frozenset()
    """The fixtures of ours that it gets, itself or through others."""
    measurement_ids: list[str] = field(default_factory=list)
    reply_ids: list[str] = field(default_factory=list)
    owners: list[tuple[str, str]] = field(default_factory=list)
    """(scope, name) of the fixtures being set up, outermost first."""

    def owner(self) -> str:
        """Who asks now: "" for a fixture that several tests share, else this test."""
        return "" if self.owners and self.owners[-1][0] != "function" else self.key

    def asker(self) -> str:
        """The stable key under which replies asked for now are stored."""
        return self.owners[-1][1] if self.owners and self.owners[-1][0] != "function" else self.key


class Session:
    """One process's share of a run.

    Args:
        resolved: settings and configuration.
        identity: the run.
        say: tells the user why it waits.
    """

    def __init__(self, resolved: Resolved, identity: Identity, say: Callable[[str], None]) -> None:
        redaction.register_environment(os.environ)
        self.resolved = resolved
        self.settings = resolved.settings
        self.config = resolved.config
        self.identity = identity
        self.context: TestContext | None = None
        self._say = say
        self._measured: Counter[str] = Counter()
        self._asked: Counter[tuple[str, str]] = Counter()
        self._pending: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        self._claimed: list[ServerSpec] = []

    @property
    def run_id(self) -> str:
        return self.identity.run_id

    @property
    def folder(self) -> Path:
        """Where results, logs and reports are kept."""
        return self.resolved.results_dir

    @cached_property
    def store(self) -> Store:
        new = not self.folder.exists()
        store = Store.open(self.folder / "results.db")
        if new:
            (self.folder / ".gitignore").write_text("*\n")  # results are no part of the project
        if self.identity.resuming:
            store.reopen_run(self.run_id)
        else:
            store.ensure_run(self._new_run())
        return store

    @property
    def has_store(self) -> bool:
        """Whether the database was opened: this session did something."""
        return "store" in self.__dict__

    @cached_property
    def models(self) -> ModelStore:
        folder = self.resolved.models_dir or default_folder()
        return ModelStore(folder, self.config.models, offline=self.settings.offline, lock=self.resolved.lock_path)

    @cached_property
    def host(self) -> Host:
        return host.describe()

    @cached_property
    def machine(self) -> MachineLock:
        return MachineLock()

    @cached_property
    def supervisor(self) -> Supervisor:
        pid = self.identity.controller_pid
        forget_old_runs(self.folder / "logs")
        scratch = Path(tempfile.gettempdir()) / f"llmbench-{os.getuid()}-{pid}-{self.identity.nonce}"
        return Supervisor(
            scratch,
            pid,
            engine=self.settings.engine,
            binary=self.settings.llama_server,
            load_timeout_s=self.settings.load_timeout_s,
            log_folder=self.folder / "logs" / self.run_id,
            learned=lambda *build: learned(self.store.servers_measured(self.host.fingerprint), *build),
        )

    @cached_property
    def deadlines(self) -> Deadlines:
        s = self.settings
        return Deadlines(s.connect_timeout_s, s.ttft_timeout_s, s.idle_timeout_s, s.total_timeout_s)

    @property
    def book(self) -> Book:
        return Book(
            self.store,
            self.run_id,
            self.host.fingerprint,
            self.settings.keep_prompts,
            self.identity.resuming,
            memory_bytes=self.host.container_memory_bytes or self.host.memory_bytes,
            retakes=self.settings.retakes,
            monitor_interval_s=self.settings.monitor_interval_s,
            say=self._say,
        )

    @cached_property
    def client_error(self) -> Mapping[str, Any]:
        """How far our client is off on a stream of known timing, read once a session; empty where not wanted."""
        return calibrate().as_dict() if self.settings.calibrate else {}

    def external(self, name: str) -> tuple[ServerDef, str] | None:
        """The configured server and served model of `server/model`; None for a local model's name."""
        server, _, served = name.partition("/")
        definition = self.config.servers.get(server)
        return (definition, served) if definition and served else None

    def checked_external(self, name: str) -> str | None:
        """The name, where it is `server/model` of a configured server whose key is at hand.

        Raises:
            UsageError: the key is not set.
        """
        found = self.external(name)
        if found is None:
            return None
        self.key_of(found[0])
        return name

    def key_of(self, definition: ServerDef) -> Secret:
        """The key of an external server, from the environment."""
        if not definition.key_env:
            return NO_KEY
        if not (key := Secret(os.environ.get(definition.key_env, ""))):
            raise UsageError(f"the server {definition.url} needs its key in ${definition.key_env}, which is not set")
        return key

    def spec(self, name: str, **choices: Any) -> ServerSpec:
        """The server for a local model: the run's settings, overridden by `choices`.

        Raises:
            UnknownModelError: nobody knows the name; near names are offered.
            ModelFileError: its file cannot be had.
            UsageError: a choice is no field of `ServerSpec`.
        """
        check_choices(choices)
        s = self.settings
        threads = s.threads or max(1, (self.host.physical_cores or 2) - 1)
        base = ServerSpec(self.model_file(name), s.context, threads, gpu_layers=s.gpu_layers, engine=s.engine)
        return with_choices(base, choices)

    def model_file(self, name: str) -> ModelFile:
        """The file of a local model, fetched where it is missing."""
        return self.models.ensure(self.local_name(name), announce=self._say)

    def local_name(self, name: str) -> str:
        """A local model's name as its store knows it.

        Raises:
            UnknownModelError: nobody knows it.
        """
        try:
            return self.models.check_name(name)
        except UsageError as error:
            if "/" in name and self.config.servers:
                error.hint += f"; servers in llmbench.yaml: {', '.join(self.config.servers)}"
            raise

    def grant(self, needs_machine: bool, specs: Callable[[], Sequence[ServerSpec]]) -> None:
        """Note that the test of the context starts, and get it the machine and its declared servers, all or nothing."""
        context = self._asking()
        self.store.start_result(self.run_id, context.nodeid, context.key)
        if not needs_machine:
            return
        wanted = specs()
        self.machine.acquire(exclusive=context.exclusive, timeout_s=self.settings.lock_timeout_s, on_wait=self._say)
        if wanted:
            self.supervisor.claim(wanted, wait=True)
            self._claimed += wanted

    def end(self) -> None:
        """Let go of what `grant` and the test's fixtures were granted."""
        self.context = None
        try:
            if self._claimed:
                self.supervisor.release(self._claimed)
        finally:
            self._claimed = []
            if self.machine.held:
                self.machine.release()

    def served(self, spec: ServerSpec) -> ServerInfo:
        """The running server of `spec`, started where needed; it stays this test's until the test ends."""
        self._asking()
        info = self.supervisor.claim([spec], wait=False)[0]
        self._claimed.append(spec)
        return info

    def let_go(self, spec: ServerSpec) -> None:
        """End this test's claims on a server before the test ends: it stays loaded until its room is needed."""
        ours = [claimed for claimed in self._claimed if claimed == spec]
        self._claimed = [claimed for claimed in self._claimed if claimed != spec]
        if ours:
            self.supervisor.release(ours)

    def require_exclusive(self) -> None:
        """Refuse to measure while others may use the machine."""
        if not self._asking().exclusive:
            raise UsageError(
                "`bench` was asked for without the machine",
                hint="name `bench` in the test's or fixture's arguments, or mark the test with pytest.mark.exclusive",
            )

    def measurement_owner(self) -> str:
        """Distinguishes measurements that a test makes for itself; "" for those of a shared fixture."""
        owner = self.context.owner() if self.context else ""
        if not owner:
            return ""
        self._measured[owner] += 1
        return f"{owner}#{self._measured[owner]}"

    def recall(self, request: ChatRequest, subject: Mapping[str, Any]) -> Reply | None:
        """On `--resume`, the stored reply to this request of this test, if there is one."""
        place = self._place(request, subject)
        ordinal = self._asked[place]
        self._asked[place] += 1
        if self.identity.resuming:
            reply = self.store.find_reply(self.run_id, *place, ordinal)
            if reply is not None and _is_whole(reply):
                self._note(reply)
                return reply
        self._pending[place].append(ordinal)
        return None

    def keep(self, request: ChatRequest, reply: Reply, subject: Mapping[str, Any]) -> Reply:
        """Store a reply the moment it completes."""
        place = self._place(request, subject)
        ordinal = self._pending[place].pop(0)
        stored = dataclasses.replace(reply, request_hash=place[1])
        shown = request.as_dict() if self.settings.keep_prompts else {}
        body = stored if self.settings.keep_prompts else dataclasses.replace(stored, text="", reasoning="", events=())
        kept = self.store.save_reply(self.run_id, place[0], ordinal, shown, body)
        self._note(kept)
        return dataclasses.replace(stored, id=kept.id)

    def keep_failed(self, request: ChatRequest, number: int, error: ServerError, subject: Mapping[str, Any]) -> None:
        """Store an attempt whose server died, with what had come of the reply; the request is asked once more."""
        test_key, request_hash = self._place(request, subject)
        attempt = failed_attempt(error, request.model, request_hash, number, keep_text=self.settings.keep_prompts)
        self.store.save_failed_attempt(self.run_id, test_key, attempt)

    def resume(self, name: str) -> None:
        """Become the stored run of this id, prefix or "last".

        Raises:
            UsageError: there is no such run.
        """
        path = self.folder / "results.db"
        if not path.exists():
            raise UsageError(f"cannot resume {name!r}: {path} does not exist", hint="run without --resume first")
        store = Store.open(path)
        try:
            run_id = store.load_run(name).id
        finally:
            store.close()
        self.identity = dataclasses.replace(self.identity, run_id=run_id, resuming=True)

    def known(self, nodeid: str) -> TestResult | None:
        """What this run knows of a test, which may be none of ours; asks without making a run or a file."""
        if self.has_store:
            return self.store.find_result(self.run_id, nodeid)
        path = self.folder / "results.db"
        if not path.exists():
            return None
        with Store.open(path) as store:
            return store.find_result(self.run_id, nodeid)

    def stop_servers(self) -> None:
        """Stop every server of this run, and the supervisor with them."""
        if self.identity.controller_pid == os.getpid():
            self.supervisor.shutdown()

    def close(self) -> None:
        """Free what this process holds; servers stop with the controller."""
        if "supervisor" in self.__dict__:
            self.supervisor.close()
        if self.has_store:
            self.store.close()

    def _place(self, request: ChatRequest, subject: Mapping[str, Any]) -> tuple[str, str]:
        asker = self._asking().asker()
        content = request.hash() + repr(sorted(subject.items()))
        return asker, hashlib.sha256(content.encode()).hexdigest()

    def _asking(self) -> TestContext:
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

    def _note(self, reply: Reply) -> None:
        if self.context is not None:
            self.context.reply_ids.append(reply.id)

    def _new_run(self) -> Run:
        return Run(
            id=self.run_id,
            started_at=clock.now().isoformat(timespec="seconds"),
            finished_at=None,
            exit_code=None,
            host=self.host,
            environment=environment(self.resolved.rootdir, self.identity.command),
            settings={name: origin.value for name, origin in self.resolved.origins.items()},
        )


def check_choices(choices: Mapping[str, Any]) -> None:
    """Refuse what is no setting of a server, before its model is fetched."""
    allowed = {f.name for f in dataclasses.fields(ServerSpec)} - {"model"}
    if wrong := sorted(set(choices) - allowed):
        raise UsageError(f"a server has no setting {wrong[0]!r}", hint=f"it has {', '.join(sorted(allowed))}")


def with_choices(spec: ServerSpec, choices: Mapping[str, Any]) -> ServerSpec:
    """The same server, with these settings.

    Raises:
        UsageError: a choice is no field of `ServerSpec`.
    """
    check_choices(choices)
    extra = {"extra_args": tuple(choices["extra_args"])} if "extra_args" in choices else {}
    return dataclasses.replace(spec, **{**choices, **extra})


def _is_whole(reply: Reply) -> bool:
    """Whether the reply's text was kept with its numbers; without it a test cannot be given it again."""
    return bool(reply.text or reply.reasoning) or reply.usage.completion_tokens in {None, 0}
