"""What was found out of models by trying, remembered for 30 days."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import platformdirs

from pytest_llmbench import clock
from pytest_llmbench.providers import kept
from pytest_llmbench.providers.facts import over
from pytest_llmbench.records import Capabilities, Target

KEPT_FOR = timedelta(days=30)
SOURCE = "probe"


class Findings:
    """What models were found to take.

    Args:
        folder: where they are kept; the user's cache folder where not given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or platformdirs.user_cache_path("pytest-llmbench") / "capabilities"
        self._found: dict[str, dict[str, bool]] = {}

    def of(self, target: Target) -> Mapping[str, bool]:
        """Capability → whether the model takes it, of what was tried."""
        place = _place(target)
        if place not in self._found:
            self._found[place] = _fresh(self._path(place))
        return self._found[place]

    def add(self, target: Target, feature: str, *, takes: bool) -> None:
        """Remember one; a file that cannot be written is none."""
        found = {**self.of(target), feature: takes}
        self._found[_place(target)] = found
        kept.write(self._path(_place(target)), {"at": clock.now().isoformat(), "takes": found})

    def laid_below(self, capabilities: Capabilities, target: Target) -> Capabilities:
        """The capabilities, and what was found out of those that nobody told."""
        takes = {name: value for name, value in self.of(target).items() if getattr(capabilities, name) is None}
        return over(capabilities, _capabilities(takes)) if takes else capabilities

    def _path(self, place: str) -> Path:
        return self._folder / f"{place}.json"


def _capabilities(takes: Mapping[str, bool]) -> Capabilities:
    return Capabilities.from_dict({**takes, "source": SOURCE})


def _place(target: Target) -> str:
    return hashlib.sha256(f"{target.format}\n{target.base_url}\n{target.model_id}".encode()).hexdigest()[:24]


def _fresh(path: Path) -> dict[str, bool]:
    data = kept.read(path)
    try:
        at = datetime.fromisoformat(data["at"])
        takes = {name: value for name, value in data["takes"].items() if isinstance(value, bool)}
        return takes if timedelta(0) <= clock.now() - at < KEPT_FOR else {}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
