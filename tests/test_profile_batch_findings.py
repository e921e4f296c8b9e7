"""What a batch tells: drift hidden in a mean, lengths that look like drift, what slots bring, resumed batches."""

from __future__ import annotations

import dataclasses
import math
import statistics

import pytest
from long_profiles import batch_of, in_parallel, one_after_another, sampled, slower_by, varied_sizes

from pytest_llmbench.profiles.batch_findings import conclude, cpu_per_document_s
from pytest_llmbench.profiles.batch_levels import levels, speedup
from pytest_llmbench.records import Repetition, Usage

SIZES = varied_sizes(30)
EQUAL = [300] * 30


def test_a_drift_of_a_fifth_is_found_though_the_mean_is_right() -> None:
    """The mean of the drifting series is that of the steady one; only its order tells the difference."""
    steady = list(one_after_another(EQUAL, noise=0.02))
    drifting = list(one_after_another(EQUAL, slower_by(0.2), noise=0.02))
    means = [statistics.fmean(r.metrics["e2e_s"] for r in series) for series in (steady, drifting)]
    assert means[0] == pytest.approx(means[1], rel=0.01)
    assert not levels(batch_of(steady))[0].drift.found
    found = levels(batch_of(drifting))[0].drift
    assert found.found
    assert found.low <= 0.2 <= found.high
    assert "became slower: time per document +2" in conclude(batch_of(drifting), ()).sentence


def test_a_steady_machine_is_called_a_drifting_one_in_a_twentieth_of_the_cases_at_most() -> None:
    """Over 200 batches of noise alone; a test of two points, or of halves without an interval, flags far more."""
    flagged = sum(
        levels(batch_of(list(one_after_another(SIZES, noise=0.1, seed=seed))))[0].drift.found for seed in range(200)
    )
    assert flagged <= 10


def test_an_outlier_at_the_end_is_no_drift() -> None:
    """The last document took four times as long: a trend through two points, or a least-squares line, rises by it."""
    series = list(one_after_another(EQUAL, noise=0.02))
    late = dataclasses.replace(series[-1], metrics={k: 4 * v for k, v in series[-1].metrics.items()})
    drift = levels(batch_of([*series[:-1], late]))[0].drift
    assert not drift.found
    assert abs(drift.change or 0) < 0.05


def test_documents_that_grow_longer_are_no_drift_and_hide_none() -> None:
    """Time is set against what the tokens cost: rising lengths alone are flat, falling ones do not cover a slowdown."""
    assert not levels(batch_of(list(one_after_another(sorted(SIZES), noise=0.02))))[0].drift.found
    falling = list(one_after_another(sorted(SIZES, reverse=True), slower_by(0.2), noise=0.02))
    assert falling[-1].metrics["e2e_s"] < falling[0].metrics["e2e_s"]
    found = levels(batch_of(falling))[0].drift
    assert found.found
    assert (found.change or 0) > 0.1


def test_a_server_that_tells_no_tokens_is_judged_by_plain_seconds() -> None:
    """Less is known, and the drift is still found in documents of one length."""
    series = [dataclasses.replace(r, usage=Usage()) for r in one_after_another(EQUAL, slower_by(0.3), noise=0.02)]
    assert levels(batch_of(series))[0].drift.found


def test_what_is_too_few_for_a_trend_is_said_to_be() -> None:
    """Neither a drift nor the absence of one."""
    told = conclude(batch_of(list(one_after_another([200] * 4, slower_by(1.0)))), ())
    assert "one after another: too few documents one after the other (4) to tell a drift" in told.notes
    assert "became" not in told.sentence


@pytest.mark.parametrize("gain", [0.7, 1.6, 3.2])
def test_the_speed_up_is_that_of_the_machine_within_its_interval(gain: float) -> None:
    """Four slots on machines that lose, win a little and win nearly all by them."""
    sizes = varied_sizes(120)
    done = [*one_after_another(sizes, noise=0.05), *in_parallel(sizes, 4, gain, noise=0.05)]
    first, second = levels(batch_of(done))
    found = speedup(first, second)
    assert found.times == pytest.approx(gain, rel=0.04)
    assert found.high - found.low < 0.1 * gain
    assert found.sure == (gain > 1)


def test_the_interval_of_the_speed_up_holds_the_truth_nineteen_times_in_twenty() -> None:
    """Documents are compared with themselves: their lengths, which differ tenfold, do not widen it."""
    held, widths = 0, []
    for seed in range(100):
        sizes = varied_sizes(40, seed=seed * 50)
        done = [
            *one_after_another(sizes, noise=0.1, seed=seed),
            *in_parallel(sizes, 1, 1.5, noise=0.1, seed=seed + 500),
        ]
        done = [dataclasses.replace(r, labels={**r.labels, "slots": 2}) if r.index >= 1000 else r for r in done]
        found = speedup(*levels(batch_of(done)))
        held += found.low <= 1.5 <= found.high
        widths.append(found.high - found.low)
    assert held >= 88
    assert statistics.median(widths) < 0.25


def test_slots_that_bring_nothing_are_said_to_bring_nothing() -> None:
    """The hourly figure stays that of one after another unless several slots are surely faster."""
    done = [*one_after_another(SIZES, noise=0.1), *in_parallel(SIZES, 4, 1.0, noise=0.1)]
    told = conclude(batch_of(done), ())
    assert "no sure gain" in told.sentence or "slower" in told.sentence
    assert told.scalars["documents_per_hour"] == pytest.approx(levels(batch_of(done))[0].per_hour)


def test_slots_that_are_surely_faster_give_the_documents_an_hour() -> None:
    done = [*one_after_another(SIZES, noise=0.05), *in_parallel(SIZES, 4, 2.0, noise=0.05)]
    told = conclude(batch_of(done), ())
    first, second = levels(batch_of(done))
    assert told.scalars["documents_per_hour"] == second.per_hour
    assert told.scalars["speedup"] == pytest.approx(second.per_hour / first.per_hour)
    slots = next(table for table in told.tables if table.name == "slots")
    assert [row[0] for row in slots.rows] == [1, 4]
    assert all(len(row) == len(slots.columns) == len(slots.units) for row in slots.rows)


def test_documents_an_hour_leave_out_what_was_taken_again_and_pauses_between_requests() -> None:
    """A repetition that others disturbed takes wall time, but none of the machine's time for documents."""
    series = list(one_after_another([300] * 10))
    each_s = series[0].metrics["e2e_s"]
    apart = [dataclasses.replace(r, at_s=(r.at_s or 0) * 3) for r in series]
    again = dataclasses.replace(apart[4], index=1_000_004, superseded=True, at_s=(apart[4].at_s or 0) + each_s)
    assert levels(batch_of([*apart, again]))[0].per_hour == pytest.approx(3600 / each_s)


def test_the_parts_of_an_interrupted_batch_are_joined_without_the_pause() -> None:
    """Their clocks begin at 0 each; the drift goes on through both, and the time at work is the sum."""
    whole = list(one_after_another(EQUAL, slower_by(0.2), noise=0.02))
    begun_s = whole[15].at_s or 0.0
    later = [dataclasses.replace(r, at_s=(r.at_s or 0.0) - begun_s, labels={**r.labels, "part": 2}) for r in whole[15:]]
    joined, at_once = (levels(batch_of(series))[0] for series in ([*whole[:15], *later], whole))
    assert joined.busy_s == pytest.approx(at_once.busy_s)
    assert joined.drift.change == pytest.approx(at_once.drift.change)
    assert any("interrupted" in note for note in conclude(batch_of([*whole[:15], *later]), ()).notes)


def test_requests_begun_together_count_once_in_the_trend() -> None:
    """Two waves of four are two points in time: eight values would pretend to a trend that nobody can know."""
    done = list(in_parallel([300] * 8, 4, 2.0))
    assert levels(batch_of(done))[0].drift.n == 2


def test_memory_that_grows_all_the_time_is_told_and_a_server_that_settles_is_not() -> None:
    """One MiB a second is a leak; a rise in the first seconds that stays is none."""
    done = list(one_after_another(SIZES * 2))
    seconds = int((done[-1].at_s or 0) + 1)
    leaking = sampled(seconds, rss_bytes=lambda at_s: 2e8 + at_s * 2**20)
    settling = sampled(seconds, rss_bytes=lambda at_s: 2e8 + min(at_s, 20) * 2**20)
    assert any("memory grew all the time" in note for note in conclude(batch_of(done, samples=leaking), ()).notes)
    told = conclude(batch_of(done, samples=settling), ())
    assert not any("grew" in note for note in told.notes)
    assert [table.name for table in told.tables] == ["slots", "documents_over_time", "memory_over_time"]
    assert len(told.tables[-1].rows) <= 120


def test_cpu_time_of_a_document_is_told_beside_its_wall_time() -> None:
    """Half a core over the whole pass: half of the wall time a document took; too short a pass tells nothing."""
    done = list(one_after_another(SIZES))
    busy_s = levels(batch_of(done))[0].busy_s
    half = sampled(int(busy_s) + 5, server_cpu_s=lambda at_s: at_s / 2)
    level = levels(batch_of(done))[0]
    assert cpu_per_document_s(batch_of(done, samples=half), level) == pytest.approx(busy_s / 30 / 2)
    assert cpu_per_document_s(batch_of(done, samples=half[:4]), level) is None
    assert cpu_per_document_s(batch_of(done, samples=(*half, *half)), level) is None


def test_cpu_time_tells_what_slots_cost_where_others_disturb_the_wall_clock() -> None:
    """Both passes in one sentence, so that they can be compared."""
    alone = list(one_after_another(SIZES))
    end_s = (alone[-1].at_s or 0) + alone[-1].metrics["e2e_s"]
    done = [*alone, *in_parallel(SIZES, 4, 2.0, begin_s=end_s)]
    samples = sampled(200, server_cpu_s=lambda at_s: at_s)
    first, second = levels(batch_of(done))
    (note,) = [note for note in conclude(batch_of(done, samples=samples), ()).notes if "CPU" in note]
    assert note == (
        f"CPU time of the server for one document: {first.busy_s / 30:.3g} s one after another, "
        f"{second.busy_s / 30:.3g} s with 4 slots"
    )


def test_the_machine_is_told_of_where_it_explains_the_figures() -> None:
    """Heat, a slower clock, swapping and others at work, each with its number; what cannot be read, with the reason."""
    done = list(one_after_another(SIZES))
    samples = sampled(
        60,
        temperature_c=lambda at_s: 50 + at_s / 2,
        frequency_hz=lambda at_s: 3.2e9 - at_s * 2e7,
        throttled=lambda at_s: at_s // 20,
        swap_out_bytes=lambda at_s: at_s * 1e6,
        cpu_foreign_share=lambda at_s: 0.5 if at_s > 30 else 0.0,
    )
    told = conclude(batch_of(done, samples=samples), ())
    assert told.scalars["temperature_c"] == 79.5
    text = "\n".join(told.notes)
    for said in ("throttled itself 2 times", "from 3.15 to 2.07 GHz", "swapped 56 MiB out", "others used 24 %"):
        assert said in text
    cold = conclude(batch_of(done, unavailable={"temperature_c": "no sensor"}), ())
    assert "temperature: not available (no sensor)" in cold.notes
    assert "temperature_c" not in cold.scalars


def test_a_batch_without_a_timed_document_concludes_nothing() -> None:
    """Nothing measured is no number."""
    told = conclude(batch_of([Repetition(0, 0, "", {}, labels={"slots": 1, "place": 0})]), ())
    assert told.scalars == {}
    assert told.sentence == "no document was timed"


def test_a_single_document_has_no_interval() -> None:
    """The speed-up of one document is a number, and not sure."""
    done = [next(one_after_another([300, 300])), *in_parallel([300], 4, 2.0)]
    found = speedup(*levels(batch_of(done)))
    assert not found.sure
    assert math.isinf(found.low)
    assert "too few documents to be sure" in conclude(batch_of(done), ()).sentence


def test_figures_over_passes_of_several_slots_are_said_to_mix_them() -> None:
    """A median over requests alone and requests that share the machine is the speed of neither."""
    alone = list(one_after_another(EQUAL))
    both = conclude(batch_of([*alone, *in_parallel(EQUAL, 4, 1.5, begin_s=2000)]), ())
    assert "figures over all requests mix the passes; the tables tell them apart" in both.notes
    assert "mix the passes" not in " ".join(conclude(batch_of(alone), ()).notes)


@pytest.mark.parametrize(("count", "said"), [(6, "with 4 slots, the last of 6 documents left slots idle"), (30, "")])
def test_a_pass_too_short_for_its_slots_is_said_to_be(count: int, said: str) -> None:
    """Six documents in four slots are two rounds: even perfect slots show no more than three times the speed."""
    sizes = EQUAL[:count]
    passes = [*one_after_another(sizes), *in_parallel(sizes, 4, 4.0, begin_s=2000)]
    notes = " ".join(conclude(batch_of(passes), ()).notes)
    assert (said in notes and "no more than 3×" in notes) if said else "left slots idle" not in notes


def test_a_document_that_takes_hours_is_no_zero_an_hour() -> None:
    """0.4 an hour is what a small machine does overnight."""
    each = [dataclasses.replace(r, metrics={"e2e_s": 9000.0}, at_s=9000.0 * r.index) for r in one_after_another(EQUAL)]
    assert "0.4 documents an hour" in conclude(batch_of(each), ()).sentence
