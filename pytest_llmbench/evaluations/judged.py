"""Judges asked: each reply by every judge, once more where a verdict cannot be used, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from pytest_llmbench.asker.estimates import ANSWER_TOKENS, CHARACTERS_A_TOKEN
from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients.request import Message
from pytest_llmbench.evaluations.asking import Answer, Asking
from pytest_llmbench.evaluations.jury import Asked, Behalf, Jury, matter_of
from pytest_llmbench.judges import asking as judge_asking
from pytest_llmbench.judges import panel, verdict
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.records import JudgeCalibration, Reply, Sample, Score
from pytest_llmbench.serving import open_model

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


def foreseen_verdicts(asking: Asking, sample: Sample, behalf: Behalf) -> list[Question]:
    """What judges behind an API would be asked of replies of an assumed length."""
    jury, case = asking.prepared.jury, asking.prepared.case
    if jury is None:
        return []
    matters = [matter_of(case, jury.rubric, sample, _ASSUMED_REPLY)] * case.repeats
    asked = jury.first(matters, [behalf] * case.repeats)
    return jury.questions([each for each in asked if jury.session.is_remote(each.model)])


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
        InfraError: a judge could not be asked.
    """
    told = iter(_told(jury, jury.first(matters, behalves)))
    missing = [judge_asking.lacking(jury.rubric, matter) for matter in matters]
    return [_silent(jury, why) if why else _together(jury, list(islice(told, len(jury.models)))) for why in missing]


def _told(jury: Jury, asked: Sequence[Asked]) -> list[Score]:
    """What each says; once more where that cannot be used."""
    replies = replies_of(jury, asked)
    scores = [scored(jury, each, reply) for each, reply in zip(asked, replies, strict=True)]
    again = retries(asked, replies, scores)
    for place, reply in zip(again, replies_of(jury, list(again.values())), strict=True):
        second = scored(jury, asked[place], reply)
        scores[place] = replace(second, details={**second.details, "retried": True})
    return scores


def retries(asked: Sequence[Asked], replies: Sequence[Reply], scores: Sequence[Score]) -> dict[int, Asked]:
    """What is asked once more, and in place of which: a verdict that could not be used, with what was wrong."""
    told = {place: verdict.complaint_of(score) for place, score in enumerate(scores)}
    return {
        place: replace(asked[place], messages=_again(asked[place], replies[place], what))
        for place, what in told.items()
        if what is not None
    }


def scored(jury: Jury, asked: Asked, reply: Reply) -> Score:
    """What one judge says."""
    model, rubric = asked.model, jury.rubric
    found = verdict.score_of(rubric, reply.text, judge=model, matter=asked.matter)
    known = jury.standings[model]
    advisory = not (jury.judging.binding or known.is_enough)
    told: dict[str, Any] = {"reply_id": reply.id}
    if not known.is_enough:
        told["not_calibrated"] = known.why
    if known.calibration is not None:
        told["calibration"] = _shown_of(known.calibration)
    return replace(found, advisory=advisory, details={**found.details, **told})


def _shown_of(known: JudgeCalibration) -> dict[str, Any]:
    """What reports need of a calibration as it was when it was relied upon."""
    return {
        "n": known.n,
        "kappa": known.kappa,
        "agreement": known.agreement,
        "sensitivity": known.sensitivity,
        "specificity": known.specificity,
        "run": known.run,
    }


def _again(asked: Asked, reply: Reply, what: str) -> Sequence[Message]:
    return judge_asking.retry_messages(list(asked.messages), reply.text, what)


def replies_of(jury: Jury, asked: Sequence[Asked]) -> list[Reply]:
    """What judges answer, in the order in which they are asked; each model of this machine after the other."""
    places: dict[str, list[int]] = {}
    for place, each in enumerate(asked):
        places.setdefault("" if jury.session.is_remote(each.model) else each.model, []).append(place)
    found: dict[int, Reply] = {}
    for local, some in places.items():
        wanted = [asked[place] for place in some]
        found.update(zip(some, _of_local(jury, local, wanted) if local else _of_remote(jury, wanted), strict=True))
    return [found[place] for place in range(len(asked))]


def _of_remote(jury: Jury, asked: Sequence[Asked]) -> list[Reply]:
    bookings = jury.session.bookings
    questions = [
        question if each.behalf.shared else bookings.book_planned(question)
        for each, question in zip(asked, jury.questions(asked), strict=True)
    ]
    replies = jury.session.asker.get_all(questions)
    for reply in replies:
        bookings.note(reply)
    return replies


def _of_local(jury: Jury, model: str, asked: Sequence[Asked]) -> list[Reply]:
    requests = [jury.request(model, each.messages) for each in asked]
    return open_model(jury.session, model, role=jury.role).answers(requests)


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
