"""Judges in tests in Python: the fixture `judge` and its mark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.evaluations.asking import Asking
from pytest_llmbench.evaluations.items import key_of
from pytest_llmbench.evaluations.judged import judged
from pytest_llmbench.evaluations.jury import Behalf, Jury, judging_of, matter_of
from pytest_llmbench.evaluations.marked import MARK as USE_CASE
from pytest_llmbench.evaluations.marked import asking_of, prepared_of
from pytest_llmbench.evaluations.preferences import PairJury, preferences
from pytest_llmbench.judges import asking, choosing, pairwise
from pytest_llmbench.judges.judging import Vote
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.judges.pairwise import Settled
from pytest_llmbench.judges.rubric import Rubric
from pytest_llmbench.records import Reply, Sample, Score
from pytest_llmbench.session import Session
from pytest_llmbench.validators.material import Material

MARK = "judge"
_SAYS = ("rubric", "vote")
_EXAMPLE = '@pytest.mark.judge("demo/judge", rubric="politeness")'
_JURY: pytest.StashKey[Jury] = pytest.StashKey()


class JudgeInTest:
    """A judge or a panel as a test in Python holds it.

    Args:
        jury: who judges, and by what.
        asking: how the test's use case is asked; None: it is about none.
        own: the test's own sample; None: it has none.
        samples: gives those that replies are of where the test does not say it.
    """

    def __init__(
        self, jury: Jury, asking: Asking | None, own: Sample | None, samples: Callable[[], Sequence[Sample]]
    ) -> None:
        self._jury = jury
        self._asking = asking
        self._own = own
        self._samples = samples

    def __repr__(self) -> str:
        return f"<{', '.join(self._jury.models)}, by the rubric {self._jury.rubric.name!r}>"

    def __call__(self, reply: Reply, sample: Sample | str | None = None) -> Score:
        """What the judge says of a reply.

        Args:
            reply: it.
            sample: what it answers, or only the question; the test's own sample where not given.

        Raises:
            InfraError: a judge could not be asked.
            UsageError: the test has no sample of its own, and none is given.
        """
        __tracebackhide__ = True
        return self.all([reply], [self._answered(sample)])[0]

    def all(self, replies: Sequence[Reply], samples: Sequence[Sample | str] | None = None) -> list[Score]:
        """What the judge says of several replies, asked at once; the order is kept.

        Args:
            replies: they.
            samples: what they answer; where not given, the samples of the test's use case or dataset in their order.

        Raises:
            InfraError: a judge could not be asked.
            UsageError: there are more samples than replies, or fewer.
        """
        __tracebackhide__ = True
        about = self._samples() if samples is None else samples
        if len(about) != len(replies):
            raise UsageError(
                f"{len(replies)} replies to {len(about)} samples",
                hint="judge.all(replies, samples) takes a sample a reply",
            )
        matters = [self._matter(sample, reply) for sample, reply in zip(about, replies, strict=True)]
        return judged(self._jury, matters, list(map(self._behalf, about)))

    def compare(self, reply_a: Reply | str, reply_b: Reply | str, sample: Sample | str | None = None) -> Settled:
        """Which of two replies to one question the judge prefers, asked in both orders at once.

        Args:
            reply_a: one, or only its text.
            reply_b: the other.
            sample: as of a single reply.

        Returns:
            `.winner`: `a`, `b` or `tie`, None where it gave no usable answer, twice; `.flipped`: it named the same
            place in both orders, and so is no judge of these two.

        Raises:
            InfraError: the judge could not be asked.
            UsageError: several judge here, or what the replies answer, or the rubric needs, is missing.
        """
        __tracebackhide__ = True
        jury, answered = self._jury, self._answered(sample)
        if len(jury.models) > 1:
            raise UsageError(f"{len(jury.models)} models judge here: one compares", hint="name one in the mark `judge`")
        a, b = (self._matter(answered, reply) for reply in (reply_a, reply_b))
        if why := asking.lacking(jury.rubric, a) or asking.lacking(jury.rubric, b):
            raise UsageError(why, hint="give the sample that has it, and not the question alone")
        context = jury.session.asking()
        behalf = Behalf(context.asker(), context.use_case, sample=context.sample)
        return pairwise.settled(*preferences(PairJury(jury.session, jury.rubric, jury.judging), a, b, behalf))

    def _answered(self, sample: Sample | str | None) -> Sample | str:
        answered = self._own if sample is None else sample
        if answered is None:
            raise UsageError(
                "what does the reply answer?", hint="judge(reply, sample), or judge(reply, 'the question')"
            )
        return answered

    def _behalf(self, sample: Sample | str) -> Behalf:
        """The page's own test where that asks the same judges: an API is asked once for both."""
        asking, context = self._asking, self._jury.session.asking()
        if asking is None or isinstance(sample, str) or self._jury != asking.prepared.jury:
            return Behalf(context.asker(), context.use_case, sample=context.sample)
        return Behalf(key_of(asking, sample), asking.prepared.case.name, shared=True, sample=sample.id)

    def _matter(self, sample: Sample | str, reply: Reply | str) -> Matter:
        asked = Sample("", sample) if isinstance(sample, str) else sample
        if self._asking is not None and not isinstance(sample, str):
            return matter_of(self._asking.prepared.case, self._jury.rubric, asked, reply)
        material, needs = Material.of(asked, reply), self._jury.rubric.needs
        source = asked.metadata.get("source", "") if "source" in needs else ""
        expected = material.wanted if "expected" in needs else ""
        return Matter(material.input_text, material.answer, str(source), expected)


def judge_of(item: pytest.Item, session: Session, model: str) -> JudgeInTest:
    """The judge of a test of a model; see `jury_in`."""
    call = getattr(item, "callspec", None)
    own = call.params.get("sample") if call is not None else None
    asking = asking_of(item, session, model) if _has_case(item) and model else None

    def samples() -> Sequence[Sample]:
        if _has_case(item):
            return prepared_of(item, session).samples
        return session.datasets.of(item.get_closest_marker("dataset"), item.path.parent).samples

    return JudgeInTest(jury_in(item, session), asking, own if isinstance(own, Sample) else None, samples)


def judges_of(item: pytest.Item, session: Session, *, judge: bool) -> tuple[str, ...]:
    """The names of the models that judge in a test.

    Args:
        item: the test.
        session: this process's.
        judge: whether it takes the fixture `judge`; else its use case's judges are meant, if it has any.
    """
    if judge:
        return jury_in(item, session).models
    jury = prepared_of(item, session).jury if _has_case(item) else None
    return jury.models if jury else ()


def jury_in(item: pytest.Item, session: Session) -> Jury:
    """Who judges in a test: as its mark `judge` says, what that leaves open as its use case says.

    Raises:
        UsageError: nothing says who, or by what; or the mark's arguments are none; with the test.
    """
    known = item.stash.get(_JURY, None)
    if known is None:
        try:
            known = item.stash[_JURY] = _jury(item, session)
        except UsageError as error:
            raise UsageError(f"{item.nodeid}: {error.message}", hint=error.hint) from None
    return known


def _jury(item: pytest.Item, session: Session) -> Jury:
    models, said = _said(item)
    case = prepared_of(item, session).case if _has_case(item) else None
    rubric = _rubric(said, item.path.parent) if "rubric" in said else case.rubric if case else None
    if rubric is None:
        raise UsageError("`judge` needs a rubric to go by", hint=f"mark the test with {_EXAMPLE}")
    vote = {"vote": said["vote"]} if "vote" in said else {}
    judging = judging_of(session, case.judging if case else None, models=models, **vote)
    if judging is None:
        raise UsageError(
            "`judge` needs to know who judges",
            hint=f"mark the test with {_EXAMPLE}, or name a model in the call (--llmbench-judge demo/judge)",
        )
    return Jury(session, rubric, judging)


def _said(item: pytest.Item) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Models and fields of a mark.

    Raises:
        UsageError: they are none.
    """
    mark = item.get_closest_marker(MARK)
    if mark is None:
        return (), {}
    if wrong := [name for name in mark.args if not isinstance(name, str)]:
        raise UsageError(f"judge() takes names of models, one after the other, not {wrong[0]!r}")
    if unknown := [name for name in mark.kwargs if name not in _SAYS]:
        raise UsageError(f"judge() takes no {unknown[0]!r}{did_you_mean(unknown[0], _SAYS)}", hint=_EXAMPLE)
    if "vote" in mark.kwargs and mark.kwargs["vote"] not in get_args(Vote):
        raise UsageError(f"judge(vote={mark.kwargs['vote']!r}): allowed are {', '.join(get_args(Vote))}")
    return mark.args, dict(mark.kwargs)


def _rubric(said: dict[str, Any], folder: Path) -> Rubric:
    """The rubric that a mark names; a path is one from the test's folder."""
    named = said["rubric"]
    is_path = isinstance(named, Path) or (isinstance(named, str) and choosing.is_path(named))
    return choosing.chosen(folder / named if is_path else named)


def _has_case(item: pytest.Item) -> bool:
    return item.get_closest_marker(USE_CASE) is not None
