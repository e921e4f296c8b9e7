"""`llmbench doctor`: what is amiss on this machine and in this project, and what to do about it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from pytest_llmbench.cli import doctor_providers, project, screen
from pytest_llmbench.cli.finding import Finding, State
from pytest_llmbench.config import Resolved
from pytest_llmbench.errors import ConfigError, ExitCode, LlmbenchError
from pytest_llmbench.models.model_store import default_folder
from pytest_llmbench.servers import embedded, llama

PACKAGE = "pytest-llmbench"
ENOUGH_BYTES = 2_000_000_000
"""Less than this is no room for a model's file."""
TOO_LITTLE_BYTES = 100_000_000
"""Less than this will be full before a run is over."""


def examine(arguments: argparse.Namespace) -> int:
    """Print what was found; 1 where there is a problem."""
    findings = list(_findings(arguments))
    if arguments.json:
        screen.show_json([dataclasses.asdict(finding) for finding in findings])
    else:
        rows = [(finding.subject, finding.state.value, finding.told) for finding in findings]
        screen.show_table(("checked", "is", "because"), rows)
        for finding in findings:
            if finding.fix:
                screen.show_line(f"{finding.subject}: {finding.fix}")
    wrong = any(finding.state is State.PROBLEM for finding in findings)
    return ExitCode.TESTS_FAILED if wrong else ExitCode.OK


def _findings(arguments: argparse.Namespace) -> Iterator[Finding]:
    yield from _versions()
    try:
        resolved = project.resolved(arguments)
    except ConfigError as error:
        yield Finding("configuration", State.PROBLEM, error.message, error.hint)
        return
    yield _configuration(resolved)
    yield _engine(resolved)
    yield from _disks(resolved)
    yield from doctor_providers.findings(resolved)


def _versions() -> Iterator[Finding]:
    """Whether every package that we need is here in a version that we need."""
    told = [f"Python {platform.python_version()}", f"{PACKAGE} {metadata.version(PACKAGE)}"]
    wrong = False
    for requirement in map(Requirement, metadata.requires(PACKAGE) or ()):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = _version(requirement.name)
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            wrong = True
            yield Finding(
                f"package {requirement.name}",
                State.PROBLEM,
                f"is {found or 'not there'}, and {requirement.specifier} is needed",
                f'pip install "{requirement.name}{requirement.specifier}"',
            )
        elif requirement.name == "pytest":
            told.append(f"pytest {found}")
    if not wrong:
        yield Finding("versions", State.OK, ", ".join(told))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _configuration(resolved: Resolved) -> Finding:
    projects = str(resolved.config_path or "no llmbench.yaml")
    own = resolved.own_document
    told = f"{projects}; your own: {own.name}{'' if own.lines else ' (not there)'}"
    return Finding("configuration", State.OK, told)


def _engine(resolved: Resolved) -> Finding:
    """What would serve local models; whoever asks APIs alone needs none."""
    subject = "engine of local models"
    try:
        found = llama.find(resolved.settings.llama_server) if resolved.settings.engine != "embedded" else None
        if found is not None:
            return Finding(subject, State.OK, f"llama-server {llama.capabilities(found).build} at {found}")
        return Finding(subject, State.OK, f"embedded, {embedded.build()}")
    except LlmbenchError as error:
        chosen = resolved.settings.engine != "auto" or resolved.settings.llama_server
        return Finding(subject, State.PROBLEM if chosen else State.NOTE, error.message, error.hint)


def _disks(resolved: Resolved) -> Iterator[Finding]:
    folders = {"results": resolved.results_dir, "models": resolved.models_dir or default_folder()}
    for what, folder in folders.items():
        yield _disk(f"folder of {what}", folder)


def _disk(subject: str, folder: Path) -> Finding:
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(there, os.W_OK):
        return Finding(subject, State.PROBLEM, f"{there} cannot be written to", f"chmod u+w {there}, or choose another")
    free = shutil.disk_usage(there).free
    told = f"{screen.size(free)} free at {folder}"
    if free >= ENOUGH_BYTES:
        return Finding(subject, State.OK, told)
    state = State.PROBLEM if free < TOO_LITTLE_BYTES else State.NOTE
    return Finding(subject, state, told, "free some: `llmbench models prune`, `llmbench runs rm`, or choose another")
