"""Judges asked: each reply by every judge, and what they say together."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from pytest_llmbench.asker.estimates import ANSWER_TOKENS, CHARACTERS_A_TOKEN
from pytest_llmbench.asker.question import Question
from pytest_llmbench.errors import InfraError, LlmbenchError, OverBudgetError
from pytest_llmbench.evaluations.asking import Answer, Asking
from pytest_llmbench.evaluations.jury import Asked, Behalf, Jury, matter_of
from pytest_llmbench.evaluations.routed import Reach, expected
from pytest_llmbench.evaluations.sitting import Number, Sitting
from pytest_llmbench.judges import panel
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.observe.calls import Kind, Note
from pytest_llmbench.records import Reply, Sample, Score
from pytest_llmbench.routing.path import Path
from pytest_llmbench.serving import open_model
from pytest_llmbench.session import Session

JUDGE = "judge"
"""What the score of a single judge is called; that of several is `panel`."""
_ASSUMED_REPLY = "word " * int(CHARACTERS_A_TOKEN * ANSWER_TOKENS / len("word "))


def verdicts_on(asking: Asking, sample: Sample, answers: Sequence[Answer], behalf: Behalf) -> list[Score]:
    """What the judges of a use case say, a score a trial; none where nobody judges."""
    jury, case = asking.prepared.jury, asking.prepared.case
    if jury is None:
        return []
    matters = [matter_of(case, jury.rubric, sample, answer.reply) for answer in answers]
    return judged(jury, matters, [behalf] * len(matters))


def foreseen_verdicts(asking: Asking, sample: Sample, behalf: Behalf, *, every: bool = False) -> list[Question]:
    """What judges behind an API would be asked; arguments as of `foreseen_ways`.

    Args:
        asking: see there.
        sample: see there.
        behalf: see there.
        every: all whom a route may ever ask, and not only the model that comes first.
    """
    ways = foreseen_ways(asking, sample, behalf, "all" if every else "first")
    return [question for way in ways for question in way]


def foreseen_ways(asking: Asking, sample: Sample, behalf: Behalf, reach: Reach = "way") -> list[list[Question]]:
    """What judges behind an API would be asked of replies of an assumed length: of each reply what each is asked.

    Args:
        asking: the use case.
        sample: what its replies would answer.
        behalf: on whose behalf.
        reach: who of a route.
    """
    jury, case = asking.prepared.jury, asking.prepared.case
    if jury is None:
        return []
    matters = [matter_of(case, jury.rubric, sample, _ASSUMED_REPLY)] * case.repeats
    number, before, is_remote = numbered(), Counter[tuple[str, str]](), jury.session.is_remote
    ways = [expected(jury, put, number(put), reach) for put in jury.first(matters, [behalf] * case.repeats)]
    return [[jury.question(one, before, tries=False) for one in way if is_remote(one.model)] for way in ways]


def judged(jury: Jury, matters: Sequence[Matter], behalves: Sequence[Behalf]) -> list[Score]:
    """What the judges say of each matter; all are asked at once.

    Args:
        jury: who judges.
        matters: what is judged.
        behalves: of each, on whose behalf.

    Returns:
        A score a matter: `judge` with the criteria as its parts, or `panel` with the judges' scores as its parts. One
        whose verdict could not be used, twice, is unscored; so is a matter that lacks what the rubric needs.

    Raises:
        InfraError: a judge could not be asked, nor any other model where it is a route.
    """
    number = booked(jury.session)
    sittings = [Sitting(jury, *each, number) for each in zip(matters, behalves, strict=True)]
    while due := [inquiry for sitting in sittings for inquiry in sitting.due()]:
        outcomes = _outcomes(jury, [each.asked for each in due if each.asked is not None])
        for inquiry, outcome in zip(due, outcomes, strict=True):
            inquiry.take(outcome)
    inquiries = [inquiry for sitting in sittings for inquiry in sitting.inquiries]
    tell_fallen_back(jury.session, [each.path for each in inquiries if each.path is not None])
    return [_silent(jury, each.lacking) if each.lacking else _together(jury, each.scores()) for each in sittings]


def numbered() -> Number:
    """Counts by itself how often the same was put to a route."""
    before: Counter[str] = Counter()

    def number(put: Asked) -> int:
        what = f"{put.behalf.key}\n{_put(put)}"
        before[what] += 1
        return before[what] - 1

    return number


def replies_of(jury: Jury, asked: Sequence[Asked]) -> list[Reply]:
    """What judges answer, in the order in which they are asked; each model of this machine after the other.

    Raises:
        InfraError: one could not be asked.
    """
    places = _places(jury, asked)
    found: dict[int, Reply] = {}
    for local, some in places.items():
        wanted = [asked[place] for place in some]
        found.update(zip(some, _of_local(jury, local, wanted) if local else _of_remote(jury, wanted), strict=True))
    return [found[place] for place in range(len(asked))]


def _outcomes(jury: Jury, asked: Sequence[Asked]) -> Sequence[Reply | LlmbenchError]:
    """As `replies_of`; where one of them is asked in a route's place, a failure is an outcome like others."""
    if not any(each.seat for each in asked):
        return replies_of(jury, asked)
    found: dict[int, Reply | LlmbenchError] = {}
    for local, some in _places(jury, asked).items():
        wanted = [asked[place] for place in some]
        outcomes = _each_of_local(jury, local, wanted) if local else _each_of_remote(jury, wanted)
        found.update(zip(some, outcomes, strict=True))
    return [found[place] for place in range(len(asked))]


def _places(jury: Jury, asked: Sequence[Asked]) -> dict[str, list[int]]:
    """Model of this machine → places of what it is asked; all that is asked of others under an empty name."""
    places: dict[str, list[int]] = {}
    for place, each in enumerate(asked):
        places.setdefault("" if jury.session.is_remote(each.model) else each.model, []).append(place)
    return places


def booked(session: Session) -> Number:
    """Counts how often the test that runs now put the same to a route; what several tests share, in this call."""
    within = numbered()

    def number(put: Asked) -> int:
        return within(put) if put.behalf.shared else session.bookings.count(put.behalf.key, _put(put))

    return number


def _put(put: Asked) -> str:
    said = [put.model, [dict(each) for each in put.messages]]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _questions(jury: Jury, asked: Sequence[Asked]) -> list[Question]:
    before = Counter[tuple[str, str]]()
    return [_question(jury, each, before) for each in asked]


def _question(jury: Jury, asked: Asked, before: Counter[tuple[str, str]]) -> Question:
    question = jury.question(asked, before)
    return question if asked.behalf.shared or asked.seat else jury.session.bookings.book_planned(question)


def _of_remote(jury: Jury, asked: Sequence[Asked]) -> list[Reply]:
    replies = jury.session.asker.get_all(_questions(jury, asked))
    for reply in replies:
        jury.session.bookings.note(reply)
    return replies


def _each_of_remote(jury: Jury, asked: Sequence[Asked]) -> list[Reply | LlmbenchError]:
    """Each has an outcome of its own, also where it cannot even be tried out what a model takes."""
    found: dict[int, Reply | LlmbenchError] = {}
    questions: dict[int, Question] = {}
    before = Counter[tuple[str, str]]()
    for place, each in enumerate(asked):
        try:
            questions[place] = _question(jury, each, before)
        except (InfraError, OverBudgetError) as error:
            found[place] = error
    outcomes = jury.session.asker.get_each(list(questions.values())) if questions else []
    found.update(zip(questions, outcomes, strict=True))
    for outcome in outcomes:
        if isinstance(outcome, Reply):
            jury.session.bookings.note(outcome)
    return [found[place] for place in range(len(asked))]


def _of_local(jury: Jury, model: str, asked: Sequence[Asked]) -> list[Reply]:
    served, found = open_model(jury.session, model, role=jury.role), list[Reply]()
    for ordinal, some in groupby(asked, key=_ordinal):
        served.ordinal = ordinal
        found += served.answers([jury.request(model, each.messages, each.seat) for each in some])
    return found


def _ordinal(asked: Asked) -> int | None:
    """Of what is put to a route the same whoever of its models answers, so that it is found again; None: counted."""
    return None if asked.behalf.shared else asked.ordinal


def _each_of_local(jury: Jury, model: str, asked: Sequence[Asked]) -> list[Reply | LlmbenchError]:
    """One after the other: so each has an outcome of its own."""
    found: list[Reply | LlmbenchError] = []
    for each in asked:
        try:
            found += _of_local(jury, model, [each])
        except InfraError as error:
            found.append(error)
    return found


def tell_fallen_back(session: Session, paths: Sequence[Path]) -> None:
    """Tell whoever looks on where another model of a route was asked; not of tests that tell it when they run.

    Args:
        session: this process's.
        paths: of questions that are answered.
    """
    if not any(path.tries for path in paths) or session.bookings.is_ahead or (observer := session.observer) is None:
        return
    for path in paths:
        for tried in path.tries:
            said = f"{path.route.name}: {tried.model} {'was unsure' if tried.unsure else 'failed'} ({tried.why})"
            observer.notes(Note(Kind.FELL_BACK, said, model=tried.model, details={"route": path.route.name}))


def _silent(jury: Jury, why: str) -> Score:
    """Of a reply that nobody is asked about."""
    name = JUDGE if len(jury.models) == 1 else panel.NAME
    told = {"rubric": jury.rubric.name, "rubric_hash": jury.rubric.hash[:16]}
    return Score(name, state="unscored", reason=why, details=told, judged=True, advisory=jury.advises)


def _together(jury: Jury, scores: Sequence[Score]) -> Score:
    """One judge's score, or the panel's, which advises only where one whose vote was heard does, or would have."""
    if len(scores) == 1:
        return replace(scores[0], name=JUDGE)
    whole = panel.combined(scores, jury.judging.vote, jury.rubric.pass_at)
    told = {"rubric": jury.rubric.name, "rubric_hash": jury.rubric.hash[:16]}
    heard = [score for score in scores if score.state == "scored"]
    advisory = any(score.advisory for score in heard or scores)
    return replace(whole, judged=True, advisory=advisory, details={**told, **whole.details})
