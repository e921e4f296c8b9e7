"""What to know before running a configuration: it slowed down, throttled, swapped, ran hot, took too much memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.profiles.machine_readings import memory_note, parts, readings, swapped, throttled
from pytest_llmbench.profiles.stress_findings import speed_drift, speed_step
from pytest_llmbench.records import Measurement, MonitorSample
from pytest_llmbench.results.candidates import Candidate
from pytest_llmbench.results.comparability import MOST_DIRTY
from pytest_llmbench.results.criteria import windows_of
from pytest_llmbench.results.recommendations import WORSE, Caution, QuantComparison

UNSTEADY = frozenset({"slowing", "throttling", "swapping", "memory_growth", "ended_early"})
"""What a configuration that nobody watches must not do."""


def cautions(all_of: Sequence[Candidate], comparisons: Sequence[QuantComparison]) -> tuple[Caution, ...]:
    """All that is to be said of some candidates, each thing once.

    Args:
        all_of: the candidates.
        comparisons: of quantizations, in which some may have lost.
    """
    found = [
        Caution("degradation", each.configuration, each.sentence.removeprefix(f"{each.configuration} "))
        for each in comparisons
        if each.metric == "accuracy" and each.verdict == WORSE
    ]
    found += [caution for each in all_of for caution in _of_candidate(each)]
    found += _same_files(all_of)
    found += [caution for each in all_of for caution in _disturbed(each)]
    return tuple(dict.fromkeys(found))


def told_once(warnings: Sequence[Caution]) -> list[tuple[tuple[str, ...], str]]:
    """Each sentence once, with all configurations that it holds for, in their order."""
    names: dict[str, list[str]] = {}
    for each in warnings:
        names.setdefault(each.sentence, []).append(each.configuration)
    return [(tuple(dict.fromkeys(found)), told) for told, found in names.items()]


def _of_candidate(candidate: Candidate) -> Iterator[Caution]:
    _, _, origin = candidate.model.partition(" (requantized from ")
    if origin:
        told = f"made from {origin.rstrip(')')} and not from the original, so no better than that"
        yield Caution("requantized", candidate.configuration, told)
    for measured in candidate.measurements.values():
        for kind, look in _LOOKS.items():
            for sentence in look(measured):
                yield Caution(kind, candidate.configuration, f"{measured.profile}: {sentence}", measured.id)


def _throttling(measured: Measurement) -> Iterator[str]:
    yield from _in_parts(measured, throttled)


def _swapping(measured: Measurement) -> Iterator[str]:
    yield from _in_parts(measured, swapped)


def _in_parts(measured: Measurement, look: Callable[[Sequence[MonitorSample]], Iterator[str]]) -> Iterator[str]:
    for samples in parts(measured.samples):
        yield from look(samples)


def _heat(measured: Measurement) -> Iterator[str]:
    limit = METRICS["temperature_c"].marks.threshold
    hottest = max((value for _, value in readings(measured.samples, "temperature_c")), default=None)
    if hottest is not None and limit is not None and hottest >= limit:
        yield f"the processor reached {hottest:.0f} °C"


def _memory(measured: Measurement) -> Iterator[str]:
    limit, share = METRICS["memory_share"].marks.threshold, measured.scalars.get("memory_share")
    if share is not None and limit is not None and share > limit:
        yield f"the server took {share:.0%} of the memory there is: it leaves little room before the machine swaps"


def _growth(measured: Measurement) -> Iterator[str]:
    if measured.profile == "stress" and (note := memory_note(readings(measured.samples, "rss_bytes"), "under load")):
        yield note


def _slowing(measured: Measurement) -> Iterator[str]:
    if measured.profile != "stress":
        return
    found = windows_of(measured)
    if not found:
        return
    trend, step = speed_drift(found), speed_step(found)
    if trend.found and (trend.change or 0.0) < 0:
        yield f"its speed fell over the whole time: {trend.interval()}"
    elif step is not None and step.change < 0:
        yield f"its speed fell from {step.before_tps:.3g} to {step.after_tps:.3g} tokens/s on the way"


def _ended_early(measured: Measurement) -> Iterator[str]:
    reasons = (str(each.labels["aborted"]) for each in measured.counted if "aborted" in each.labels)
    yield from (f"it was ended early, because {reason}" for reason in list(reasons)[:1])


def _disturbed(candidate: Candidate) -> Iterator[Caution]:
    """Others used the machine; answers do not depend on that."""
    told = []
    for measured in candidate.measurements.values():
        dirty, n = sum(bool(each.dirty) for each in measured.asked), len(measured.asked)
        if dirty > MOST_DIRTY * n and measured.profile != "quality":
            told.append(f"{measured.profile} {dirty:,} of {n:,}")
    if told:
        sentence = f"others used the machine during requests ({', '.join(told)}): its times say little"
        yield Caution("disturbed", candidate.configuration, sentence)


_LOOKS: dict[str, Callable[[Measurement], Iterator[str]]] = {
    "ended_early": _ended_early,
    "slowing": _slowing,
    "throttling": _throttling,
    "swapping": _swapping,
    "heat": _heat,
    "memory": _memory,
    "memory_growth": _growth,
}
"""Kind of caution → what of it is to be said of a measurement."""


def _same_files(all_of: Sequence[Candidate]) -> Iterator[Caution]:
    for one, other in combinations(all_of, 2):
        hashes = [_file_hash(each) for each in (one, other)]
        if one.model != other.model and hashes[0] and hashes[0] == hashes[1]:
            told = f"it is the same file as {one.configuration}: what differs between the two is chance"
            yield Caution("same_file", other.configuration, told)


def _file_hash(candidate: Candidate) -> str:
    subjects = (each.settings.get("subject") or {} for each in candidate.measurements.values())
    return next((str(subject["sha256"]) for subject in subjects if subject.get("sha256")), "")
