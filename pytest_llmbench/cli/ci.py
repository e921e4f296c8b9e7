"""`llmbench ci`: what a stored run tells in continuous integration. Reads only; what decides is the run itself."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from pytest_llmbench.cli import project, screen
from pytest_llmbench.cli.ci_event import Event, event
from pytest_llmbench.cli.runs import opened
from pytest_llmbench.errors import ExitCode, UsageError
from pytest_llmbench.records import Run
from pytest_llmbench.reports import ci_annotations, ci_texts, foreign
from pytest_llmbench.reports.places import Places
from pytest_llmbench.reports.verdict import verdict
from pytest_llmbench.secret import Secret


def summary(arguments: argparse.Namespace) -> int:
    """Append the summary to the step's (`$GITHUB_STEP_SUMMARY`), or print it where there is none."""
    run, frame = _run(arguments), _frame(arguments, event(os.environ))
    path = os.environ.get("GITHUB_STEP_SUMMARY", "")
    used = Path(path).stat().st_size if path and Path(path).exists() else 0
    room = ci_texts.MOST_SUMMARY_BYTES - used
    _append(path, ci_texts.without_run(frame) if run is None else ci_texts.summary(run, frame, room))
    return ExitCode.OK


def annotate(arguments: argparse.Namespace) -> int:
    """Print workflow commands for what failed; tell `$GITHUB_OUTPUT` the run's id, verdict and folder of reports."""
    run = _run(arguments)
    if run is None:
        print("::error title=llmbench::no run was stored: the session ended before a test began")
        return ExitCode.OK
    resolved = project.resolved(arguments)
    config = resolved.rootdir / "llmbench.yaml"
    places = Places(resolved.rootdir, Path(os.environ.get("GITHUB_WORKSPACE") or resolved.rootdir), config)
    for each in ci_annotations.marks(run, places):
        print(each.command)
    reports = resolved.results_dir / "reports" / run.id
    told = {"run-id": run.id, "verdict": verdict(run).word, "reports": str(reports)}
    if path := os.environ.get("GITHUB_OUTPUT", ""):
        _append(path, "".join(f"{name}={' '.join(value.split())}\n" for name, value in told.items()))
    return ExitCode.OK


def comment(arguments: argparse.Namespace) -> int:
    """Keep the one comment of the pull request up to date.

    Returns:
        0 also where there is nothing to comment on, or the token may not; it says so.

    Raises:
        UsageError: there is no token, no such run, or the report cannot be read.
        WireError: GitHub does not answer, or not as it should.
    """
    happened = event(os.environ)
    frame = _frame(arguments, happened)
    source = getattr(arguments, "from")
    run = foreign.read(_report_in(Path(source))) if source else _run(arguments)
    body = f"{frame.marker}\n{ci_texts.without_run(frame)}" if run is None else ci_texts.comment(run, frame)
    if arguments.print:
        _append("", body)
    elif happened.is_read_only:
        screen.show_line("the pull request comes from a fork, whose token may not comment: see the step summary")
    else:
        screen.show_line(_sent(arguments, happened, frame.marker, body))
    return ExitCode.OK


def _sent(arguments: argparse.Namespace, happened: Event, marker: str, body: str) -> str:
    from pytest_llmbench.cli.github import GitHub, RefusedError  # noqa: PLC0415  only who comments needs the network

    token = Secret(os.environ.get("GITHUB_TOKEN", "").strip())
    if not (token and happened.repository):
        missing = "$GITHUB_REPOSITORY" if token else "$GITHUB_TOKEN"
        raise UsageError(f"{missing} is not set", hint="outside of GitHub Actions `--print` shows the comment")
    github = GitHub(happened.api_url, happened.repository, token)
    pull = arguments.pull or happened.pull
    if pull is None and happened.head:
        pull = github.pull_of(happened.head, happened.commit)
    if pull is None:
        return "no open pull request belongs to this: nothing to comment on"
    try:
        return f"comment {github.keep_comment(pull, marker, body, arguments.author)}"
    except RefusedError as error:
        if error.status != 403:
            raise
        return f"not commented: {error.message}; {error.hint}"


def _run(arguments: argparse.Namespace) -> Run | None:
    """The run that is meant; None where the session that `--since` tells of stored none."""
    try:
        with opened(arguments) as (store, _):
            run = store.load_run(arguments.run).current()
    except UsageError as error:
        if not arguments.since:
            raise
        screen.show_problem(str(error))
        return None
    return run if not arguments.since or _moment(run.started_at) >= _moment(arguments.since) else None


def _moment(text: str) -> datetime:
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no moment", hint="as `date -u +%Y-%m-%dT%H:%M:%SZ` writes it") from None
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)


def _frame(arguments: argparse.Namespace, happened: Event) -> ci_texts.Frame:
    return ci_texts.Frame(
        name=arguments.name,
        report_url=arguments.report_url or happened.job_url,
        job_url=happened.job_url,
        commit=happened.commit,
        is_unchecked=happened.is_fork and not happened.is_read_only,
    )


def _report_in(path: Path) -> Path:
    """The report itself, or the only one in a folder; a link in it leads nowhere."""
    if not path.is_dir():
        return path
    found = [each for each in sorted(path.rglob("report.json")) if each.is_file() and not each.is_symlink()]
    if len(found) != 1:
        raise UsageError(f"{path} holds {len(found)} files report.json", hint="name the one that is meant")
    return found[0]


def _append(path: str, text: str) -> None:
    if not path:
        print(text)
        return
    try:
        with Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
