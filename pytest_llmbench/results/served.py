"""Which model answered, as providers tell: whether it was the one that was asked, and one and the same all the time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_llmbench.records import Run

_MARK = re.compile(r"[-@_:](?:20\d{2}-?\d{2}-?\d{2}|\d{6}|\d{4}|\d{3}|0|v\d+(?::\d+)?|latest|preview|exp|free|online)$")
"""What providers put behind a name to say which version of it answered, or how."""
_NEWEST = "-latest", ":latest", "-preview"
"""How names end that stand for another model from time to time: told is only where it changes within a run."""
_REMOTE = re.compile(r"[A-Za-z0-9][\w.-]*/")
_FREE_NAMES = frozenset({"azure"})
"""Providers whose models bear names that their customers give them."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Served:
    """One model as it was asked for, and what answered."""

    model: str
    """As users name it."""
    role: str
    """`subject`, `judge` or `chat`."""
    by: Mapping[str, int]
    """Model that answered, by the provider's word → replies; the most frequent first."""

    @property
    def changed(self) -> bool:
        """Whether several did: then its results are those of several models."""
        return len(self.by) > 1

    @property
    def others(self) -> Mapping[str, int]:
        """Those that are not what was asked for, as far as names tell."""
        return {name: count for name, count in self.by.items() if not is_same(self.model, name)}

    @property
    def is_loud(self) -> bool:
        """Whether results of a model under test are in doubt."""
        return self.role == "subject" and (self.changed or bool(self.others))


def served(run: Run) -> tuple[Served, ...]:
    """What is to be known of who answered; those alone with which something is not as it should be."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for reply in run.replies:
        if reply.served_model and reply.role != "probe" and _is_remote(reply.model):
            found.setdefault((reply.role, reply.model), Counter())[reply.served_model] += 1
    all_of = [Served(model, role, dict(by.most_common())) for (role, model), by in found.items()]
    return tuple(sorted((each for each in all_of if each.changed or each.others), key=lambda each: not each.is_loud))


def is_same(asked: str, answered: str) -> bool:
    """Whether what answered is what was asked for, but for the usual mark of a version. Of a name that stands for
    whatever is the newest (`-latest`, `-preview`) names tell nothing.

    Args:
        asked: a model as users name it; one of this machine is known by its file, whatever its server calls it.
        answered: by the provider's word.
    """
    provider, _, name = asked.partition("/")
    if provider in _FREE_NAMES or not _is_remote(asked):
        return True
    wanted, got = (each.lower().rpartition("/")[2] for each in (name, answered))
    if wanted == got or got.endswith(".gguf") or wanted.endswith(_NEWEST):
        return True
    bare = _MARK.sub("", wanted)
    return _MARK.sub("", got) in {wanted, bare} and (bare == wanted or _is_moving(wanted))


def served_words(each: Served) -> str:
    """`lab/m was answered by two different models: …`."""
    told = [f"{name} ({count:,} {'reply' if count == 1 else 'replies'})" for name, count in each.by.items()]
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    names = f"{', '.join(told[:_SHOWN])}{more}"
    who = each.model if each.role == "subject" else f"{each.model}, as a {each.role},"
    if each.changed:
        number = "two" if len(told) == 2 else f"{len(told)}"
        mixed = ": its results are of several models, and say nothing of one" if each.role == "subject" else ""
        return f"{who} was answered by {number} different models: {names}{mixed}"
    return f"{who} was answered by {names}, says the provider: is that the model that was meant?"


def cautions(run: Run) -> Iterator[str]:
    """A sentence about each model that was answered by another, or by several."""
    yield from map(served_words, served(run))


def _is_remote(name: str) -> bool:
    """Whether a name is `provider/model`, and no model of this machine."""
    return _REMOTE.match(name) is not None and not name.endswith(".gguf")


def _is_moving(name: str) -> bool:
    """Whether the name itself says that its version changes: `-0` is the newest of a generation."""
    return name.endswith(("-0", ":free", ":online"))
