"""What is read off the requests of long contexts: speed, memory and recall by size, in tables and words."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.profiles.long_context_report import conclude, prompt_speed
from pytest_llmbench.records import Measurement, MonitorSample, Repetition, Table, Timing, Usage

MIB = 1 << 20


def read(index: int, size: int, ttft_s: float, *, recall: float = 1.0, depth: float = 0.5, **more: Any) -> Repetition:
    """A request of a size, by a server that tells its timings; begun ten seconds after the one before."""
    prompt = size - 32
    return Repetition(
        index,
        0,
        "",
        {
            "ttft_s": ttft_s,
            "e2e_s": ttft_s + 1,
            "prompt_tps": prompt / ttft_s,
            "recall": recall,
            "rss_bytes": 100.0 * MIB + size * 1000,
        },
        usage=Usage(prompt_tokens=prompt),
        timing=Timing(server={"prompt_n": prompt}),
        labels={
            "context_tokens": size,
            "prompt_tokens": prompt,
            "depth": depth,
            "memory_estimate_bytes": 99 * MIB + size * 1100,
            "kv_estimate_bytes": size * 900,
        },
        at_s=10.0 * index,
        **more,
    )


def measurement(*repetitions: Repetition, **more: Any) -> Measurement:
    units = {name: metric.unit for name, metric in METRICS.items()}
    settings = {"sizes": [4096, 8192]}
    return Measurement("m", "k", "tiny", "long_context", settings, "host", repetitions, units=units, **more)


def cells(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def named(tables: tuple[Table, ...], name: str) -> list[dict[str, Any]]:
    return cells(next(table for table in tables if table.name == name))


TWO_SIZES = (
    *(read(index, 4096, 4.0 + index) for index in range(3)),
    *(read(3 + index, 8192, 30.0 + index, recall=0.0) for index in range(3)),
)


def test_the_context_load_is_the_median_wait_at_the_largest_size() -> None:
    """And the largest context is the largest that was answered, not the largest that was asked for."""
    found = conclude(measurement(*TWO_SIZES), ())
    assert found.scalars == {"largest_context": 8192.0, "context_load_s": 31.0}
    assert "8192 tokens, enough for articles" in found.sentence
    assert "8192 tokens are read in 31 s (263 prompt tokens/s), n = 3" in found.sentence
    assert "4096 tokens are read in 5 s" in found.sentence


def test_each_size_has_its_speed_and_the_words_of_the_bands() -> None:
    """Of its own wait: five seconds are a pause, thirty are for coffee."""
    rows = named(conclude(measurement(*TWO_SIZES), ()).tables, "long_context_reading")
    assert [row["in words"] for row in rows] == ["brief pause", "coffee break"]
    assert [row["prompt"] for row in rows] == [4064, 8160]
    assert rows[0]["prompt speed"] == pytest.approx(4064 / 5)
    assert rows[0]["slowest"] == 6.0
    assert rows[0]["from"] is rows[0]["to"] is None, "three values bound no median"


def test_an_interval_of_the_speed_is_given_where_the_values_bound_one() -> None:
    """Six values do."""
    rows = named(conclude(measurement(*(read(i, 4096, 4.0 + i) for i in range(6))), ()).tables, "long_context_reading")
    assert (rows[0]["from"], rows[0]["to"]) == (pytest.approx(4064 / 9), pytest.approx(4064 / 4))


def test_the_growth_of_memory_stands_beside_the_growth_that_was_expected() -> None:
    """From the smallest size on, so that what every server needs falls out."""
    rows = named(conclude(measurement(*TWO_SIZES), ()).tables, "long_context_memory")
    assert (rows[1]["grown"], rows[1]["growth expected"]) == (4096 * 1000, 4096 * 1100)
    assert rows[1]["KV cache expected"] == 8192 * 900
    assert rows[0]["grown"] == 0


def test_recall_has_a_row_for_each_depth_and_a_column_for_each_size() -> None:
    """A size at which the model forgets does not hide behind one at which it does not."""
    repetitions = [
        read(i, size, 1.0, recall=float(size == 4096), depth=d)
        for size in (4096, 8192)
        for i, d in enumerate((0.0, 1.0))
    ]
    found = conclude(measurement(*repetitions), ())
    rows = named(found.tables, "long_context_recall")
    assert rows == [
        {"depth": 0.0, "4096 tokens": 1.0, "8192 tokens": 0.0},
        {"depth": 1.0, "4096 tokens": 1.0, "8192 tokens": 0.0},
    ]
    assert "of 4 hidden facts 2 were told back (95 % interval 15% to 85%)" in found.sentence


def test_a_depth_that_was_not_reached_is_not_measured() -> None:
    """A size that stopped at its cap has fewer depths; theirs are no zeros."""
    found = conclude(
        measurement(read(0, 4096, 1.0, depth=0.0), read(1, 4096, 1.0, depth=1.0), read(2, 8192, 1.0, depth=0.0)), ()
    )
    assert named(found.tables, "long_context_recall")[1]["8192 tokens"] is None


def test_swapping_during_a_size_is_told_with_how_much() -> None:
    """By the samples around its requests; what was swapped before is not counted against it."""
    swapped = {0.0: 0, 5.0: 900 * MIB, 25.0: 900 * MIB, 31.0: 950 * MIB, 95.0: 1000 * MIB}
    samples = tuple(MonitorSample(at_s, {"swap_out_bytes": float(value)}) for at_s, value in swapped.items())
    late = [read(3 + index, 8192, 5.0) for index in range(2)]
    found = conclude(measurement(*late, samples=samples), ())
    assert named(found.tables, "long_context_memory")[0]["swapped out"] == 100 * MIB
    assert found.notes[0].startswith("8192 tokens: the machine swapped 100 MiB out")


def test_a_machine_without_a_swap_counter_has_swapping_not_measured() -> None:
    """Not zero."""
    found = conclude(measurement(*TWO_SIZES, samples=(MonitorSample(0.0, {"rss_bytes": 1.0}),)), ())
    assert named(found.tables, "long_context_memory")[0]["swapped out"] is None
    assert not [note for note in found.notes if "swapped" in note]


def test_sizes_that_were_asked_for_and_not_read_are_named() -> None:
    """So the largest context is not taken for a limit that was found."""
    found = conclude(measurement(read(0, 4096, 4.0)), ())
    assert found.notes == ("not measured: 8192 tokens; the largest context is the largest of those that were tried",)


def test_nothing_read_is_no_zero() -> None:
    """Neither a size nor a time: a grade made of nothing would be a lie."""
    found = conclude(measurement(), ())
    assert (found.scalars, found.tables) == ({}, ())
    assert "none of the sizes" in found.sentence


def test_a_request_taken_again_is_no_part_of_any_table() -> None:
    """It was measured while others used the machine."""
    found = conclude(measurement(read(0, 4096, 4.0), read(1, 4096, 400.0, superseded=True)), ())
    assert named(found.tables, "long_context_reading")[0]["requests"] == 1
    assert found.scalars["context_load_s"] == 4.0


def test_the_speed_of_a_server_without_timings_is_that_of_the_wait() -> None:
    """And of one that tells no tokens there is none."""
    bare = Repetition(0, 0, "", {"ttft_s": 2.0}, usage=Usage(prompt_tokens=500))
    assert prompt_speed(bare) == 250.0
    assert prompt_speed(Repetition(0, 0, "", {"ttft_s": 2.0})) is None


def test_tables_and_charts_fit_together() -> None:
    """A unit for each column, a cell for each column, and charts only of columns that are there."""
    for table in conclude(measurement(*TWO_SIZES), ()).tables:
        assert len(table.units) == len(table.columns)
        assert {len(row) for row in table.rows} == {len(table.columns)}
        assert {table.chart["x"], *table.chart["y"]} <= set(table.columns)


def test_figures_over_several_sizes_are_said_to_mix_them() -> None:
    """A median wait over 4096 and 8192 tokens is that of neither."""
    said = "figures over all requests mix the sizes; the tables tell them apart"
    assert said in conclude(measurement(read(0, 4096, 4.0), read(1, 8192, 12.0)), ()).notes
    assert said not in conclude(measurement(read(0, 4096, 4.0)), ()).notes
