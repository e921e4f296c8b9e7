"""Which baseline a user means."""

from __future__ import annotations

from pathlib import Path

from pytest_llmbench.config import Resolved
from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.results.baseline import Baseline
from pytest_llmbench.results.baseline_choice import NO_BRANCH, all_of, folder_of
from pytest_llmbench.results.baseline_file import read


def named(resolved: Resolved, word: str) -> tuple[Path, Baseline]:
    """The baseline that a user means: by its file, its id or the beginning of it, or its branch.

    Raises:
        UsageError: none is, or several are.
        ConfigError: its file cannot be used.
    """
    if Path(word).is_file():
        return Path(word), read(Path(word))
    kept = [(path, each) for path, each in all_of(folder_of(resolved)) if isinstance(each, Baseline)]
    fitting = [(path, each) for path, each in kept if word in {each.branch or NO_BRANCH, each.id}]
    fitting = fitting or [(path, each) for path, each in kept if len(word) >= 4 and each.id.startswith(word)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        ids = ", ".join(f"{each.id} ({each.machine.name})" for _, each in fitting)
        raise UsageError(f"{word!r} means {len(fitting)} baselines: {ids}", hint="name one by its id")
    known = [name for _, each in kept for name in (each.branch or NO_BRANCH, each.id)]
    raise UsageError(
        f"there is no baseline {word!r}{did_you_mean(word, known)}", hint="`llmbench baseline list` shows all"
    )
