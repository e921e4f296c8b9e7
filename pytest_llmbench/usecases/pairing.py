"""Which expected answer belongs to which file of data: by name, and never by a guess.

A name is a path below its folder without its ending. In the older page layout names need only begin alike
(`lecture-01-basics.txt`, `lecture-01-concepts.csv`); there the page says whether answers are CSV or JSON, too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from unicodedata import normalize

from pytest_llmbench.config.strict_yaml import shown
from pytest_llmbench.errors import UsageError, did_you_mean

_PACKED = ".gz"
_WORDS = re.compile(r"[^\W_]+", re.UNICODE)
_LISTED = 10


def name_of(file: Path, folder: Path) -> str:
    """The name that a file is paired by: `2024/invoice-7` of `data/2024/invoice-7.pdf`."""
    path = file.relative_to(folder)
    if path.suffix.lower() == _PACKED:
        path = path.with_suffix("")
    return normalize("NFC", path.with_suffix("").as_posix())  # macOS writes é as two characters


def by_name(names: Mapping[str, Path], truths: Mapping[Path, str], folder: Path) -> dict[str, Path]:
    """The expected answer of every name.

    Args:
        names: of the data → what stands at the beginning of errors (the file of the data).
        truths: file of the ground truth → its name.
        folder: of the ground truth.

    Raises:
        UsageError: a name has none or several, or an answer belongs to no data.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    for file, name in truths.items():
        found[name].append(file)
    for name, file in names.items():
        if name not in found:
            raise _missing(file, name, found, folder)
        _the_only(file, found[name])
    if unused := next((file for file, name in truths.items() if name not in names), None):
        near = did_you_mean(truths[unused], names)
        raise UsageError(
            f"{shown(unused)}:1: there is no data for this expected answer{near}",
            hint="an expected answer has the name of its data; take it away, or add the data",
        )
    return {name: found[name][0] for name in names}


def by_beginning(names: Mapping[str, Path], truths: Mapping[Path, str], folder: Path, kind: str) -> dict[str, Path]:
    """The expected answer of every name, where names need only begin alike.

    Args:
        names: of the data → its file.
        truths: file of the ground truth → its name.
        folder: of the ground truth.
        kind: `csv` or `json`: answers of another kind are further remarks, if there is one of this kind.

    Raises:
        UsageError: a name has none; or several that fit as well as each other, which are listed; or one fits two names.
    """
    of_kind = {file: name for file, name in truths.items() if file.suffix.lower() == f".{kind}"} or dict(truths)
    chosen: dict[str, Path] = {}
    for name, file in names.items():
        fitting = _fitting(name, of_kind)
        if not fitting:
            raise _missing(file, name, truths.values(), folder)
        chosen[name] = _the_only(file, fitting)
        if twin := next((other for other in names if other != name and chosen.get(other) == chosen[name]), None):
            raise UsageError(
                f"{shown(file)}:1: {_below(chosen[name])} fits {shown(names[twin])}, too",
                hint="give each file of data an expected answer whose name begins with the file's",
            )
    return chosen


def _fitting(name: str, truths: Mapping[Path, str]) -> list[Path]:
    """The answers whose names are this one, or share the most words of its beginning."""
    if same := [file for file, other in truths.items() if other == name]:
        return same
    shared = {file: _shared_words(name, other) for file, other in truths.items()}
    most = max(shared.values(), default=0)
    return [file for file, count in shared.items() if count == most] if most else []


def _shared_words(one: str, other: str) -> int:
    """How many words two names begin with alike; none where the first that differs is a number in both."""
    words, others = _WORDS.findall(one.casefold()), _WORDS.findall(other.casefold())
    count = 0
    for left, right in zip(words, others, strict=False):
        if left != right:
            return 0 if left.isdigit() and right.isdigit() else count
        count += 1
    return count


def _the_only(file: Path, fitting: Sequence[Path]) -> Path:
    if len(fitting) > 1:
        listed = ", ".join(map(_below, sorted(fitting)[:_LISTED]))
        raise UsageError(
            f"{shown(file)}:1: several expected answers fit: {listed}",
            hint="keep the one that is meant, or give it the name of the data",
        )
    return fitting[0]


def _missing(file: Path, name: str, known: Iterable[str], folder: Path) -> UsageError:
    return UsageError(
        f"{shown(file)}:1: there is no expected answer for it in {folder.name}/{did_you_mean(name, known)}",
        hint=f"add {folder.name}/{name} with the ending of what is expected: .json, .csv, .txt or .md",
    )


def _below(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"
