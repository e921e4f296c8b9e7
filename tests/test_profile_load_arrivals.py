"""When requests of an open loop are due, and recorded traffic."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from pathlib import Path

import pytest
from queue_theory import mean_wait, random_mean_waits, sojourns

from pytest_llmbench.errors import UsageError
from pytest_llmbench.profiles.arrivals import constant, offered_rps, poisson
from pytest_llmbench.profiles.load_choices import ServingLoad
from pytest_llmbench.profiles.load_text import Texts
from pytest_llmbench.profiles.load_trace import Arrival, read_trace
from pytest_llmbench.stats import mean_interval

MOONCAKE = [
    {"timestamp": 2000, "input_length": 50, "output_length": 5, "hash_ids": [1, 2]},
    {"timestamp": 500, "input_length": 100, "output_length": 8, "hash_ids": []},
]


def gaps(due_s: tuple[float, ...]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(due_s)]


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_constant_arrivals_are_evenly_spaced_from_zero() -> None:
    """Four a second."""
    assert constant(4, 3) == (0.0, 0.25, 0.5)
    assert offered_rps(constant(4, 40)) == pytest.approx(4)


def test_poisson_gaps_are_exponential_and_independent() -> None:
    """Their rate, their spread, their shape (Kolmogorov's distance, 1 % limit) and no memory."""
    found = gaps(poisson(5, 20_001, seed=3))
    n = len(found)
    assert statistics.fmean(found) == pytest.approx(0.2, rel=0.03)
    assert statistics.stdev(found) == pytest.approx(0.2, rel=0.04)
    shares = [1 - math.exp(-5 * gap) for gap in sorted(found)]
    assert max(abs(share - rank / n) for rank, share in enumerate(shares)) < 1.63 / math.sqrt(n)
    assert abs(statistics.correlation(found, [*found[1:], found[0]])) < 4 / math.sqrt(n)


def test_arrivals_of_a_seed_are_the_same_at_every_rate_but_for_their_pace() -> None:
    """Levels then differ in their pressure, not in their luck; another seed is another day."""
    assert poisson(2, 50, seed=1) == poisson(2, 50, seed=1) != poisson(2, 50, seed=2)
    assert poisson(4, 50, seed=1) == pytest.approx([2 / 4 * at for at in poisson(2, 50, seed=1)])


def test_poisson_arrivals_wait_as_pollaczek_and_khinchine_say() -> None:
    """M/D/1 at 70 %: the mean wait of 200,000 requests, its interval from 40 batches, which are nearly independent."""
    service_s = 0.7
    waits = [took - service_s for took in sojourns(poisson(1, 200_000, seed=1), service_s)]
    batches = [statistics.fmean(waits[start : start + 5000]) for start in range(0, 200_000, 5000)]
    interval = mean_interval(batches, confidence=0.99)
    assert interval.low <= mean_wait(0.7, service_s) <= interval.high
    assert interval.high - interval.low < 0.2 * mean_wait(0.7, service_s)


def test_the_theory_of_these_tests_agrees_with_itself() -> None:
    """Simulated paths that begin empty wait no longer than the steady state, and nearly as long when they are long."""
    assert statistics.fmean(random_mean_waits(0.7, 1.0, 150, paths=400)) == pytest.approx(mean_wait(0.7, 1.0), rel=0.15)


@pytest.mark.parametrize("due_s", [(), (1.0,), (2.0, 2.0)])
def test_no_rate_is_made_up_where_no_time_passes(due_s: tuple[float, ...]) -> None:
    """Not measured, never infinite."""
    assert offered_rps(due_s) is None


def test_a_trace_in_json_lines_begins_at_its_first_request(tmp_path: Path) -> None:
    """Milliseconds become seconds, in order of arrival; fields we do not need and blank lines are read over."""
    trace = read_trace(written(tmp_path / "t.jsonl", MOONCAKE[0], "", MOONCAKE[1]))
    assert trace.arrivals == (Arrival(0.0, 100, 8), Arrival(1.5, 50, 5))


def test_a_trace_in_csv_has_the_same_columns(tmp_path: Path) -> None:
    """In any order, with others beside them."""
    trace = read_trace(written(tmp_path / "t.csv", "output_length,who,timestamp,input_length", "8,me,0,100"))
    assert trace.arrivals == (Arrival(0.0, 100, 8),)


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("t.jsonl", [MOONCAKE[0], "{oops"], r"t\.jsonl:2: no JSON"),
        ("t.jsonl", ["[1, 2, 3]"], r":1: not an object but list"),
        (
            "t.jsonl",
            [{"timestamp": 1, "input_lenght": 5}],
            r":1: no input_length; it has .*did you mean 'input_len",
        ),
        ("t.jsonl", [{**MOONCAKE[0], "timestamp": "soon"}], r":1: timestamp is no number: 'soon'"),
        ("t.jsonl", [{**MOONCAKE[0], "timestamp": True}], r":1: timestamp is no number"),
        ("t.jsonl", ['{"timestamp": NaN, "input_length": 1, "output_length": 1}'], r"timestamp is no number: nan"),
        ("t.jsonl", [{**MOONCAKE[0], "output_length": 0}], r"output_length must be a whole number of tokens, 1 or"),
        ("t.jsonl", [{**MOONCAKE[0], "input_length": 1.5}], r"input_length must be a whole number .* not 1\.5"),
        ("t.csv", ["timestamp,input_length,output_length", "0,5,5", "1,5"], r"t\.csv:3: no output_length"),
        ("t.csv", ["a,b", "1,2"], r":2: no timestamp; it has a, b"),
        ("t.jsonl", [], r"has 0 requests"),
    ],
)
def test_a_line_of_a_trace_that_cannot_be_is_named(
    tmp_path: Path, name: str, lines: list[object], message: str
) -> None:
    """With its file, its number and what a line has."""
    path = written(tmp_path / name, *lines)
    with pytest.raises(UsageError, match=message) as caught:
        read_trace(path)
    assert "input_length" in caught.value.hint


def test_a_trace_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    """Before anything is sent, when the load is planned."""
    with pytest.raises(UsageError, match="cannot read the trace"):
        ServingLoad(arrival="trace", trace=str(tmp_path / "none.jsonl"))


def test_a_moved_trace_is_the_same_load_and_a_changed_one_is_not(tmp_path: Path) -> None:
    """Its content decides, not the folder it lies in."""
    first = written(tmp_path / "t.jsonl", *MOONCAKE)
    (tmp_path / "elsewhere").mkdir()
    moved = written(tmp_path / "elsewhere" / "t.jsonl", *MOONCAKE)
    loads = [ServingLoad(arrival="trace", trace=str(path)).settings() for path in (first, moved)]
    assert loads[0] == loads[1]
    written(moved, MOONCAKE[0])
    assert ServingLoad(arrival="trace", trace=str(moved)).settings() != loads[0]


def test_a_trace_whose_prompts_no_memory_holds_is_refused_and_part_of_it_is_not(tmp_path: Path) -> None:
    """Prose is made before the load begins, so that making it disturbs nothing."""
    trace = written(tmp_path / "t.jsonl", MOONCAKE[1], {**MOONCAKE[0], "input_length": 30_000_000})
    with pytest.raises(UsageError, match="30000100 tokens, more than 20000000") as caught:
        ServingLoad(arrival="trace", trace=str(trace))
    assert "requests=N" in caught.value.hint
    assert len(ServingLoad(arrival="trace", trace=str(trace), requests=1).kept_of_trace()) == 1


def test_prompts_may_lie_in_a_file(tmp_path: Path) -> None:
    """A line each, as for the interactive profile."""
    assert ServingLoad(prompts=str(written(tmp_path / "p.txt", "Hello.", "", "Goodbye."))).prompts == (
        "Hello.",
        "Goodbye.",
    )


def test_prose_of_a_trace_has_about_as_many_words_as_tokens_ask_for() -> None:
    """Without a tokenizer lengths are estimated; every request has another text."""
    texts = Texts(None, seed=1)
    short, long = texts.of(0, 100), texts.of(1, 400)
    assert len(long) / len(short) == pytest.approx(4, rel=0.1)
    assert not long.startswith(short[:40])
    assert texts.of(2, 1).split() == [texts.of(2, 1)]
