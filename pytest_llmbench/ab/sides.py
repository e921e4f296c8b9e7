"""What was typed for A and B → two models of one session."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_llmbench.benching import refuse_beside_a_budget
from pytest_llmbench.errors import UsageError
from pytest_llmbench.servers.choices import check_choices
from pytest_llmbench.serving import LocalModel, ServedModel, open_model
from pytest_llmbench.session import Session

_SETTING = re.compile(r"(?:^|\s+)([a-z_]+)=(\S+)$")
_WHOLE = frozenset({"context", "threads", "slots", "gpu_layers", "batch", "ubatch"})


@dataclass(frozen=True, slots=True)
class Typed:
    """One side as it was typed."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of its server."""
    binary: str = ""
    """Its llama-server; empty: the session's."""

    @property
    def label(self) -> str:
        """The name with what was set: `smollm2-135m:Q4_1 threads=2`."""
        told = [f"{name}={' '.join(v) if isinstance(v, tuple) else v}" for name, v in self.settings.items()]
        return " ".join([self.name, *told, *([f"by {self.binary}"] if self.binary else [])])


def typed(text: str, *, binary: str = "", like: str = "") -> Typed:
    """`smollm2-135m:Q4_1 threads=2` → name and settings; settings alone are of the model `like`.

    Raises:
        UsageError: no name, no such setting, or a value that cannot be.
    """
    rest, settings = text.strip(), dict[str, Any]()
    while found := _SETTING.search(rest):
        settings[found[1]] = _value(found[1], found[2])
        rest = rest[: found.start()]
    if not (name := rest.strip() or like):
        raise UsageError(f"{text!r} names no model", hint="`llmbench ab smollm2-135m:Q4_1 smollm2-135m:Q8_0`")
    check_choices(settings)
    return Typed(name, dict(reversed(settings.items())), binary)


def labels(a: Typed, b: Typed) -> tuple[str, str]:
    """What readers call the two; told apart where they are one and the same."""
    return (a.label, b.label) if a.label != b.label else (f"{a.label} [A]", f"{b.label} [B]")


def opened(session: Session, side: Typed) -> ServedModel:
    """The model of a side.

    Raises:
        UsageError: nobody knows its name, or a server that is not ours is to have settings or a binary of ours.
    """
    if session.is_remote(side.name):
        if side.settings or side.binary:
            raise UsageError(
                f"{side.name} is served by somebody else: its settings cannot be chosen",
                hint="name a local model (name:QUANT), whose server we start",
            )
        model = open_model(session, side.name)
        refuse_beside_a_budget(session, model)
        return model
    return LocalModel(session, session.local.spec(side.name, **side.settings))


def with_binary(session: Session, binary: str, place: str) -> Session:
    """The same run, with servers of another binary in the charge of another supervisor.

    Args:
        session: this process's.
        binary: the llama-server.
        place: a name for where the processes of the other supervisor meet.
    """
    resolved = session.resolved.with_value("llama_server", binary).with_value("engine", "llama-server")
    identity = dataclasses.replace(session.identity, folder=f"{session.identity.folder}-{place}", resuming=True)
    other = Session(resolved, identity, session.say, process_name=place)  # its log is its own, and the run is told once
    other.context = session.context
    return other


def _value(name: str, text: str) -> Any:
    if name in _WHOLE:
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"{name} is a whole number, not {text!r}") from None
    return tuple(text.split(",")) if name == "extra_args" else text
