"""Cassettes: recorded replies given instead of asking, for runs without keys and without a network.

Where one question has several replies, each test gets those that were recorded for it; a test that the cassette does
not know gets the first that nobody had. A miss is an error and never a call.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

from pytest_llmbench.asker import cassette_file
from pytest_llmbench.asker.cassette_file import DECIDING, Entry, Place
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.recording import Recording
from pytest_llmbench.config import Resolved, anchored
from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import Category, InfraError, UsageError
from pytest_llmbench.records import Reply


class Cassette:
    """Recorded replies, to be given instead of asking. Usable from several threads.

    Args:
        path: a file that `Recording` wrote.

    Raises:
        UsageError: it cannot be read, or is no cassette; file and line are named.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._entries: defaultdict[str, dict[Place, Entry]] = defaultdict(dict)
        self._given: defaultdict[str, set[Place]] = defaultdict(set)
        for entry in cassette_file.read(path):
            # The last one of a place stands: recording again into the same file renews it.
            self._entries[entry.key].pop(entry.place, None)
            self._entries[entry.key][entry.place] = entry

    def holds(self, question: Question) -> bool:
        """Whether anything was recorded for this question."""
        return cassette_file.key_of(question) in self._entries

    def reply(self, question: Question) -> Reply:
        """The recorded reply; each is given once, but to whom it was recorded for.

        Raises:
            InfraError: there is none (left).
        """
        key, place = cassette_file.key_of(question), cassette_file.place_of(question)
        with self._lock:
            recorded, given = self._entries.get(key, {}), self._given[key]
            taken = place if place in recorded else next((each for each in recorded if each not in given), None)
            if taken is None:
                raise self._miss(question, len(recorded))
            given.add(taken)
        told = recorded[taken].reply
        return dataclasses.replace(told, request_hash=question.request_hash, role=question.role)

    def _miss(self, question: Question, recorded: int) -> InfraError:
        why = f"its {recorded} to this request were given already" if recorded else self._nearest(question)
        asked = terminal_safe(_last_text(question), keep="")
        return InfraError(
            f"the cassette {self._path} holds no reply of {question.target.name} to {asked[:120]!r}: {why}",
            category=Category.CASSETTE_MISS,
            hint=f"run the test once with --record {self._path} and the provider's key instead of --replay",
        )

    def _nearest(self, question: Question) -> str:
        """What differs from the entry that is most alike."""
        prompt = cassette_file.prompt_of(question)
        alike = [entry for recorded in self._entries.values() for entry in recorded.values() if entry.prompt == prompt]
        if not alike:
            return "nothing was recorded for these messages"
        of_model = [entry for entry in alike if entry.model == question.target.name]
        if not of_model:
            return f"these messages were recorded for {', '.join(sorted({entry.model for entry in alike})[:3])}"
        wanted, held = cassette_file.deciding_of(question), of_model[0].deciding
        differing = [name for name in DECIDING if wanted.get(name) != held.get(name)]
        told = ", ".join(f"{name} {held.get(name)!r}, not {wanted.get(name)!r}" for name in differing)
        return terminal_safe(f"these messages were recorded with {told}", keep="")[:400]


def opened(resolved: Resolved) -> tuple[Cassette | None, Recording | None]:
    """What `--replay` and `--record` ask for.

    Raises:
        UsageError: both are wanted, or the file is not as it must be.
    """
    settings = resolved.settings
    if settings.replay and settings.record:
        raise UsageError(
            "--record and --replay at once: what is replayed is not asked, so there is nothing to record",
            hint=f"replay is set by {resolved.origins['replay'].source}; pass one of them",
        )
    if settings.record:
        return None, Recording(_path_of(resolved, "record"), keep_prompts=settings.keep_prompts)
    return replayed(resolved), None


def replayed(resolved: Resolved) -> Cassette | None:
    """The cassette of `--replay`; None where nothing is replayed.

    Raises:
        UsageError: the file is not as it must be.
    """
    if not resolved.settings.replay:
        return None
    path = _path_of(resolved, "replay")
    if not path.is_file():
        raise UsageError(f"there is no cassette {path}", hint=f"--record {resolved.settings.replay} makes it")
    return Cassette(path)


def check(resolved: Resolved) -> None:
    """Tell before any test runs what stands in the way of `--replay` or `--record`.

    Raises:
        UsageError: as for `opened`.
    """
    _, recording = opened(resolved)
    if recording is not None:
        recording.close()


def _path_of(resolved: Resolved, option: str) -> Path:
    return anchored(resolved.origins[option], resolved.rootdir)


def _last_text(question: Question) -> str:
    """The end of what was asked, by which a reader knows it."""
    content: Any = question.request.messages[-1].get("content") if question.request.messages else ""
    return content if isinstance(content, str) else str(content)
