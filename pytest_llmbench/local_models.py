"""Models of this machine, by the names that users write: their files, and the servers that shall serve them."""

# ruff: noqa: PLC0415 - sessions of API models never need what is imported late

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmbench.config import Resolved
from pytest_llmbench.config.server_schema import settings_of
from pytest_llmbench.contexts import Identity
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Host, ModelFile, ServerSpec
from pytest_llmbench.routing.route import refuse_subject
from pytest_llmbench.settings import DEFAULT

if TYPE_CHECKING:
    from pytest_llmbench.models.model_store import ModelStore
    from pytest_llmbench.servers.claims import Supervisor


_OPTIONS = frozenset({"context", "threads", "gpu_layers"})
"""Settings of a server that are options of a run, too."""


def server_settings(resolved: Resolved, name: str) -> dict[str, Any]:
    """What `server_settings:` of llmbench.yaml chooses for a model, less what was chosen outside of that file.

    Args:
        resolved: settings and configuration.
        name: `smollm2-135m:Q4_1`.
    """
    chosen = settings_of(name, resolved.config.server_settings)
    return {setting: value for setting, value in chosen.items() if not _is_chosen_outside(resolved, setting)}


def _is_chosen_outside(resolved: Resolved, setting: str) -> bool:
    """Whether flags, environment or ini decide it."""
    if setting not in _OPTIONS:
        return False
    source = resolved.origins[setting].source
    return source != DEFAULT and not source.startswith(f"{resolved.document.name}:")


def supervisor_of(
    resolved: Resolved,
    identity: Identity,
    measured: Callable[[], Sequence[tuple[Mapping[str, Any], Mapping[str, float]]]],
) -> Supervisor:
    """What starts and stops the servers of a run.

    Args:
        resolved: settings and configuration.
        identity: the run.
        measured: servers that were measured on this machine, and what they took, which foretells what others take.
    """
    from pytest_llmbench.servers.claims import Supervisor
    from pytest_llmbench.servers.logs import forget_old_runs
    from pytest_llmbench.servers.memory_learned import learned

    settings, logs = resolved.settings, resolved.results_dir / "logs"
    forget_old_runs(logs)
    return Supervisor(
        Path(identity.folder),
        identity.controller_pid,
        engine=settings.engine,
        binary=settings.llama_server,
        load_timeout_s=settings.load_timeout_s,
        log_folder=logs / identity.run_id,
        learned=lambda *build: learned(measured(), *build),
    )


def stop_servers(identity: Identity, supervisor: Callable[[], Supervisor], logs: Path) -> None:
    """Stop every server of a run, and the supervisor with them, where this process is its controller.

    Args:
        identity: the run.
        supervisor: gives what started them.
        logs: where the logs of all runs lie.
    """
    if identity.controller_pid != os.getpid():
        return
    if (place := Path(identity.folder)).exists():
        from pytest_llmbench.asker import meeting

        supervisor().shutdown()
        meeting.remove_traces(place)
    elif logs.exists():
        from pytest_llmbench.servers.logs import forget_old_runs

        forget_old_runs(logs)


class LocalModels:
    """What a session knows of them.

    Args:
        resolved: settings and configuration.
        host: tells what machine this is.
        unknown: name → what providers say to one that they do not know.
        say: tells the user of a download.
    """

    def __init__(
        self,
        resolved: Resolved,
        host: Callable[[], Host],
        unknown: Callable[[str], str],
        say: Callable[[str], None],
    ) -> None:
        self._resolved = resolved
        self._host = host
        self._unknown = unknown
        self._say = say

    @cached_property
    def store(self) -> ModelStore:
        """Where their files are kept."""
        from pytest_llmbench.models.model_store import ModelStore, default_folder

        resolved = self._resolved
        folder, offline = resolved.models_dir or default_folder(), resolved.settings.offline
        return ModelStore(folder, resolved.config.models, offline=offline, lock=resolved.lock_path)

    def spec(self, name: str, **choices: Any) -> ServerSpec:
        """The server for a model: the run's settings, overridden by what llmbench.yaml says of it and by `choices`.

        Raises:
            UnknownModelError: nobody knows the name; near names are offered.
            ModelFileError: its file cannot be had.
            UsageError: a choice is no field of `ServerSpec`.
        """
        from pytest_llmbench.servers.choices import check_choices, with_choices

        check_choices(choices)
        s = self._resolved.settings
        file = self.file(name)
        threads = s.threads or max(1, (self._host().physical_cores or 2) - 1)
        base = ServerSpec(file, s.context, threads, gpu_layers=s.gpu_layers, engine=s.engine)
        return with_choices(base, {**server_settings(self._resolved, file.name), **choices})

    def file(self, name: str) -> ModelFile:
        """A model's file, fetched where it is missing."""
        return self.store.ensure(self.known(name), announce=self._say)

    def known(self, name: str) -> str:
        """A model's name as the store knows it.

        Raises:
            UnknownModelError: nobody knows it.
            UsageError: it is a route.
        """
        refuse_subject(name)
        try:
            return self.store.check_name(name)
        except UsageError as error:
            if "/" in name:
                error.hint += f"; {self._unknown(name)}"
            raise
