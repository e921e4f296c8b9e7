"""A way to load a model, as a record of functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.bench.planned import Conclusion, Load, Timed
from pytest_llmbench.bench.stand import Stand
from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.records import Measurement


def _nothing(_: Any) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Profile:
    """A way to load a model, and how its numbers read."""

    name: str
    load: type[Load]
    drive: Callable[[Stand, Any], Iterator[Timed]]
    """(stand, load) → the missing repetitions, as they complete."""
    conclude: Callable[[Measurement, Sequence[Measurement]], Conclusion]
    """(the measurement but for its conclusion, the run's earlier ones of this profile) → what it says. No I/O."""
    rated: tuple[str, ...] = ()
    """The metrics that its grade comes from."""
    resumable: bool = True
    """Whether an interrupted measurement can be gone on with; else it begins anew and what it had is set aside."""
    needs: Callable[[Any], Mapping[str, Any]] = _nothing
    """What this load needs of a server at least: `{"context": 33000}`."""

    def given(self, choices: Mapping[str, Any]) -> dict[str, Any]:
        """The choices without each None that only leaves it to the default: it stays where it is a choice itself."""
        meant = {f.name for f in dataclasses.fields(self.load) if "None" in str(f.type)}
        return {name: value for name, value in choices.items() if value is not None or name in meant}

    def planned(self, choices: Mapping[str, Any]) -> Load:
        """The load of these choices; see `given` for what None means.

        Raises:
            UsageError: a choice that this profile does not know, or a value that cannot be.
        """
        known = [f.name for f in dataclasses.fields(self.load)]
        if wrong := sorted(choices.keys() - set(known)):
            raise UsageError(
                f"the profile {self.name} has no choice {wrong[0]!r}{did_you_mean(wrong[0], known)}",
                hint=f"it has {', '.join(known)}",
            )
        chosen = self.given(choices).items()
        return self.load(**{name: tuple(v) if isinstance(v, list) else v for name, v in chosen})
