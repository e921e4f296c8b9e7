"""What became of a use case's prompt: its versions, and the results that each was followed by.

Two files of JSON lines in the results folder, `prompts/NAME/versions.jsonl` and `results.jsonl`: only ever added to, a
line at a time, under a lock. A line that a killed process left unfinished is passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from pytest_llmbench import clock
from pytest_llmbench.config.fields import NAME
from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.prompts.prompt import Prompt
from pytest_llmbench.records import MalformedRecordError, Record

_VERSIONS, _RESULTS = "versions.jsonl", "results.jsonl"


@dataclass(frozen=True, slots=True)
class Version(Record):
    """A prompt as it once was."""

    version: str
    at: str
    """When it was first asked; ISO 8601, UTC."""
    content: Mapping[str, Any]
    """As `Prompt.content` tells it."""


@dataclass(frozen=True, slots=True)
class Result(Record):
    """How a model did in one run, asked by one variant."""

    run: str
    model: str
    mode: str
    variant: str
    version: str
    """Of the prompt as this model was asked it: `Label.version`."""
    whole: str
    """Of the use case's prompt with all its variants: `Prompt.version`."""
    n: int
    """How many samples were scored."""
    mean: float
    """Their mean score, 0 to 1."""
    at: str = ""
    """ISO 8601, UTC."""


Entry = TypeVar("Entry", Version, Result)


class History:
    """The past of one use case's prompt.

    Args:
        results_dir: where results are kept.
        name: of the use case.
    """

    def __init__(self, results_dir: Path, name: str) -> None:
        self._folder = results_dir / "prompts" / _folder_name(name)

    def record(self, prompt: Prompt, *, keep_content: bool = True) -> str:
        """Keep the prompt as it is now, once.

        Args:
            prompt: all of it, with its variants.
            keep_content: False where prompts are not stored: then the version is known by its name alone.

        Returns:
            Its version.
        """
        content = prompt.content() if keep_content else {}
        version = Version(prompt.version, clock.now().isoformat(), content)
        with self._locked(_VERSIONS) as path:
            if all(known.get("version") != version.version for known in _lines(path)):
                _add(path, [version])
        return version.version

    def record_results(self, results: Iterable[Result]) -> None:
        """Keep how models did; what a run says later of the same model and variant stands in place of what it said."""
        with self._locked(_RESULTS) as path:
            _add(path, results)

    def versions(self) -> list[Version]:
        """The versions, oldest first."""
        return list(self._read(_VERSIONS, Version))

    def results(self) -> list[Result]:
        """The results, oldest first."""
        latest = {(each.run, each.model, each.version): each for each in self._read(_RESULTS, Result)}
        return list(latest.values())

    def version(self, name: str) -> Version:
        """The version whose name begins so.

        Raises:
            UsageError: there is none, or more than one.
        """
        known = self.versions()
        found = [each for each in known if each.version.startswith(name)]
        if len(found) != 1:
            names = [each.version for each in known]
            what = "several versions begin" if found else "no version begins"
            raise UsageError(
                f"{what} with {name!r}{did_you_mean(name, names)}", hint=f"there are {', '.join(names) or 'none yet'}"
            )
        return found[0]

    @contextmanager
    def _locked(self, file: str) -> Iterator[Path]:
        from filelock import FileLock  # noqa: PLC0415  only a run that keeps something needs it

        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / f"{file}.lock"):
            yield self._folder / file

    def _read(self, file: str, kind: type[Entry]) -> Iterator[Entry]:
        for data in _lines(self._folder / file):
            try:
                yield kind.from_dict(data)
            except MalformedRecordError:  # of a version of ours that wrote another shape
                continue


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            data = json.loads(line)
        except ValueError:  # a process was killed while it wrote this line
            continue
        if isinstance(data, dict):
            yield data


def _add(path: Path, entries: Iterable[Record]) -> None:
    lines = "".join(json.dumps(entry.as_dict()) + "\n" for entry in entries)
    with path.open("ab+") as file:
        if file.tell() and not _ends_a_line(file):
            lines = "\n" + lines
        file.write(lines.encode())


def _ends_a_line(file: IO[bytes]) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _folder_name(name: str) -> str:
    """The use case's name, where that can be a folder's; else its hash."""
    if re.fullmatch(NAME, name, re.ASCII):
        return name
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
