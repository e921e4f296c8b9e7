"""Which baseline a run is compared with: that of its branch, of the branch it is to be merged into, of the main one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_llmbench.config import Resolved, anchored
from pytest_llmbench.config.strict_yaml import shown
from pytest_llmbench.errors import ConfigError, LlmbenchError, UsageError
from pytest_llmbench.records import Run
from pytest_llmbench.results.baseline import Baseline
from pytest_llmbench.results.baseline_file import read
from pytest_llmbench.results.machine_class import machine_class

NO_BRANCH = "no-branch"
"""The folder of runs outside of git, and of those that nobody knows a branch of."""
_MAIN = ("main", "master", "trunk")
AUTO, NONE = "auto", "none"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The baseline of a run, or why there is none."""

    baseline: Baseline | None
    why_none: str = ""
    """In words, with what to do; empty where there is one."""
    path: Path | None = None
    is_unusable: bool = False
    """Whether the file was changed, cannot be read, or was named and is not there: gates that are to be held against it
    fail."""
    unlike: str = ""
    """What the machine was where it is of another class: speed is not to be compared."""

    @property
    def name(self) -> str:
        """`main on linux-x86_64-…-4c-8g (3fa91c0d22aa)`."""
        if self.baseline is None:
            return ""
        return f"{self.baseline.branch or NO_BRANCH} on {self.baseline.machine.name} ({self.baseline.id})"


def folder_of(resolved: Resolved) -> Path:
    """Where baselines are kept: beside llmbench.yaml, unless said otherwise."""
    beside = resolved.config_path.parent if resolved.config_path else resolved.rootdir
    return anchored(resolved.origins["baselines"], beside)


def path_of(folder: Path, branch: str | None, machine: str) -> Path:
    """The file of a branch on a class of machines."""
    return folder / folder_name(branch) / f"{machine}.json"


def folder_name(branch: str | None) -> str:
    """A branch as a folder is named; what a file system may not take is replaced, and a hash tells the names apart."""
    branch = branch or NO_BRANCH
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", branch).strip(".-")[:80]
    if safe == branch:
        return safe
    return f"{safe}-{hashlib.sha256(branch.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"


def all_of(folder: Path) -> Iterator[tuple[Path, Baseline | ConfigError]]:
    """Every baseline that is kept, by path; one that cannot be used with why."""
    for path in sorted(folder.glob("*/*.json")):
        try:
            yield path, read(path)
        except ConfigError as error:
            yield path, error


def chosen(resolved: Resolved, run: Run) -> Chosen:
    """The baseline that a run is held against, as the setting `baseline` says.

    Args:
        resolved: settings, and where baselines are kept.
        run: its header is enough.

    Raises:
        ConfigError: the file was changed since it was blessed, or cannot be read.
    """
    said, here = resolved.settings.baseline, machine_class(run.host)
    if said == NONE:
        return Chosen(None, "baselines are switched off (baseline: none)")
    if said != AUTO:
        found, path = named(resolved)
        return Chosen(found, path=path, unlike=_unlike(found, here))
    folder, branches = folder_of(resolved), branches_of(run)
    for branch in branches:
        exact = path_of(folder, branch, here)
        if exact.is_file():
            return Chosen(read(exact), path=exact)
    for branch in branches:
        if others := sorted((folder / folder_name(branch)).glob("*.json")):
            newest = max(((path, read(path)) for path in others), key=lambda pair: pair[1].blessed_at)
            return Chosen(newest[1], path=newest[0], unlike=_unlike(newest[1], here))
    return Chosen(
        None,
        f"there is no baseline of {', '.join(str(branch or NO_BRANCH) for branch in branches)} in {shown(folder)}: "
        "`llmbench baseline bless` makes the last run one",
    )


def chosen_or_why(resolved: Resolved, run: Run) -> Chosen:
    """As `chosen`; a baseline that cannot be used is none, and says why."""
    try:
        return chosen(resolved, run)
    except LlmbenchError as error:
        return Chosen(None, "; ".join(filter(None, (error.message, error.hint))), is_unusable=True)


def branches_of(run: Run) -> Sequence[str | None]:
    """The branches whose baselines a run may be held against, in their order."""
    told = run.environment
    return list(dict.fromkeys([told.get("branch"), *filter(None, [told.get("base_branch")]), *_MAIN]))


def named(resolved: Resolved) -> tuple[Baseline, Path]:
    """The baseline whose file the setting `baseline` names, and its path.

    Raises:
        UsageError: there is no such file.
        ConfigError: the file was changed since it was blessed, or cannot be read.
    """
    path = anchored(resolved.origins["baseline"], resolved.rootdir)
    if not path.is_file():
        raise UsageError(f"there is no baseline {shown(path)}", hint="`llmbench baseline list` prints those there are")
    return read(path), path


def _unlike(baseline: Baseline, here: str) -> str:
    return "" if baseline.machine.name == here else f"the baseline is of {baseline.machine.name}, this is {here}"
