"""The pick for one use: who is fit for it, who is best of these, and the sentence with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.results.advice_words import amount, difference, listed, memory, would_show
from pytest_llmbench.results.candidates import Candidate
from pytest_llmbench.results.criteria import ACCURACY, Criterion
from pytest_llmbench.results.duels import Duels
from pytest_llmbench.results.ranking import Beaten, Ranking, least, level, ranked
from pytest_llmbench.results.recommendations import NOT_COMPARED, THIN_BETWEEN, TIE, Constraints, Pick
from pytest_llmbench.results.uses import Use

_FEW_QUESTIONS = 100
"""Of fewer, a model that answers half of them right may be off by ten points (Wilson's 95 % interval)."""
_FEW_REQUESTS = 10
"""Of fewer, the 95 % interval of a median is as wide as all that was measured."""


def pick(use: Use, all_of: Sequence[Candidate], duels: Duels, unsteady: Mapping[str, str], wanted: Constraints) -> Pick:
    """The best configuration for a use.

    Args:
        use: what for.
        all_of: all candidates.
        duels: of them.
        unsteady: measurement's id → what it did that nobody is there to see, in words.
        wanted: what it has to keep.
    """
    measured = [each for each in all_of if use.profile in each.measurements]
    refused = {each.configuration: why for each in measured if (why := refusal(each, wanted, use.profile))}
    asked = [each for each in measured if each.configuration not in refused]
    if not asked:
        why = f"the profile {use.profile} was measured of none" if not measured else "none keeps what was asked for"
        return Pick(use.name, use.title, "", (), f"nothing can be said: {why}", why_not=tuple(_lines(refused)))
    unfit = _unfit(use, asked, duels, unsteady)
    unfit |= _unscored(use, [each for each in asked if each.configuration not in unfit])
    fit = [each for each in asked if each.configuration not in unfit]
    found = ranked(fit or asked, use.criteria, duels)
    told = {**refused, **(unfit if fit else {})}
    return Pick(
        use=use.name,
        title=use.title,
        configuration=found.best.configuration,
        measurement_ids=tuple(_rests_on(use, found.best)),
        sentence=_sentence(use, found, duels, none_fit=unfit if not fit else {}),
        evidence=tuple(_evidence(use, found.best)),
        ties=tuple(each.configuration for each in found.ties),
        why_not=(*_passed_over(found, all_of), *_beaten(found, all_of, duels), *_lines(told)),
        thin=THIN_BETWEEN.join(_thin(use, found, asked, duels)),
    )


def refusal(candidate: Candidate, wanted: Constraints, profile: str = "") -> str:
    """Why a configuration does not keep the constraints; empty where it does."""
    limits = (
        ("memory", candidate.memory_bytes(profile), wanted.max_memory_bytes),
        ("graphics memory", candidate.vram_bytes(profile), wanted.max_vram_bytes),
    )
    for what, taken, most in limits:
        if most is not None and taken is None:
            return f"its peak {what} was not measured"
        if most is not None and taken is not None and taken > most:
            return f"it takes {memory(taken)} of {what}, and {memory(most)} are allowed"
    tps = candidate.decode_tps()
    if wanted.min_tps is not None:
        if tps is None:
            return "its decode speed was not measured"
        if tps < wanted.min_tps:
            return f"it writes {amount(tps, 'tok/s')}, and {wanted.min_tps:g} tok/s are asked for"
    return ""


def _unfit(use: Use, asked: Sequence[Candidate], duels: Duels, unsteady: Mapping[str, str]) -> dict[str, str]:
    """Configuration → why it is not fit for the use.

    Whoever misses a bound is fit all the same where no difference from one that keeps it is shown: chance must not
    decide on which side of a line two equals fall.
    """
    found: dict[str, str] = {}
    for each in asked:
        cell = each.cells.get(use.profile)
        if cell is not None and cell.category == "poor":
            found[each.configuration] = cell.reason or "it is beyond the limits of the matrix"
    for each in asked if use.is_steady else ():
        if why := unsteady.get(each.measurements[use.profile].id):
            found[each.configuration] = why
    for bound in use.bounds:
        missed = {each.configuration for each in asked if each.is_poor(use.profile, bound.metric)}
        for one, other in permutations([each.configuration for each in asked], 2):
            is_asked = one not in missed and other in missed
            duel = duels.between(one, other, bound) if is_asked else None
            if duel is not None and duel.verdict == TIE:
                missed.discard(other)
        for each in asked:
            if each.configuration in missed and (value := level(each, bound)) is not None:
                found.setdefault(each.configuration, f"{_title(bound)} {_amount(value, bound)} is rated poor")
    return found


def _unscored(use: Use, fit: Sequence[Candidate]) -> dict[str, str]:
    """As `_unfit`, of a use that goes by answers first: whose were not scored, where those of others were."""
    if use.criteria[0] is not ACCURACY or all(each.right is None for each in fit):
        return {}
    why = "its answers were not scored (profile quality), and those of others were"
    return {each.configuration: why for each in fit if each.right is None}


def _sentence(use: Use, found: Ranking, duels: Duels, none_fit: Mapping[str, str]) -> str:
    best, parts = found.best.configuration, []
    if none_fit:
        parts.append(f"none is fit for {use.title} here ({none_fit[best]}), and this one comes nearest")
    by: dict[str, list[str]] = {}
    for name, beaten in found.beaten.items():
        by.setdefault(beaten.criterion.said, []).append(name)
    parts += [f"surely ahead of {listed(names)} in {title}" for title, names in by.items()]
    if found.ties:
        names = listed([each.configuration for each in found.ties])
        why = least(found.best, found.ties, use.criteria)
        parts.append(f"no difference from {names} was shown ({_counted(use, found, duels)}), and {why}")
    if found.passed_over:
        names = listed([each.configuration for each in found.passed_over])
        are = "is" if len(found.passed_over) == 1 else "are"
        parts.append(f"passed over {are} {names}, far less often right here, which chance may explain")
    if not parts:
        parts.append("it is the only one that was measured for it")
    return f"{best}: {'; '.join(parts)}"


def _counted(use: Use, found: Ranking, duels: Duels) -> str:
    """`20 questions, 10 requests`."""
    first = found.ties[0].configuration
    held = [(each, duels.between(found.best.configuration, first, each)) for each in use.criteria]
    told = [f"{duel.n} {each.counted}" for each, duel in held if duel and duel.verdict != NOT_COMPARED]
    return ", ".join(dict.fromkeys(told)) or "they could not be compared"


def _evidence(use: Use, best: Candidate) -> Iterator[str]:
    """The figures it was chosen by, then what it takes."""
    for criterion in dict.fromkeys((*use.bounds, *use.criteria, ACCURACY)):
        if (value := level(best, criterion)) is not None:
            yield f"{_title(criterion)} {_amount(value, criterion)}{_beside(criterion, best, value)}"
    if (taken := best.memory_bytes(use.profile)) is not None:
        yield f"peak memory {memory(taken)}"
    if on_cards := best.vram_bytes(use.profile):
        yield f"peak graphics memory {memory(on_cards)}"


def _beside(criterion: Criterion, best: Candidate, value: float) -> str:
    measured = best.measurements[criterion.profile]
    if criterion is ACCURACY and (right := best.right) is not None:
        ends = right.interval
        return f" of {right.n} questions (95 %: {100 * ends.low:.0f} to {100 * ends.high:.0f} %)"
    n = len(criterion.values(measured))
    word = METRICS[criterion.metric].word(value)
    if criterion.metric == "largest_context":
        word = f"enough for {word}"
    return f"{f' (n = {n})' if n else ''}{f', {word}' if word else ''}"


def _passed_over(found: Ranking, all_of: Sequence[Candidate]) -> Iterator[str]:
    named = {each.configuration: each for each in all_of}
    for each, by in found.passed_over.items():
        yield f"{_exactly(each, named[by.by], by)}, which chance may explain"


def _beaten(found: Ranking, all_of: Sequence[Candidate], duels: Duels) -> Iterator[str]:
    named = {each.configuration: each for each in all_of}
    for name, beaten in found.beaten.items():
        duel = duels.between(beaten.by, name, beaten.criterion)
        if duel is not None:
            yield f"{difference(duel)}, by {_title(beaten.criterion)}"
        else:
            yield _exactly(named[name], named[beaten.by], beaten)


def _exactly(candidate: Candidate, best: Candidate, beaten: Beaten) -> str:
    here, there = level(candidate, beaten.criterion), level(best, beaten.criterion)
    assert here is not None, "it was beaten by it"
    assert there is not None, "as above"
    sizes = f"{_amount(here, beaten.criterion)} against {_amount(there, beaten.criterion)} of {beaten.by}"
    return f"{candidate.configuration}: {_title(beaten.criterion)} {sizes}"


def _thin(use: Use, found: Ranking, asked: Sequence[Candidate], duels: Duels) -> Iterator[str]:
    """What there is too little of to be sure."""
    best = found.best
    if len(asked) == 1:
        yield "nothing else was measured for it"
    if ACCURACY in use.criteria:
        yield from _few_questions(best, found, duels)
    n = len(best.measurements[use.profile].asked)
    if n < _FEW_REQUESTS and use.profile != ACCURACY.profile:
        yield f"only {n} requests were made"
    for each in (*found.ties, *found.passed_over):
        for criterion in use.criteria:
            between = duels.between(best.configuration, each.configuration, criterion)
            if between is not None and between.verdict == NOT_COMPARED:
                yield f"{each.configuration} is not compared by {_title(criterion)}: {between.why}"


def _few_questions(best: Candidate, found: Ranking, duels: Duels) -> Iterator[str]:
    if best.right is None:
        yield "its answers were not scored (profile quality): nothing is known of how good they are"
    elif best.right.n < _FEW_QUESTIONS:
        others = (*found.ties, *found.passed_over)
        held = (duels.between(best.configuration, each.configuration, ACCURACY) for each in others)
        tie = next((duel for duel in held if duel is not None and duel.verdict == TIE), None)
        seen = would_show(tie, duels.tested) if tie else ""
        yield f"only {best.right.n} questions were asked"
        yield from [f"no difference of right answers below {seen} would show"] if seen else []


def _rests_on(use: Use, best: Candidate) -> Iterator[str]:
    profiles = dict.fromkeys((use.profile, *(each.profile for each in use.criteria)))
    yield from (best.measurements[name].id for name in profiles if name in best.measurements)


def _lines(reasons: Mapping[str, str]) -> Iterator[str]:
    yield from (f"{name}: {why}" for name, why in reasons.items())


def _title(criterion: Criterion) -> str:
    return METRICS[criterion.metric].title


def _amount(value: float, criterion: Criterion) -> str:
    return amount(value, METRICS[criterion.metric].unit)
