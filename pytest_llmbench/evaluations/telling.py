"""What a test of a sample found out, put together and put into words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_llmbench.evaluations.asking import Answer, Asking
from pytest_llmbench.evaluations.reducing import reduced
from pytest_llmbench.evaluations.scoring import bound, disagreeing, is_advised, is_scored, value_of, verdict_of
from pytest_llmbench.judges import panel
from pytest_llmbench.records import Evaluation, Outcome, Sample, Score, Trial
from pytest_llmbench.redaction import redact, redact_values
from pytest_llmbench.results.advice import advice_of

_EXPECTED_LIMIT = 4000
_REPLY_SHOWN = 400
_SHOWN = 5
_REASON_SHOWN = 300
_OF_A_JUDGE = frozenset(
    {"judge", "rubric", "rubric_hash", "retried", "reply_id", "not_calibrated", "calibration", "how", "route"}
)
"""Details that quote nothing."""
CUT_SHORT = "the reply ended at its limit of tokens (request: {max_tokens: …}, or the model's context)"
ONCE_MORE = "asked because it was not right before (--only-failing): these samples say nothing of all the data"


def blank(asking: Asking, sample: Sample) -> Evaluation:
    """What is known before anything is asked."""
    return Evaluation(**_known(asking, sample))


def _known(asking: Asking, sample: Sample) -> dict[str, Any]:
    prepared = asking.prepared
    case, label = prepared.case, asking.label
    return {
        "use_case": case.name,
        "sample": sample.id,
        "title": case.title,
        "page": prepared.page,
        "tags": case.tags_of(sample),
        "slices": case.slices_of(sample),
        "prompt": label.variant,
        "prompt_version": label.version,
        "prompt_mode": label.mode,
        "reducer": case.reducer,
        "weight": prepared.weight_of(sample),
        "content": content_of(sample),
    }


def content_of(sample: Sample) -> str:
    """Hash of what is asked and of what is expected."""
    return hash_of([sample.input, sample.expected])


def hash_of(content: Any) -> str:
    """Of what is asked and expected, 12 characters."""
    told = json.dumps(content, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def evaluated(
    asking: Asking, sample: Sample, answers: Sequence[Answer], note: str = "", verdicts: Sequence[Score] = ()
) -> Evaluation:
    """What all trials say of a sample.

    Args:
        asking: who was asked, and how.
        sample: what.
        answers: of each trial.
        note: what has to be told of how they came.
        verdicts: what judges say, a score a trial; none where nobody judges.
    """
    return put_together(asking, sample, answers, scores_of(asking, sample, answers, verdicts), note)


def put_together(
    asking: Asking, sample: Sample, answers: Sequence[Answer], scores: Sequence[Sequence[Score]], note: str = ""
) -> Evaluation:
    """As `evaluated`, of trials that were scored: `scores` of each, see `scores_of`."""
    case = asking.prepared.case
    trials = [_trial(answer, each) for answer, each in zip(answers, scores, strict=True)]
    value, passed = reduced(trials, case.reducer)
    deciding = next((at for at, trial in enumerate(trials) if trial.passed is passed), 0)
    executed, disagreements = disagreeing(scores[deciding])
    found = Evaluation(
        **_known(asking, sample),
        value=value,
        passed=passed,
        scores=tuple(scores[deciding]),
        trials=tuple(trials),
        deciding=deciding,
        expected=_bounded(sample.expected),
        executed=executed,
        disagreements=disagreements,
        **_without_advice(scores, case.reducer),
        notes=tuple(_notes(asking, answers, note)),
    )
    return found if asking.session.settings.keep_prompts else without_content(found)


def scores_of(
    asking: Asking, sample: Sample, answers: Sequence[Answer], verdicts: Sequence[Score]
) -> list[list[Score]]:
    """Of each trial what the validators say, and then the judges."""
    case, may_execute = asking.prepared.case, asking.session.settings.allow_execute
    found = [list(case.scores(sample, answer.reply, may_execute=may_execute)) for answer in answers]
    for scores, verdict in zip(found, verdicts, strict=False):
        scores.append(verdict)
    return [list(map(cleaned, scores)) for scores in found]


def _without_advice(scores: Sequence[Sequence[Score]], reducer: str) -> dict[str, Any]:
    """What all trials come to without judges that only advise; nothing where none has a say."""
    if not any(map(is_advised, scores)):
        return {}
    bare = [bound(each) for each in scores]
    value, passed = reduced([Trial(*_worth(each)) for each in bare], reducer)
    return {"advised": True, "bound_value": value, "bound_passed": passed}


def _notes(asking: Asking, answers: Sequence[Answer], note: str) -> Iterator[str]:
    if note:
        yield note
    if any(call.finish_reason == "length" for answer in answers for call in answer.calls):
        yield CUT_SHORT
    if asking.session.settings.only_failing:
        yield ONCE_MORE


def outcome_of(found: Evaluation) -> Outcome:
    """How the test ended."""
    if found.passed is not None:
        return Outcome.RIGHT if found.passed else Outcome.WRONG
    return Outcome.RIGHT if found.value is not None and is_scored(found.scores) else Outcome.UNSCORED


def explained(found: Evaluation, answer: str) -> str:
    """Why a sample is wrong or unscored: which validators, why, and what came.

    Args:
        found: what was found out.
        answer: the text of the deciding trial; empty where it is not to be shown.
    """
    is_wrong = found.passed is False
    told = [score for score in found.scores if (score.passed is False if is_wrong else score.state != "scored")]
    lines = [f"{score.name}: {_shortened(score.reason, _REASON_SHOWN)}".rstrip(": ") for score in told[:_SHOWN]]
    if len(told) > _SHOWN:
        lines.append(f"and {len(told) - _SHOWN} more")
    if len(found.trials) > 1:
        lines.insert(0, _trials_told(found))
    if found.is_only_advised:
        lines.insert(0, f"this fails nothing: {advice_of(found.scores)}")
    if not lines:
        lines = ["nothing scored the reply"]
    if CUT_SHORT in found.notes:
        lines.append(CUT_SHORT)
    if answer:
        lines.append(f"the reply: {_shortened(answer, _REPLY_SHOWN)!r}")
    return "\n".join(lines)


def without_content(found: Evaluation) -> Evaluation:
    """Without what quotes a prompt, a reply or an expected answer: for runs that keep none."""
    return replace(
        found,
        expected=None,
        scores=tuple(map(_bare, found.scores)),
        trials=tuple(replace(trial, answer="") for trial in found.trials),
    )


def _bare(score: Score) -> Score:
    kept = {name: told for name, told in score.details.items() if score.judged and name in _OF_A_JUDGE}
    return replace(score, reason="", details=kept, parts=tuple(map(_bare, score.parts)))


def _trial(answer: Answer, scores: Sequence[Score]) -> Trial:
    merged = len(answer.calls) > 1
    ids = tuple(call.id for call in answer.calls)
    text = redact_values(answer.reply.text) if merged else ""
    judged = {part.name: part.value for score in scores if score.name == panel.NAME for part in score.parts}
    known = {name: value for name, value in judged.items() if value is not None}
    return Trial(*_worth(scores), ids, text, known)


def _worth(scores: Sequence[Score]) -> tuple[float | None, bool | None]:
    """Value and verdict; of a reply that is unscored neither."""
    return (value_of(scores), verdict_of(scores)) if is_scored(scores) else (None, None)


def _trials_told(found: Evaluation) -> str:
    passed = sum(trial.passed is True for trial in found.trials)
    return f"{passed} of {len(found.trials)} trials passed, reducer {found.reducer}; of trial {found.deciding + 1}:"


def _bounded(expected: Any) -> Any:
    """The expected answer as JSON, long texts cut; one that is long all the same as a cut text."""
    if expected is None:
        return None
    cut = redact_values(_cut(expected))
    text = json.dumps(cut, ensure_ascii=False, default=str)
    return cut if len(text) <= 2 * _EXPECTED_LIMIT else _shortened(text, _EXPECTED_LIMIT)


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return _shortened(value, _EXPECTED_LIMIT)
    if isinstance(value, Mapping):
        return {str(key): _cut(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def cleaned(score: Score) -> Score:
    """Without keys: what a validator tells may quote a reply."""
    if not (score.reason or score.details or score.parts):
        return score
    return replace(
        score,
        reason=redact(score.reason),
        details=redact_values(dict(score.details)),
        parts=tuple(map(cleaned, score.parts)),
    )
