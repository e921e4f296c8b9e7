"""`llmbench prompt`: what a use case's prompt asks, what it was before, and what came of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_llmbench.cli import conftests, project, run, screen
from pytest_llmbench.errors import ExitCode, UsageError
from pytest_llmbench.prompts.differing import difference
from pytest_llmbench.prompts.history import History, Result, Version
from pytest_llmbench.prompts.messages import Message
from pytest_llmbench.prompts.template import shown
from pytest_llmbench.records import Sample
from pytest_llmbench.sampling import Sampling
from pytest_llmbench.usecases import UseCase, folder_of


def test(arguments: argparse.Namespace) -> int:
    """See that every sample can be asked, and print what one is asked; with --ask have all variants compared."""
    if arguments.ask:
        limit = ["--limit", arguments.llmbench_limit] if arguments.llmbench_limit else []
        return run.run([str(folder_of(Path(arguments.folder))), "--prompt-variant", "each", *limit])
    usecase = conftests.use_case(Path(arguments.folder))
    count = sum(1 for _ in usecase.samples())
    sample = _sample(usecase, arguments.id)
    prompt = usecase.prompt.named(arguments.variant) if arguments.variant else usecase.prompt
    messages = prompt.messages(sample, arguments.model)
    label = prompt.label(arguments.model)
    if arguments.json:
        told = {"usecase": usecase.name, "samples": count, "sample": sample.id, **label.as_dict()}
        screen.show_json({**told, "messages": messages})
        return ExitCode.OK
    screen.show_line(f"{usecase.name}: each of {count} samples has a value for every variable")
    screen.show_line(f"what is asked of the sample {sample.id!r} ({label}; {label.reason}):")
    for message in messages:
        _show(message)
    return ExitCode.OK


def history(arguments: argparse.Namespace) -> int:
    """Print the prompt's versions, newest first, and how models did with each."""
    usecase, past = _opened(arguments)
    now, versions, results = usecase.prompt.version, past.versions(), past.results()
    if arguments.json:
        kept = {"versions": [each.as_dict() for each in versions], "results": [each.as_dict() for each in results]}
        screen.show_json({"usecase": usecase.name, "now": now, **kept})
        return ExitCode.OK
    rows = [row for version in reversed(versions) for row in _rows(version, now, results)]
    if rows:
        screen.show_table(("version", "since (UTC)", "model", "mode", "variant", "samples", "mean score"), rows)
    if now not in {each.version for each in versions}:
        screen.show_line(f"the prompt as it is now, {now}, was not asked yet")
    return ExitCode.OK


def diff(arguments: argparse.Namespace) -> int:
    """Print what changed between two versions of a prompt."""
    usecase, past = _opened(arguments)
    now = Version(usecase.prompt.version, "", usecase.prompt.content())
    old = past.version(arguments.old) if arguments.old else _latest_other(past, now)
    new = past.version(arguments.new) if arguments.new else now
    for version in (old, new):
        if not version.content:
            raise UsageError(f"of the version {version.version} only its name was kept (keep_prompts was off)")
    lines = difference(old.content, new.content, (old.version, f"{new.version}{' (now)' if new is now else ''}"))
    for line in lines:
        screen.show_line(line)
    if not lines:
        screen.show_line(f"no difference between {old.version} and {new.version}")
    return ExitCode.OK


def _opened(arguments: argparse.Namespace) -> tuple[UseCase, History]:
    usecase = conftests.use_case(Path(arguments.folder))
    return usecase, History(project.resolved(arguments).results_dir, usecase.name)


def _sample(usecase: UseCase, id_: str) -> Sample:
    chosen = Sampling(ids=(id_,)) if id_ else usecase.sampling
    return next(chosen.chosen(usecase.samples()))


def _show(message: Message) -> None:
    content = message["content"]
    parts = [content] if isinstance(content, str) else [part.get("text", f"({part['type']})") for part in content]
    screen.show_line(f"--- {message['role']}")
    for line in "\n".join(map(shown, parts)).splitlines():
        screen.show_line(line)


def _rows(version: Version, now: str, results: Sequence[Result]) -> Iterator[tuple[str, ...]]:
    """A version's lines: one for each of its results, or one without."""
    name = f"{version.version}{' (now)' if version.version == now else ''}"
    begun = name, version.at[:16].replace("T", " ")
    own = [each for each in results if each.whole == version.version]
    if not own:
        yield *begun, "–", "–", "–", "–", "–"
    for each in own:
        yield *begun, each.model, each.mode, each.variant, str(each.n), f"{each.mean:.3f}"


def _latest_other(past: History, now: Version) -> Version:
    """The newest version that is not the prompt as it is now."""
    others = [each for each in past.versions() if each.version != now.version]
    if not others:
        raise UsageError(
            "no other version of the prompt is known", hint="a version is kept when it is first asked: `llmbench run`"
        )
    return others[-1]
