"""What the results database of a folder tells of runs without making any: nothing is created where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_llmbench.contexts import Identity
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Run, TestResult
from pytest_llmbench.settings import Settings
from pytest_llmbench.store import Store
from pytest_llmbench.store.runs import LAST


def chosen(identity: Identity, path: Path, settings: Settings) -> Identity:
    """A session's identity as `resume` and `rejudge` say.

    Args:
        identity: of a new run.
        path: the database.
        settings: the session's.

    Raises:
        UsageError: there is no such run, or it cannot be used so.
    """
    if settings.resume:
        identity = replace(identity, run_id=run_to_resume(path, settings.resume), resuming=True)
    goes_on = identity.run_id if settings.resume else ""
    if settings.rejudge:
        if settings.batch:
            raise UsageError("--rejudge and --batch are not for the same run", hint="judges are asked at once")
        return replace(identity, source=run_to_rejudge(path, settings.rejudge, goes_on))
    if goes_on:
        check_goes_on(path, goes_on)
    return identity


def run_to_resume(path: Path, name: str) -> str:
    """The id of a stored run.

    Args:
        path: the database.
        name: its id, the beginning of that, or "last".

    Raises:
        UsageError: there is no such run.
    """
    if not path.exists():
        raise UsageError(f"cannot resume {name!r}: {path} does not exist", hint="run without --resume first")
    with Store.open(path) as store:
        return store.load_run(name).id


def run_to_rejudge(path: Path, name: str, goes_on: str = "") -> str:
    """The id of a stored run whose replies another one takes over.

    Args:
        path: the database.
        name: its id, the beginning of that, or "last".
        goes_on: the run that is resumed, if one is: it stays with the run that it took its replies from.

    Raises:
        UsageError: there is no such run, it holds no reply, or the resumed one takes none, or another's.
    """
    if not path.exists():
        raise UsageError(f"cannot judge {name!r} anew: {path} does not exist", hint="make a run first: `llmbench run`")
    with Store.open(path) as store:
        before = _source_of(store, goes_on) if goes_on else ""
        found = store.header(before if before and name == LAST else name).id
        if goes_on and found != before:
            raise _other_source(goes_on, found, before)
        if not any(reply.role == "subject" for reply in store.stored_replies(found).values()):
            raise _nothing_said(store.load_run(found))
        return found


def check_goes_on(path: Path, run_id: str) -> None:
    """See that a run that is resumed asks its models, as it began.

    Raises:
        UsageError: it takes its replies from another run.
    """
    with Store.open(path) as store:
        if source := _source_of(store, run_id):
            raise UsageError(
                f"run {run_id} judges the replies of run {source} anew, and asks its models nothing",
                hint=f"go on with `llmbench rejudge {source} --resume {run_id}`, and the same options",
            )


def _source_of(store: Store, run_id: str) -> str:
    return str(store.header(run_id).settings.get("rejudge") or "")


def _other_source(goes_on: str, given: str, before: str) -> UsageError:
    if not before:
        return UsageError(
            f"run {goes_on} asks its models itself: it cannot go on with the replies of run {given}",
            hint="resume it without --rejudge, or judge anew without --resume",
        )
    return UsageError(
        f"run {goes_on} takes its replies from run {before}, not from {given}",
        hint=f"go on with `llmbench rejudge {before} --resume {goes_on}`",
    )


def _nothing_said(run: Run) -> UsageError:
    if any(reply.role == "subject" for reply in run.replies):
        return UsageError(
            f"run {run.id} kept no texts of its replies: there is nothing to judge",
            hint="it ran with --llmbench-keep-prompts false: only a run that keeps them can be judged anew",
        )
    return UsageError(f"run {run.id} holds no reply of a model under test: there is nothing to judge")


def stored_result(path: Path, run_id: str, nodeid: str) -> TestResult | None:
    """What a run knows of a test, which may be none of ours."""
    if not path.exists():
        return None
    with Store.open(path) as store:
        return store.find_result(run_id, nodeid)


def results_before(path: Path, use_case: str, run_id: str) -> list[TestResult]:
    """The results of a use case in the last run that ended and asked any of it; `run_id`: a run that does not count."""
    if not path.exists():
        return []
    with Store.open(path) as store:
        return store.last_results_of(use_case, before=run_id)
