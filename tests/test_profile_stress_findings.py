"""What a long load tells: speed over wall time, a slow decline, a sudden step, and why it was ended."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable

import pytest
from long_profiles import generating, sampled, stress_of

from pytest_llmbench.profiles.stress_findings import conclude, kept_share, speed_drift, speed_step
from pytest_llmbench.profiles.stress_windows import Window, overall_tps, windows
from pytest_llmbench.records import Repetition, Timing, Usage

SPAN_S = 240.0


def steady(_: float) -> float:
    return 20.0


def fading(at_s: float) -> float:
    """A fifth slower at the end than at the beginning, 20 tokens/s on average."""
    return 20 * (1.1 - 0.2 * at_s / SPAN_S)


def throttled(at_s: float) -> float:
    """Half the speed from 100 s on."""
    return 20.0 if at_s < 100 else 10.0


def seen(tps: Callable[[float], float], *, noise: float = 0.1, seed: int = 0, window_s: float = 4.0) -> list[Window]:
    return windows(list(generating(SPAN_S, tps, noise=noise, seed=seed)), window_s)


def test_speed_is_read_over_wall_time_so_that_pauses_count() -> None:
    """Two requests of a second each with two seconds between them: half of the windows are empty."""
    one = Repetition(
        0, 0, "", {"e2e_s": 1.0}, timing=Timing(ttft_s=0.15, gaps_s=(0.1,) * 9), usage=Usage(5, 10), at_s=0.0
    )
    two = dataclasses.replace(one, index=1, at_s=3.0)
    found = windows([one, two], 1.0)
    assert [window.tokens for window in found] == pytest.approx([9, 1, 0, 9])
    assert overall_tps(found) == pytest.approx(19 / 4)


def test_tokens_come_from_the_server_and_not_from_events() -> None:
    """Ten events that carry forty tokens are forty tokens."""
    timing = Timing(ttft_s=0.1, gaps_s=(0.1,) * 9)
    each = Repetition(0, 0, "", {"e2e_s": 1.0}, timing=timing, usage=Usage(5, 40), at_s=0.0)
    assert windows([each], 0.95)[0].tokens == pytest.approx(36)
    assert windows([dataclasses.replace(each, usage=Usage())], 0.95) == []


def test_an_unfinished_window_at_the_end_is_left_out() -> None:
    """It would look like a slowdown of the last moments."""
    found = windows(list(generating(10.3, steady)), 1.1)
    assert len(found) == 10
    assert [window.tps for window in found] == pytest.approx([20] * 10, abs=1)


def test_a_decline_hidden_in_the_mean_is_found() -> None:
    """The mean is that of a steady machine; the order of the windows is not."""
    before, after = seen(steady), seen(fading)
    assert overall_tps(before) == pytest.approx(overall_tps(after), rel=0.05)
    assert not speed_drift(before).found
    assert speed_drift(after).found
    assert speed_drift(after).low <= -0.2 <= speed_drift(after).high
    told = conclude(stress_of(list(generating(SPAN_S, fading, noise=0.1)), SPAN_S, 4.0), ())
    assert "over the whole time it fell: -" in told.sentence


def test_a_steady_machine_is_not_called_a_failing_one() -> None:
    """In 40 runs of noise alone trend or step are found twice at most."""
    runs = [seen(steady, noise=0.5, seed=seed) for seed in range(40)]
    assert sum(speed_drift(run).found or speed_step(run) is not None for run in runs) <= 2


def test_a_stall_at_the_end_is_no_decline() -> None:
    """One window without a token, the last: two points would make a trend of it."""
    run = seen(steady)
    stalled = [*run[:-1], dataclasses.replace(run[-1], tokens=0.0)]
    assert not speed_drift(stalled).found
    assert speed_step(stalled) is None


def test_throttling_is_a_step_with_its_moment_and_both_speeds() -> None:
    """Within a window of where it was, and the speeds before and after it."""
    step = speed_step(seen(throttled))
    assert step is not None
    assert step.at_s == pytest.approx(100, abs=4)
    assert step.before_tps == pytest.approx(20, rel=0.05)
    assert step.after_tps == pytest.approx(10, rel=0.05)
    told = conclude(stress_of(list(generating(SPAN_S, throttled, noise=0.1)), SPAN_S, 4.0), ())
    assert "it fell after 1" in told.sentence or "it fell after 9" in told.sentence


def test_sustained_against_burst_speed_has_an_interval() -> None:
    """The last third against the first tenth, half as fast."""
    kept = kept_share(seen(throttled))
    assert kept is not None
    assert kept.share == pytest.approx(0.5, abs=0.04)
    assert kept.low <= kept.share <= kept.high < 0.6
    assert kept_share(seen(steady)[:11]) is None


def test_the_scalars_are_the_speed_that_is_kept_up_and_the_highest_temperature() -> None:
    """A fast beginning is no part of it: the mean over all time would be 14, what lasts is 10."""
    done = list(generating(SPAN_S, throttled))
    hot = sampled(int(SPAN_S), temperature_c=lambda at_s: 60 + 20 * (at_s > 90), frequency_hz=lambda _: 3e9)
    told = conclude(stress_of(done, SPAN_S, 4.0, samples=hot), ())
    assert told.scalars["sustained_tps"] == pytest.approx(10, rel=0.03)
    assert told.scalars["temperature_c"] == 80
    table = told.tables[0]
    assert (table.columns, table.units) == (("time", "speed", "temperature", "clock"), ("s", "tok/s", "°C", "GHz"))
    assert statistics.fmean(row[1] for row in table.rows if isinstance(row[1], float)) == pytest.approx(
        100 / SPAN_S * 20 + 140 / SPAN_S * 10, rel=0.03
    )
    assert table.rows[0][2:] == (60, 3.0)


def test_a_load_that_was_ended_says_when_and_why_and_keeps_its_speed() -> None:
    """What was measured until then stands, with the number that ended it."""
    done = list(generating(60, steady))
    reason = "the processor is at 96 °C, the limit is 95 °C"
    done[-1] = dataclasses.replace(done[-1], labels={"aborted": reason})
    told = conclude(stress_of(done, 1800, 4.0), ())
    assert told.sentence.startswith(f"ended early, after 60 s of 30 min, because {reason}; until then: 20 tokens/s")
    assert told.scalars["sustained_tps"] == pytest.approx(20, rel=0.01)


def test_the_silence_of_a_server_that_hung_is_not_averaged_into_the_speed_before() -> None:
    """It is said, and the windows end with the last token."""
    done = list(generating(60, steady))
    hung = Repetition(len(done), 0, "", {}, labels={"aborted": "gone", "error": "timeout.idle"}, at_s=180.0)
    told = conclude(stress_of([*done, hung], 1800, 4.0), ())
    assert told.scalars["sustained_tps"] == pytest.approx(20, rel=0.01)
    assert "because gone" in told.sentence


def test_a_load_without_a_token_is_not_measured() -> None:
    """No speed is no zero."""
    told = conclude(stress_of([Repetition(0, 0, "", {}, at_s=0.0, labels={"error": "server"})], 60), ())
    assert told.scalars == {}
    assert told.sentence == "no speed was measured"


def test_too_short_a_load_says_so() -> None:
    """Of four windows no trend can be known."""
    told = conclude(stress_of(list(generating(3.5, steady)), 3.5, 0.95), ())
    assert "too few windows (4) to tell a trend of the speed" in told.notes


def test_cpu_time_per_token_stands_beside_the_speed() -> None:
    """Half a core, and 20 tokens written and 5 read a second: 20 ms a token; without samples it is not measured."""
    done = list(generating(SPAN_S, steady))
    told = conclude(stress_of(done, SPAN_S, 4.0, samples=sampled(int(SPAN_S), server_cpu_s=lambda at_s: at_s / 2)), ())
    assert told.scalars["cpu_s_per_token"] == pytest.approx(0.02, rel=0.01)
    assert "cpu_s_per_token" not in conclude(stress_of(done, SPAN_S, 4.0), ()).scalars


def test_the_speed_of_several_requests_together_is_not_passed_for_that_of_one() -> None:
    """Its words are those for a reader, who gets a part of it."""
    alone = stress_of(list(generating(SPAN_S, steady)), SPAN_S, 4.0)
    together = dataclasses.replace(alone, settings={**alone.settings, "concurrency": 4})
    assert "that of 4 requests together; each of them got about 5 tokens/s" in " ".join(conclude(together, ()).notes)
    assert "together" not in " ".join(conclude(alone, ()).notes)
