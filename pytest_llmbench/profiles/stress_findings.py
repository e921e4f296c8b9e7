"""What a long load tells: the speed that is kept up, against that of the first minutes, and why it fell."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_llmbench import stats
from pytest_llmbench.bench import Conclusion
from pytest_llmbench.profiles.machine_readings import (
    cpu_per_token,
    hottest,
    machine_notes,
    memory_note,
    memory_table,
    readings,
    within,
)
from pytest_llmbench.profiles.over_time import WORTH_SAYING, Drift, drift
from pytest_llmbench.profiles.stress_windows import Window, overall_tps, windows
from pytest_llmbench.profiles.words import figure
from pytest_llmbench.records import Measurement, Table

_ALPHA = 0.025
"""Two tests look for a change, a trend and a step: together they call a steady machine changing in 5 % at most."""
_FEWEST_WINDOWS = 6
"""In each of the two stretches that are compared; of fewer a median has no interval."""
_GHZ = 1e9


@dataclass(frozen=True, slots=True)
class Step:
    """A sudden change of speed."""

    at_s: float
    before_tps: float
    after_tps: float

    @property
    def change(self) -> float:
        return self.after_tps / self.before_tps - 1


@dataclass(frozen=True, slots=True)
class Kept:
    """The speed of the last third as a share of that of the first tenth, medians of windows."""

    burst_tps: float
    sustained_tps: float
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.sustained_tps / self.burst_tps


def conclude(measurement: Measurement, earlier: Sequence[Measurement]) -> Conclusion:  # noqa: ARG001 - every profile's
    """Sustained speed, whether it fell, and whether and why the load was ended early."""
    done = [each for each in measurement.counted if each.at_s is not None]
    found = windows(done, float(measurement.settings["window_s"]))
    aborted = next((str(each.labels["aborted"]) for each in done if "aborted" in each.labels), "")
    if not any(window.tokens for window in found):
        return Conclusion(_ended("no speed was measured", aborted, measurement, found), hottest(measurement))
    trend, step, kept = speed_drift(found), speed_step(found), kept_share(found)
    scalars = {
        "sustained_tps": overall_tps(last_stretch(found)),
        **cpu_per_token(measurement, done),
        **hottest(measurement),
    }
    if kept is not None:
        scalars["kept_share"] = kept.share
    sentence = _ended(_sentence(found, trend, step, kept), aborted, measurement, found)
    tables = (_table(measurement, found), *memory_table(measurement))
    return Conclusion(sentence, scalars, tables, tuple(_notes(measurement, found, trend)))


def speed_drift(found: Sequence[Window]) -> Drift:
    """The trend of the windows' speeds."""
    return drift([window.middle_s for window in found], [window.tps for window in found], alpha=_ALPHA)


def speed_step(found: Sequence[Window]) -> Step | None:
    """A step that is sure and large enough to matter."""
    change = stats.change_point([window.tps for window in found], alpha=_ALPHA)
    if change is None or not change.before:
        return None
    step = Step(found[change.index].from_s, change.before, change.after)
    return step if abs(step.change) >= WORTH_SAYING else None


def last_stretch(found: Sequence[Window]) -> Sequence[Window]:
    """The last third, what is kept up after all; everything where there are too few windows to leave any out."""
    if len(found) < 2 * _FEWEST_WINDOWS:
        return found
    return found[-max(_FEWEST_WINDOWS, len(found) // 3) :]


def kept_share(found: Sequence[Window]) -> Kept | None:
    """Sustained against burst speed; None where there are too few windows to tell them apart."""
    if len(found) < 2 * _FEWEST_WINDOWS:
        return None
    burst = [window.tps for window in found[: max(_FEWEST_WINDOWS, len(found) // 10)]]
    sustained = [window.tps for window in last_stretch(found)]
    if not statistics.median(burst):
        return None
    spread = stats.ratio_interval(sustained, burst, in_order=True)
    return Kept(statistics.median(burst), statistics.median(sustained), spread.low, spread.high)


def _sentence(found: Sequence[Window], trend: Drift, step: Step | None, kept: Kept | None) -> str:
    told = f"{overall_tps(found):.3g} tokens/s over {_span(found)} without a pause"
    if kept is not None:
        told += f", at the end {kept.share * 100:.0f} % of the first {kept.burst_tps:.3g} tokens/s{_interval(kept)}"
    if step is not None:
        when = _duration(step.at_s - found[0].from_s)
        told += f"; it {_fell(step.change)} after {when} from {step.before_tps:.3g} to {step.after_tps:.3g} tokens/s"
    if trend.found:
        told += f"; over the whole time it {_fell(trend.change or 0.0)}: {trend.interval()}"
    return told


def _interval(kept: Kept) -> str:
    if not (math.isfinite(kept.low) and math.isfinite(kept.high)):
        return ""
    return f" (95 %: {kept.low * 100:.0f} to {kept.high * 100:.0f} %)"


def _fell(change: float) -> str:
    return "fell" if change < 0 else "rose"


def _ended(sentence: str, aborted: str, measurement: Measurement, found: Sequence[Window]) -> str:
    if not aborted:
        return sentence
    meant = _duration(float(measurement.settings["seconds"]))
    return f"ended early, after {_span(found)} of {meant}, because {aborted}; until then: {sentence}"


def _span(found: Sequence[Window]) -> str:
    return _duration(found[-1].to_s - found[0].from_s) if found else "less than a window"


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.3g} min"


def _notes(measurement: Measurement, found: Sequence[Window], trend: Drift) -> Iterator[str]:
    if (users := int(measurement.settings.get("concurrency", 1))) > 1:
        each = figure(overall_tps(found) / users)
        yield f"the speed, and its grade, is that of {users} requests together; each of them got about {each} tokens/s"
    if trend.change is None:
        yield f"too few windows ({len(found)}) to tell a trend of the speed"
    elif not trend.found:
        yield f"no degradation shown; the speed changed by {trend.interval()} over the whole time"
    if note := memory_note(readings(measurement.samples, "rss_bytes"), "under load"):
        yield note
    yield from machine_notes(measurement)


_READ = (("temperature", "°C", "temperature_c", 1.0), ("clock", "GHz", "frequency_hz", 1 / _GHZ))


def _table(measurement: Measurement, found: Sequence[Window]) -> Table:
    """Speed over time, beside it what could be read of heat and clock."""
    read = [(each, readings(measurement.samples, each[2])) for each in _READ]
    read = [(each, points) for each, points in read if points]
    rows = []
    for window in found:
        machine = [_mean(within(points, window.from_s, window.to_s), each[3]) for each, points in read]
        rows.append((window.to_s - found[0].from_s, window.tps, *machine))
    columns = ("time", "speed", *(each[0] for each, _ in read))
    units = ("s", "tok/s", *(each[1] for each, _ in read))
    chart = {"kind": "line", "x": "time", "y": ["speed"]}
    note = "tokens generated in each window / its length, pauses between requests and reading of prompts included"
    return Table("speed_over_time", "Speed over time", columns, units, tuple(rows), chart, note)


def _mean(values: Sequence[float], scale: float) -> float | None:
    return statistics.fmean(values) * scale if values else None
