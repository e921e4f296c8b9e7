"""What the asker's process has to know of the run. Keys are not among it: it finds them where the session does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pytest_llmbench import config as configuration
from pytest_llmbench.config import Resolved
from pytest_llmbench.option_kinds import as_text
from pytest_llmbench.records import Record

_PATHS = ("results_dir", "record", "replay")


@dataclass(frozen=True, slots=True)
class Orders(Record):
    """Told on the standard input of the process."""

    run_id: str
    controller_pid: int
    """The process with which everything ends."""
    rootdir: str
    choices: Mapping[str, str] = field(default_factory=dict)
    """Option → its value as it would be typed; paths are absolute."""
    resuming: bool = False
    """Whether earlier processes of the run may have stored replies."""
    command: Sequence[str] = ()
    """What was typed …"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """… and what was chosen, for the header of the run: whoever opens the database first writes that."""
    known: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the machine beside it, for that header."""

    @classmethod
    def of(cls, resolved: Resolved, run_id: str, controller_pid: int, *, resuming: bool) -> Self:
        """The orders of a session.

        Args:
            resolved: settings and configuration.
            run_id: the run.
            controller_pid: the process with which everything ends.
            resuming: whether earlier sessions of the run may have stored replies.
        """
        origins = resolved.origins
        given = {name: origin for name, origin in origins.items() if origin.source != "default"}
        choices = {name: as_text(origin.value) for name, origin in given.items()}
        for name in _PATHS:
            if name in choices or name == "results_dir":
                choices[name] = str(configuration.anchored(origins[name], resolved.rootdir))
        if resolved.config_path is not None:
            choices["config"] = str(resolved.config_path.absolute())
        return cls(run_id, controller_pid, str(resolved.rootdir), choices, resuming)

    def resolved(self) -> Resolved:
        """Settings and configuration as the session has them.

        Raises:
            ConfigError: llmbench.yaml has changed since, and is not valid now.
        """
        return configuration.resolve(dict(self.choices), {}, {}, Path(self.rootdir))

    @property
    def log_path(self) -> Path:
        """Where the process writes what goes wrong."""
        return Path(self.choices["results_dir"]) / "logs" / self.run_id / "asker.log"
