"""What a pytest item and its reports tell: identity, model, exclusivity, needs, message."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from pytest_llmbench.contexts import TestContext
from pytest_llmbench.fixtures import asked_of_us
from pytest_llmbench.gate_marks import gates_of
from pytest_llmbench.own_tests import OwnItem, OwnTest
from pytest_llmbench.records import Outcome, Sample, TestResult
from pytest_llmbench.redaction import redact
from pytest_llmbench.results.under_gates import is_counted_row
from pytest_llmbench.session import Session

MESSAGE_LIMIT = 4000

_KEY: pytest.StashKey[str] = pytest.StashKey()


def context_of(item: pytest.Item) -> TestContext:
    """A fresh context for a test that begins."""
    asked, sample = asked_of_us(item), sample_of(item)
    return TestContext(
        item.nodeid,
        stable_key(item),
        model_of(item),
        is_exclusive(item),
        asked,
        sample=sample.id if sample else "",
        use_case=item.use_case if isinstance(item, OwnItem) else "",
        claims_in_turn="matrix_cell" in asked or (isinstance(item, OwnItem) and item.claims_in_turn),
        evaluation=item.blank() if isinstance(item, OwnItem) else None,
        rules=tuple(gate.model_dump(exclude_defaults=True) for gate in gates_of(item)),
    )


def is_exclusive(item: pytest.Item) -> bool:
    """Whether a test has the machine to itself."""
    return (
        not asked_of_us(item).isdisjoint({"bench", "matrix_cell"}) or item.get_closest_marker("exclusive") is not None
    )


def model_of(item: pytest.Item) -> str:
    """The name of the model that our marker gives to a test; empty where it gives none."""
    if isinstance(item, OwnItem):
        return item.model_name
    call = getattr(item, "callspec", None)
    is_named = any(item.get_closest_marker(name) is not None for name in ("models", "usecase"))
    if call is None or "model" not in asked_of_us(item) or not is_named:
        return ""
    return str(call.params.get("model", ""))


def sample_of(item: pytest.Item) -> Sample | None:
    """The sample that our marker gives to a test."""
    if isinstance(item, OwnTest):
        return item.sample
    call = getattr(item, "callspec", None)
    sample = call.params.get("sample") if call is not None and "sample" in asked_of_us(item) else None
    return sample if isinstance(sample, Sample) else None


def stable_key(item: pytest.Item) -> str:
    """Suite, test and parameters: stable where xdist changes node ids."""
    if isinstance(item, OwnItem):
        return item.key
    key = item.stash.get(_KEY, None)
    if key is None:
        key = item.stash[_KEY] = _stable_key(item)
    return key


def _stable_key(item: pytest.Item) -> str:
    classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    name = getattr(item, "originalname", None) or item.name
    call = getattr(item, "callspec", None)
    suite = relative(item.path, item.config.rootpath).as_posix()
    return "::".join([suite, *classes, name]) + (f"[{call.id}]" if call else "")


def needs_machine(context: TestContext, session: Session) -> bool:
    """Whether the test computes on this machine: it measures, or a model of it runs here."""
    may_compute = local_models(context, session, session.routing.members)
    return context.exclusive or "llama_server" in context.asked or bool(may_compute)


def local_models(
    context: TestContext, session: Session, of_route: Callable[[str], Sequence[str]] | None = None
) -> tuple[str, ...]:
    """The models of this machine that the test asks, judges among them; each once.

    Args:
        context: of the test.
        session: this process's.
        of_route: a judge's name → the models meant by it; by default of a route those that are not only asked where
            another one fails.
    """
    meant = of_route or session.routing.firsts
    subject = () if session.rejudges or not context.model else (context.model,)
    names = dict.fromkeys((*subject, *(model for name in context.judges for model in meant(name))))
    return tuple(name for name in names if not session.is_remote(name))


def judges_of(item: pytest.Item, session: Session) -> tuple[str, ...]:
    """The names of the models that judge in a test.

    Raises:
        UsageError: it wants a judge, and nothing says whom, or by what.
    """
    if isinstance(item, OwnItem):
        return tuple(item.judges)
    if not {"judge", "score"} & asked_of_us(item):
        return ()
    from pytest_llmbench.evaluations.judge_in_test import judges_of  # noqa: PLC0415 - not in sessions without judges

    return judges_of(item, session, judge="judge" in asked_of_us(item))


def is_counted(item: pytest.Item, result: TestResult, error: BaseException | None, session: Session) -> bool:
    """Whether a gate counts a test, as a wrong sample: then it fails nothing by itself.

    Args:
        item: the test; those that no function stands behind know by themselves.
        result: how it ended.
        error: what it raised.
        session: this process's.
    """
    is_of_reply = bool(session.asking().asked & {"reply", "score"}) and not isinstance(item, OwnTest)
    if error is None or result.outcome != Outcome.WRONG or result.phase != "call" or not is_of_reply:
        return False
    if item.get_closest_marker("usecase") is None:
        return is_counted_row(result, gates_of(item))
    from pytest_llmbench.evaluations.marked import is_counted  # noqa: PLC0415 - not in sessions without use cases

    return is_counted(item, session)


def skip(report: pytest.TestReport, path: Path, why: str) -> None:
    """Have pytest count a test as skipped."""
    report.outcome = "skipped"
    report.longrepr = (str(path), 0, f"Skipped: {why}")


def message_of(error: BaseException | None, report: pytest.TestReport) -> str:
    """Why a test ended as it did, in its own words."""
    if report.outcome == "skipped":
        skipped = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr or "")
        return _kept(str(getattr(report, "wasxfail", "") or skipped))
    if error is not None:
        return _kept(str(error))
    return _kept(str(report.longrepr)) if report.failed else ""


def _kept(message: str) -> str:
    """Redacted before it is cut: half a key is harder to find."""
    return redact(message)[:MESSAGE_LIMIT]


def relative(path: Path, root: Path | None = None) -> Path:
    """A path as short as it can be named from `root` (or from here)."""
    try:
        return path.relative_to(root or Path.cwd())
    except ValueError:
        return path


def once(*several: Iterable[str]) -> tuple[str, ...]:
    """Each of several lists' entries once, in their order."""
    return tuple(dict.fromkeys(each for some in several for each in some))
