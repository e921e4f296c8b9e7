"""What is said about a matrix, for readers who never saw a benchmark: headline, counts, why a rating is what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_llmbench.matrix.reasons import Skip, meaning
from pytest_llmbench.metrics import METRICS, Direction
from pytest_llmbench.profiles.ratings import GRADES
from pytest_llmbench.records import CellState
from pytest_llmbench.reports.figures import quantity
from pytest_llmbench.reports.findings import GradeRow
from pytest_llmbench.reports.matrix_view import STATE_WORDS, CellView, MatrixView, SkipRow
from pytest_llmbench.reports.rows import ModelRow
from pytest_llmbench.results.recommendations import BETTER, TIE, WORSE, Advice, Pick

RATINGS: Mapping[str, str] = {
    "excellent": "better than is needed by half or more",
    "good": "better than is needed by a fifth or more",
    "acceptable": "as good as is needed",
    "poor": "worse than is needed, but usable",
    "failed": "not usable for this",
}
"""Grade → what it means, best first. What is needed stands beside each rating."""

USES: Mapping[str, tuple[str, str]] = {
    "interactive": ("Chat", "one person asks, and waits for the answer"),
    "long_context": ("Long texts", "long documents are read before the answer"),
    "batch": ("Many documents", "a stack of documents, as fast as possible"),
    "quality": ("Right answers", "questions with known answers"),
    "load": ("Several users", "several people ask at once"),
    "stress": ("Hours of work", "work without a pause: does it keep its speed?"),
}
"""Profile → what it is for, and what it does; one that is not ours keeps its name."""

_WHY_NOT: Mapping[str, str] = {
    Skip.MEMORY: "too large",
    Skip.LOAD_MEMORY: "too large",
    Skip.PREDICTED_MEMORY: "too large",
    Skip.LOAD_FAILED: "does not load",
    Skip.LOAD_TIMEOUT: "loads too slowly",
    Skip.UNSUPPORTED: "unknown kind",
    Skip.NO_GPU: "no GPU",
    Skip.POOR: "too slow",
    Skip.WORSE_THAN_POOR: "too slow",
    Skip.PREDICTED_SLOW: "too slow",
    Skip.TIME_BUDGET: "no time left",
    Skip.CRASH: "broken off",
}
_UNMEASURED: Mapping[str, str] = {CellState.FAILED: "bad", CellState.SKIPPED: "left", CellState.RUNNING: "left"}
_HEAT: Mapping[str, str] = {"excellent": "best", "good": "good", "acceptable": "fair", "poor": "warn", "failed": "bad"}


def headline(shown: MatrixView, advice: Advice) -> str:
    """The answer in one sentence, where there is one; no praise of what is not usable."""
    if advice.balanced and advice.balanced.configuration:
        name = advice.balanced.configuration
        unusable = unusable_for(shown, name)
        return f"{name} is the best of what was measured" if unusable else f"All in all, run {name} on this machine"
    found = [pick for pick in advice.picks if pick.configuration]
    if found:
        return f"For {found[0].title}, run {found[0].configuration} on this machine"
    return "No model can be recommended on this machine yet"


def unusable_for(shown: MatrixView, configuration: str) -> Sequence[str]:
    """The kinds of work for which a configuration is rated as not usable."""
    row = shown.row(configuration)
    return [use(cell.profile) for cell in row.cells if cell.rating == GRADES[-1]] if row else []


def but(shown: MatrixView, advice: Advice) -> str:
    """What has to be said beside the headline; empty where nothing does."""
    unusable = unusable_for(shown, advice.balanced.configuration) if advice.balanced else []
    if not unusable:
        return ""
    return f"Yet it is rated failed, not usable, for: {', '.join(unusable).lower()}."


def rests_on(shown: MatrixView, pick: Pick) -> Sequence[CellView]:
    """The measurements that a recommendation rests on."""
    return [cell for cell in shown.cells() if cell.measurement_id and cell.measurement_id in pick.measurement_ids]


def counts(shown: MatrixView) -> str:
    """`5 configurations of 2 models with 6 profiles: 24 measured, 5 skipped, 1 not chosen`."""
    models = len({row.model for row in shown.rows})
    of = f"{_number(len(shown.rows), 'configuration')} of {_number(models, 'model')}"
    states = Counter(cell.state for cell in shown.cells())
    told = ", ".join(f"{states[state]} {words}" for state, words in STATE_WORDS.items() if states[state])
    return f"{of}, {_number(len(shown.profiles), 'kind')} of work: {told}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def use(profile: str) -> str:
    """What a profile is for: `Chat`."""
    return USES[profile][0] if profile in USES else profile


def use_means(profile: str) -> str:
    """What a profile does; empty for one that is not ours."""
    return USES[profile][1] if profile in USES else ""


def heat(cell: CellView) -> str:
    """The class of a cell of the heatmap."""
    if cell.is_measured:
        return _HEAT.get(cell.rating, "plain")
    return _UNMEASURED.get(cell.state, "blank")


def heat_rank(cell: CellView) -> int:
    """What a cell sorts by: the better the smaller."""
    order = list(_HEAT)
    return order.index(cell.rating) if cell.rating in order else len(order) + (not cell.is_measured)


def heat_word(cell: CellView) -> str:
    """`good`; of what was not measured, why in two words: `too large`."""
    if cell.is_measured:
        return cell.rating or cell.state_words
    return _WHY_NOT.get(cell.category, cell.state_words)


def skip_means(category: str) -> str:
    """What a category of skips means; empty for one that a newer version stored."""
    return meaning(category)


def not_chosen(shown: MatrixView) -> Sequence[str]:
    """Why what nobody asked for was not measured, each reason once."""
    chosen_out = [skip for skip in shown.skips if skip.state == CellState.NOT_SELECTED and skip.reason]
    return list(dict.fromkeys(f"{', '.join(map(use, skip.profiles))}: {skip.reason}" for skip in chosen_out))


def left_out(shown: MatrixView) -> Sequence[SkipRow]:
    """What was asked for and not measured."""
    return [skip for skip in shown.skips if skip.state != CellState.NOT_SELECTED]


def sentence(configuration: str, text: str) -> str:
    """A sentence about a configuration whose name stands above it already."""
    told = text.removeprefix(configuration).removeprefix(":").strip() or text
    is_name = any(sign in told.partition(" ")[0] for sign in ":/_0123456789")
    return f"{told[:1] if is_name else told[:1].upper()}{told[1:].removesuffix('.')}."


def first_line(reason: str) -> str:
    """A reason without the log that it may come with."""
    return reason.partition("\n")[0]


def further_lines(reason: str) -> str:
    """The log that a reason came with."""
    return reason.partition("\n")[2].strip("\n")


def picks(advice: Advice) -> Sequence[Pick]:
    """What is recommended, the best balanced one first."""
    return [pick for pick in (advice.balanced, *advice.picks) if pick is not None and pick.configuration]


def no_picks(advice: Advice) -> Sequence[Pick]:
    """Uses for which nothing can be recommended."""
    return [pick for pick in advice.picks if not pick.configuration]


def compared(advice: Advice) -> Iterator[str]:
    """What a reader wants to know of quantizations: where answers became worse or better, and where none was shown."""
    of_answers = [each for each in advice.comparisons if each.metric == "accuracy"]
    different = [each for each in of_answers if each.verdict in {WORSE, BETTER}]
    yield from (sentence("", each.sentence) for each in different)
    alike = dict.fromkeys(each.configuration for each in of_answers if not each.part and each.verdict == TIE)
    if alike:
        counted = max(each.n for each in of_answers if not each.part)
        yield (
            f"No difference in right answers was shown for {', '.join(alike)} "
            f"(n = {counted}; that is no proof that there is none)."
        )
    if not of_answers:
        yield "Right answers were not compared: they were counted of fewer than two quantizations of one model."


def explain(grade: GradeRow) -> str:
    """Why one metric is graded as it is: `decode speed (p50): 44.2 tok/s is excellent (near instant); needed: ...`."""
    name = f"{grade.title}{f' in {grade.of}' if grade.of else ''}"
    if grade.value is None:
        return f"{name}: not measured"
    value = quantity(grade.value, grade.unit)
    said = f"{name}{f' ({grade.statistic})' if grade.statistic else ''}: {value}"
    if not grade.grade or grade.threshold is None:
        return f"{said}{f', {grade.words}' if grade.words else ''}; it has no part in the rating"
    words = f" ({grade.words})" if grade.words else ""
    lower = grade.metric in METRICS and METRICS[grade.metric].direction is Direction.LOWER
    most, beyond = ("at most", "above") if lower else ("at least", "below")
    needed = f"needed: {most} {quantity(grade.threshold, grade.unit)}"
    unusable = f", unusable {beyond} {quantity(grade.unusable, grade.unit)}" if grade.unusable is not None else ""
    return f"{said} is {grade.grade}{words}; {needed}{unusable}"


def held_words(shown: MatrixView) -> str:
    """How many predictions held; empty where none could be held against a measurement."""
    told = [each.held for each in shown.predictions if each.held is not None]
    if not told:
        return ""
    return f"{sum(told)} of {len(told)} predictions held; with 95 % intervals, 95 of 100 should."


def not_drawn(charts: Mapping[str, Any], models: Sequence[ModelRow]) -> Iterator[str]:
    """Why pictures that a reader may look for are not there."""
    for name, title in (("matrix/temperature", "temperature"), ("matrix/frequency", "clock frequency")):
        if name not in charts:
            reasons = [fact.value for row in models for fact in row.unavailable if fact.name == title]
            why = f": {reasons[0]}" if reasons else ""
            yield f"No picture of the {title}: this machine did not tell it{why}."
    if "matrix/quality-speed" not in charts:
        yield "No picture of quality: right answers were counted of fewer than two configurations."
