"""`llmbench usecase`: begin a use case, check it without asking anybody, look at what it says."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from pytest_llmbench import stories, usecases
from pytest_llmbench.cli import conftests, screen
from pytest_llmbench.config.strict_yaml import shown
from pytest_llmbench.errors import ConfigError, ExitCode, UsageError, did_you_mean
from pytest_llmbench.usecases import PAGE, Placed, UseCase
from pytest_llmbench.usecases.json_schema import json_schema

STORIES = "*.story.txt"

_LISTED = 20
_NEW = {PAGE: PAGE, "messages.jsonl": "data/messages.jsonl"}
"""File among ours → where it goes in a new use case."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one use case, or of the stories of a folder."""

    folder: str
    name: str
    samples: int = 0
    validators: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)
    error: str = ""
    """Why it cannot be read; empty where it can."""


def new(arguments: argparse.Namespace) -> int:
    """Write a use case that runs as it is; what exists stays as it is."""
    folder = Path(arguments.folder)
    ours = files("pytest_llmbench") / "data" / "new_usecase"
    try:
        for source, name in _NEW.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as stream:
                stream.write((ours / source).read_text(encoding="utf-8"))
            screen.show_line(f"wrote {target}")
    except FileExistsError as error:
        raise ConfigError(f"{error.filename} exists and is left as it is", hint="name another folder") from None
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from error
    screen.show_line(f"`llmbench usecase check {folder}` reads it, `pytest {folder}` asks")
    return ExitCode.OK


def check(arguments: argparse.Namespace) -> int:
    """Print what is wrong with use cases."""
    findings = _findings(list(map(Path, arguments.folders)))
    _tell_twins(findings)
    if arguments.json:
        screen.show_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _show_finding(finding)
    if any(finding.error for finding in findings):
        return ExitCode.USAGE
    return ExitCode.TESTS_FAILED if any(finding.problems for finding in findings) else ExitCode.OK


def _tell_twins(findings: list[Finding]) -> None:
    """Add a problem to each use case that has the name of another: reports could not tell them apart."""
    first: dict[str, str] = {}
    for finding in findings:
        if (other := first.setdefault(finding.name, finding.folder)) != finding.folder and not finding.error:
            finding.problems.append(f"{finding.folder}: {other} has the name {finding.name!r}, too: give it its own")


def _show_finding(finding: Finding) -> None:
    for problem in finding.problems:
        screen.show_line(problem)
    if finding.error:
        screen.show_problem(finding.error)
        return
    counted = f"{finding.samples} {'sample' if finding.samples == 1 else 'samples'}, "
    about = f"validators: {', '.join(finding.validators)}, " if finding.validators else ""
    found = f"{len(finding.problems)} {'problem' if len(finding.problems) == 1 else 'problems'}"
    screen.show_line(f"{finding.name} ({finding.folder}): {counted}{about}{found}")


def _findings(folders: list[Path]) -> list[Finding]:
    found = [_held(folder) for folder in folders]
    conftests.load(page.parent for pages, _ in found for page in pages)
    return [each for pages, told in found for each in (*map(_checked, pages), *map(_checked_story, told))]


def _held(folder: Path) -> tuple[list[Path], list[Path]]:
    """As `_below`, of a folder that holds something."""
    pages, told = _below(folder)
    if not pages and not told:
        raise UsageError(
            f"there is no {PAGE} and no story in {folder}", hint="`llmbench usecase new FOLDER` begins a use case"
        )
    return pages, told


def _below(folder: Path) -> tuple[list[Path], list[Path]]:
    """The pages and stories in a folder and below it, less hidden folders."""
    if folder.is_file():
        return ([folder], []) if folder.name == PAGE else ([], [folder])
    pages, told = [], []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        pages += [Path(where) / name for name in names if name == PAGE]
        told += [Path(where) / name for name in sorted(names) if Path(name).match(STORIES)]
    return pages, told


def _checked(page: Path) -> Finding:
    where = shown(page.parent)
    problems: list[str] = []
    try:
        case = usecases.load(page.parent)
        problems.extend(str(problem) for problem in usecases.lint(case))
        count = sum(1 for _ in case.data.placed())
        problems.extend(_cannot_be_done(case, shown(page)))
    except UsageError as error:
        return Finding(where, page.parent.name, problems=problems, error=str(error))
    return Finding(where, case.name, count, tuple(each.name for each in case.validators), problems)


def _cannot_be_done(case: UseCase, where: str) -> Iterator[str]:
    """What its corruptions can do nothing to: pytest would refuse the page."""
    if case.corruption.kinds:
        try:
            case.corruption.done(list(case.samples()), where)
        except UsageError as error:
            yield str(error)


def _checked_story(file: Path) -> Finding:
    try:
        found = stories.read(file)
        problems = [str(problem) for problem in stories.lint(found)]
    except UsageError as error:
        return Finding(shown(file), file.name, error=str(error))
    return Finding(shown(file), file.name, len(found), (), problems)


def show(arguments: argparse.Namespace) -> int:
    """Print a use case, or one of its samples."""
    case = conftests.use_case(Path(arguments.folder))
    if arguments.id:
        return _show_sample(case, arguments)
    placed = list(case.placed() if arguments.all or arguments.json else islice(case.placed(), _LISTED + 1))
    if arguments.json:
        screen.show_json({**dict(_facts(case)), "samples": [one.sample.as_dict() for one in placed]})
        return ExitCode.OK
    screen.show_table(
        ("", ""), [(name, _text(value)) for name, value in _facts(case) if value not in ("", [], {}, None)]
    )
    print()
    rows = [_row(case, one) for one in placed[: None if arguments.all else _LISTED]]
    screen.show_table(("id", "stands in", "tags", "expected"), rows, cut=("tags", "expected"))
    if len(placed) > len(rows):
        print(f"… the first {_LISTED}; --all lists all")
    return ExitCode.OK


def schema(_arguments: argparse.Namespace) -> int:
    """Print the JSON Schema."""
    screen.show_json(json_schema())
    return ExitCode.OK


def _row(case: UseCase, one: Placed) -> tuple[str, str, str, str]:
    expected = "–" if one.sample.expected is None else _text(one.sample.expected)
    told = [*case.tags_of(one.sample), *(f"{name}={value}" for name, value in case.slices_of(one.sample).items())]
    return one.sample.id, one.place.named(shown(one.place.file)), " ".join(told), expected


def _facts(case: UseCase) -> Iterator[tuple[str, Any]]:
    yield from (("name", case.name), ("title", case.title), ("description", case.description))
    yield from (("folder", shown(case.folder)), ("content hash", case.content_hash[:12]))
    yield from (("prompt", case.prompt.version), ("output", case.output.kind), ("models", list(case.models)))
    rubric = case.rubric.as_mapping() if case.rubric else None
    yield from (("validators", [each.spec for each in case.validators]), ("rubric", rubric))
    yield from (("judges", list(case.judges)), ("repeats", case.repeats), ("reducer", case.reducer))
    yield from (("gates", [gate.model_dump(exclude_defaults=True) for gate in case.gates]), ("tags", list(case.tags)))
    yield from (("request", dict(case.request)), *case.facts.items())


def _show_sample(case: UseCase, arguments: argparse.Namespace) -> int:
    near: list[str] = []
    for one in case.placed():
        if one.sample.id == arguments.id:
            break
        near.append(one.sample.id)
    else:
        raise UsageError(f"there is no sample {arguments.id!r}{did_you_mean(arguments.id, near)}")
    messages = case.prompt.messages(one.sample, arguments.model)
    if arguments.json:
        screen.show_json({"sample": one.sample.as_dict(), "messages": messages})
        return ExitCode.OK
    for message in messages:
        screen.show_line(f"── {message['role']}")
        for line in _text(message["content"]).splitlines():
            screen.show_line(line)
    screen.show_line("── expected")
    for line in _text(one.sample.expected).splitlines():
        screen.show_line(line)
    return ExitCode.OK


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
