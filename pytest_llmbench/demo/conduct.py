"""How the provider behaves towards a request: its speed, and which fault it shows.

Three places tell, the later before the earlier: the server's flags, the model's name (`echo+stall+times=1`), and an
object `demo` in the request's body (`{"fault": "stall", "times": 1}`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pytest_llmbench.demo.faults import FAULTS
from pytest_llmbench.errors import UsageError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """Every trait with its value where nobody tells otherwise."""

    latency_s: float = 0.0
    """Seconds to the first token."""
    jitter_s: float = 0.0
    """Up to so many seconds more, drawn by the request's text."""
    itl_s: float = 0.0
    """Seconds between tokens."""
    tokens: int = 0
    """Tokens of an answer of `echo` or `long`; 0: their own number."""
    accuracy: float = 1.0
    """Share of the questions that are answered rightly, drawn by the question's text."""
    fault: str = ""
    """What goes wrong: one of `FAULTS`."""
    share: float = 1.0
    """Share of the attempts at which it goes wrong, drawn by the request's text and the attempt."""
    times: int = 0
    """Only the first so many attempts at a question go wrong; 0: all."""
    retry_after_s: float | None = None
    """What `Retry-After` tells where the fault has it; without it, nothing."""
    delay_s: float = 30.0
    """How late slow headers are."""
    size_mb: int = 100
    """How large huge bodies are."""


def trait(name: str, value: Any) -> Any:
    """A trait's value, checked.

    Raises:
        UsageError: no such trait, or it cannot have this value.
    """
    if name not in _READ:
        near = did_you_mean(name, _READ)
        raise UsageError(f"the demo provider has no trait {name!r}{near}", hint=f"traits: {', '.join(_READ)}")
    try:
        return _READ[name](value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}={value!r}: {error}") from error


def traits_in_name(model: str) -> tuple[str, dict[str, Any]]:
    """A model's name taken apart: who answers, and the traits behind its plus signs.

    Raises:
        UsageError: see `trait`.
    """
    who, *told = model.split("+")
    traits: dict[str, Any] = {}
    for each in told:
        name, given, text = each.partition("=")
        traits |= {name: trait(name, text)} if given else {"fault": trait("fault", name)}
    return who, traits


def traits_in_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """The traits that a request asks for.

    Raises:
        UsageError: see `trait`.
    """
    asked = body.get("demo") or {}
    if not isinstance(asked, dict):
        raise UsageError(f"`demo` in a request's body is an object of traits, not {asked!r}")
    return {name: trait(name, value) for name, value in asked.items()}


def _seconds(value: Any) -> float:
    seconds = float(value)
    if math.isnan(seconds) or seconds < 0:
        raise ValueError("seconds from 0 on")
    return seconds


def _share(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError("a share from 0 to 1")
    return share


def _count(value: Any) -> int:
    count = int(value)
    if count < 0:
        raise ValueError("a whole number from 0 on")
    return count


def _fault(value: Any) -> str:
    if value and value not in FAULTS:
        raise ValueError(f"no such fault{did_you_mean(str(value), FAULTS)}; there are {', '.join(FAULTS)}")
    return str(value)


_BY_TYPE: Mapping[str, Callable[[Any], Any]] = {"float": _seconds, "float | None": _seconds, "int": _count}
_READ: Mapping[str, Callable[[Any], Any]] = {
    **{field.name: _BY_TYPE[str(field.type)] for field in fields(Conduct) if str(field.type) in _BY_TYPE},
    "accuracy": _share,
    "share": _share,
    "fault": _fault,
}
