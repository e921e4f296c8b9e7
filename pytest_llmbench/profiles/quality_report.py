"""What a quality measurement says: accuracy with its interval, and whether another quantization answers better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_llmbench.bench import Conclusion
from pytest_llmbench.profiles import quality_logprobs as logprobs
from pytest_llmbench.profiles import quality_paired as paired
from pytest_llmbench.profiles.quality_answers import Answer, Count, answers, counts
from pytest_llmbench.records import Measurement, Table
from pytest_llmbench.stats import wilson

_SHOWN_ITEMS = 50
_FEW = 10
"""Questions of a category below which its share is said to be coarse."""


def conclude(measurement: Measurement, earlier: Sequence[Measurement]) -> Conclusion:
    """Accuracy over all, by category and by difficulty; the paired comparison with the reference; the text's odds.

    Args:
        measurement: complete but for its conclusion.
        earlier: the run's others of this profile.
    """
    given = answers(measurement)
    overall, by_category, by_difficulty = counts(given.values())
    reference, why_none = paired.find_reference(measurement, earlier)
    compared = paired.compare(measurement, reference) if reference else None
    text = logprobs.compare(measurement, reference) if reference else None
    parts = [_accuracy_in_words(overall)]
    parts += [_compared_in_words(compared)] if compared else []
    parts += [logprobs.in_words(text)] if text else []
    return Conclusion(
        sentence="; ".join(parts),
        scalars={**_accuracy(overall), **_own_text(measurement), **_against(compared), **_text_against(text)},
        tables=(
            _accuracy_table([overall, *by_category.values()], "category"),
            _accuracy_table(list(by_difficulty.values()), "difficulty"),
            *_comparison_tables(compared, given, reference),
            *_text_table(text, reference),
        ),
        notes=(
            *_reply_notes(overall, given.values(), measurement),
            *_small_parts(by_category.values()),
            *([why_none] if why_none else []),
            *_looking_back(measurement, earlier),
        ),
    )


def _accuracy(overall: Count) -> dict[str, float]:
    return {"accuracy": overall.right / overall.n} if overall.n else {}


def _own_text(measurement: Measurement) -> dict[str, float]:
    found = logprobs.perplexity(measurement)
    return {} if found is None else {"perplexity": found}


def _against(compared: paired.Comparison | None) -> dict[str, float]:
    if compared is None:
        return {}
    return {"accuracy_change": compared.overall.pairs.difference, "degraded": float(compared.degraded)}


def _text_against(text: logprobs.TextComparison | None) -> dict[str, float]:
    return {} if text is None else {"perplexity_ratio": text.ratio, "top1_agreement": text.agreement}


def _accuracy_in_words(overall: Count) -> str:
    if not overall.n:
        return "no answer could be scored"
    interval = wilson(overall.right, overall.n)
    cut_off = f", {overall.truncated} replies cut off before their end" if overall.truncated else ""
    return (
        f"{100 * overall.right / overall.n:.0f} % of {overall.n} questions answered right "
        f"({100 * interval.low:.0f}–{100 * interval.high:.0f} %){cut_off}"
    )


def _compared_in_words(compared: paired.Comparison) -> str:
    """The answer of the comparison: worse, better, or from what change on it would have shown."""
    overall, named = compared.overall, f"against {compared.reference}"
    pairs = overall.pairs
    counted = f"{len(compared.lost)} lost and {len(compared.won)} won of {pairs.n}"
    if overall.verdict != "no difference detectable":
        said = (
            f"significantly {overall.verdict} {named}: {_points(pairs.difference)} "
            f"({_points(pairs.low)} to {_points(pairs.high)}, {counted}, p = {pairs.p_value:.2g})"
        )
    else:
        said = f"{named} no difference detectable ({counted}, {_detectable(pairs.smallest_detectable)})"
    worse = [f"{part.name} (p = {part.p_adjusted:.2g})" for part in compared.categories if part.verdict == "worse"]
    return f"{said}; significantly worse in {', '.join(worse)}" if worse else said


def _detectable(change: float | None) -> str:
    if change is None:
        return "too few to detect any change"
    return f"smallest detectable change {_points(change).lstrip('+')}"


def _points(share: float) -> str:
    """A difference of two shares, in percentage points."""
    return f"{100 * share:+.0f} points"


def _accuracy_table(parts: list[Count], by: str) -> Table:
    return Table(
        name=f"accuracy_by_{by}",
        title=f"Right answers by {by}",
        columns=(by, "scored", "right", "accuracy", "low", "high", "unscored", "cut off"),
        units=("", "", "", "share", "share", "share", "", ""),
        rows=tuple(_accuracy_row(part) for part in parts),
        chart={"kind": "bars", "x": by, "y": ["accuracy"]},
        note="low and high: Wilson's 95 % interval. Unscored replies are no part of the accuracy.",
    )


def _accuracy_row(part: Count) -> tuple[float | str | None, ...]:
    if not part.n:
        return (part.part, 0, 0, None, None, None, part.unscored, part.truncated)
    interval = wilson(part.right, part.n)
    shares = (part.right / part.n, interval.low, interval.high)
    return (part.part, part.n, part.right, *shares, part.unscored, part.truncated)


def _comparison_tables(
    compared: paired.Comparison | None, given: dict[str, Answer], reference: Measurement | None
) -> tuple[Table, ...]:
    if compared is None or reference is None:
        return ()
    by_part = Table(
        name="against_reference",
        title=f"Item by item against {compared.reference}",
        columns=("category", "items", "lost", "won", "change", "low", "high", "p", "smallest detectable", "verdict"),
        units=("", "", "", "", "share", "share", "share", "", "share", ""),
        rows=tuple(_part_row(part) for part in (compared.overall, *compared.categories)),
        note="Exact McNemar test over the items that only one of the two got right; change with Tango's 95 % interval; "
        f"p of the categories after Holm's correction.{_left_out('items', compared.left_out)}",
    )
    return by_part, _changed_table(compared, given, answers(reference))


def _part_row(part: paired.Part) -> tuple[float | str | None, ...]:
    pairs = part.pairs
    change = (pairs.difference, pairs.low, pairs.high)
    found = (part.p_adjusted, pairs.smallest_detectable, part.verdict)
    return (part.name, pairs.n, pairs.b_only, pairs.a_only, *change, *found)


def _changed_table(compared: paired.Comparison, here: dict[str, Answer], there: dict[str, Answer]) -> Table:
    changed = [(item, "lost") for item in compared.lost] + [(item, "won") for item in compared.won]
    more = f"The first {_SHOWN_ITEMS} of {len(changed)}." if len(changed) > _SHOWN_ITEMS else ""
    return Table(
        name="changed_answers",
        title=f"Answers that only one of the two got right, against {compared.reference}",
        columns=("item", "category", "change", "read here", "read at the reference"),
        units=("",) * 5,
        rows=tuple(
            (item, here[item].category, change, here[item].extracted or None, there[item].extracted or None)
            for item, change in changed[:_SHOWN_ITEMS]
        ),
        note=more,
    )


def _text_table(text: logprobs.TextComparison | None, reference: Measurement | None) -> tuple[Table, ...]:
    if text is None or reference is None:
        return ()
    ratio, agreement = text.ratio_interval, text.agreement_interval
    return (
        Table(
            name="text_against_reference",
            title=f"One short text, token by token, against {reference.model}",
            columns=("figure", "tokens", "value", "low", "high", "verdict"),
            units=("",) * 6,
            rows=(
                ("perplexity ratio", text.n, text.ratio, ratio.low, ratio.high, logprobs.verdict(text)),
                ("same likeliest token", text.places, text.agreement, agreement.low, agreement.high, None),
            ),
            note="Teacher-forced, one token a request; 95 % intervals, paired over tokens."
            + _left_out("tokens", text.left_out),
        ),
    )


def _left_out(what: str, count: int) -> str:
    return f" {count} {what} were left out: one of the two has no value for them." if count else ""


def _reply_notes(overall: Count, given: Iterable[Answer], measurement: Measurement) -> list[str]:
    notes = []
    if overall.unscored:
        reason = next(a.unscored for a in given if a.unscored)
        notes.append(f"{overall.unscored} replies could not be scored and count neither way: {reason}")
    if overall.truncated:
        limit = measurement.settings.get("output_tokens")
        notes.append(f"{overall.truncated} replies were cut off at {limit} tokens: give more output_tokens")
    if unsteady := sum(1 for a in given if not a.steady):
        notes.append(f"{unsteady} items were answered now right, now wrong in their repeats: the majority decides")
    return notes


def _small_parts(categories: Iterable[Count]) -> list[str]:
    """That a category of a few questions is a coarse measure, and the worst of several a harsh one."""
    sizes = [part.n for part in categories if part.n]
    if not sizes or min(sizes) >= _FEW:
        return []
    few, most = min(sizes), max(sizes)
    span = f"{few}" if few == most else f"{few} to {most}"
    asked = f"{span} question{'' if most == 1 else 's'}"
    moved = f"one answer more or less moves a category by up to {100 / few:.0f} points"
    return [f"the grade is that of the worst category; with {asked} in each, {moved}"]


def _looking_back(measurement: Measurement, earlier: Sequence[Measurement]) -> list[str]:
    """The comparisons that earlier, smaller quantizations could not make, because this one was not there yet."""
    found = [paired.compare(other, measurement) for other in paired.compared_with_this(measurement, earlier)]
    return [f"{each.here}: {_compared_in_words(each)}" for each in found if each]
