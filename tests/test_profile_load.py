"""Serving many users: levels, objectives, failures, early ends, traces."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from long_profiles import sampled
from served_sessions import session_in
from stands import measured, of_provider

from pytest_llmbench.bench import Stand
from pytest_llmbench.bench.account import Account
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.errors import UsageError
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.profiles.load import LOAD
from pytest_llmbench.profiles.load_choices import ServingLoad
from pytest_llmbench.profiles.load_levels import LevelResult, Objective, hopeless, read_level
from pytest_llmbench.profiles.load_report import conclude
from pytest_llmbench.records import Measurement, ModelFile, Repetition, Table, Usage
from pytest_llmbench.serving import open_model

QUICK = Answer("one two three", itl_s=0.002)


def load_on(folder: Path, script: Any = QUICK, **choices: Any) -> Measurement:
    """A load on a scripted provider."""
    with DemoProvider(script) as provider:
        name = of_provider(folder, provider.url)
        with session_in(folder) as session:
            return measured(session, name, "load", output_tokens=3, **choices)


def table(load: Measurement, name: str) -> Table:
    return next(each for each in load.tables if each.name == name)


def column(load: Measurement, name: str, title: str) -> list[Any]:
    found = table(load, name)
    return [row[found.columns.index(title)] for row in found.rows]


def request(
    number: int, level: float, *, of: int, ttft_s: float | None = 0.1, tokens: int | None = 10, **labels: Any
) -> Repetition:
    """A request of 10 tokens, 50 ms each; `ttft_s` None: it failed after 1 s. `due_s` makes it one of an open loop."""
    marks = {"level": level, "attempt": 0, "of": of, "ramp": False, **labels}
    if ttft_s is None:
        return Repetition(
            number, 0, "p", {}, labels={"error": "overloaded", "failed_after_s": 1.0, **marks}, at_s=number
        )
    metrics = {"ttft_s": ttft_s, "e2e_s": ttft_s + 0.45} | ({"tpot_s": 0.05} if tokens else {})
    if "due_s" in labels:
        metrics |= {"ttft_intended_s": ttft_s, "e2e_intended_s": ttft_s + 0.45, "send_lag_s": 0.0}
    return Repetition(number, 0, "p", metrics, usage=Usage(10, tokens), labels=marks, at_s=float(number))


def users(level: int, *, ttft_s: float = 0.1, seconds: int = 10) -> list[Repetition]:
    """So many users, each of whom begins a request every second."""
    return [
        dataclasses.replace(
            request(second * level + user, level, of=level * seconds, ttft_s=ttft_s), at_s=float(second)
        )
        for second in range(seconds)
        for user in range(level)
    ]


def measurement(repetitions: list[Repetition], **choices: Any) -> Measurement:
    load = ServingLoad(**choices)
    units = {name: row.unit for name, row in METRICS.items()}
    return Measurement("m", "k", "tiny", "load", load.settings(), "h", tuple(repetitions), units=units)


def level_of(repetitions: list[Repetition], **choices: Any) -> LevelResult:
    return read_level(repetitions, float(repetitions[0].labels["level"]), ServingLoad(**choices).settings())


def test_a_sweep_tells_throughput_latency_and_attainment_of_each_level(tmp_path: Path) -> None:
    """One row a level in every table, all of one unit a column, and a sentence with the numbers and n."""
    load = load_on(tmp_path, Answer("one two three", ttft_s=0.05), levels=(1, 2, 4), requests=8)
    assert column(load, "load_levels", "users at once") == [1, 2, 4]
    one, two, four = column(load, "load_levels", "completed")
    assert one < two < four
    assert column(load, "load_levels", "requests") == [8, 8, 16]
    assert column(load, "load_levels", "in the ramp") == [1, 2, 4]
    assert column(load, "load_attainment", "requests that met it") == [7, 6, 12]
    assert all(ttft >= 0.05 for ttft in column(load, "load_latency", "first token p50"))
    for each in load.tables:
        assert len(each.units) == len(each.columns) == len(each.rows[0])
    assert "served up to 4 users at once, the heaviest tried, within the objective" in load.sentence
    assert "12 of 12 requests (76–100 %)" in load.sentence
    assert load.served_level.p50 == 4
    assert load.goodput_rps.p50 == pytest.approx(load.throughput_rps.p50)
    assert load.throughput_tps.p50 == pytest.approx(3 * load.throughput_rps.p50)


def test_cpu_time_per_token_is_told_level_by_level() -> None:
    """One core at work for 20 tokens a second and user: 50 ms with one user, 25 with two; no samples, no table."""
    both = [*users(1), *(dataclasses.replace(r, at_s=(r.at_s or 0.0) + 10) for r in users(2))]
    told = measurement(both, levels=(1, 2), ttft_objective_s=9.0)
    watched = dataclasses.replace(told, samples=sampled(21, server_cpu_s=lambda at_s: at_s))
    (costs,) = (each for each in conclude(watched, ()).tables if each.name == "load_cpu")
    span_s = 9 + 0.55  # from the first begin to the last end
    assert costs.rows == ((1, pytest.approx(span_s / 200)), (2, pytest.approx(span_s / 400)))
    assert "load_cpu" not in {each.name for each in conclude(told, ()).tables}


def test_charts_draw_columns_that_are_there_and_share_a_unit(tmp_path: Path) -> None:
    """A chart of another column would be empty; one of two units would compare what cannot be."""
    load = load_on(tmp_path, [Failure(503), QUICK], arrival="constant", levels=(20, 40), requests=8, warmup=0)
    drawn = [each for each in load.tables if each.chart]
    assert {each.name for each in drawn} >= {
        "load_levels", "load_latency", "load_tpot", "load_tokens", "load_attainment"
    }  # fmt: skip
    for each in drawn:
        units = {each.units[each.columns.index(name)] for name in each.chart["y"]}
        assert len(units) == 1
        assert each.chart["x"] == each.columns[0]


def test_a_failed_request_is_missed_and_never_fast(tmp_path: Path) -> None:
    """Every other request is refused at once: half are good, latencies are those of the others, each failure counts."""

    def script(body: Any) -> Any:
        turn[0] += 1
        return Failure(429, "slow down") if turn[0] % 2 else Answer("one two three", ttft_s=0.1)

    turn = [0]
    load = load_on(tmp_path, script, levels=(1,), requests=20, warmup=0)
    assert column(load, "load_levels", "failed") == [10]
    assert column(load, "load_errors", "rate_limited") == [10]
    assert column(load, "load_attainment", "requests that met it") == [10]
    assert column(load, "load_attainment", "requests") == [19]
    assert min(column(load, "load_latency", "first token p50")) >= 0.1
    (goodput,), (completed,) = column(load, "load_levels", "goodput"), column(load, "load_levels", "completed")
    assert goodput == pytest.approx(10 / 19 * 20 / 10 * completed)
    assert load.served_level.p50 == 0
    assert "not even 1 user at once within the objective" in load.sentence


def test_an_open_loop_does_not_wait_for_answers(tmp_path: Path) -> None:
    """Twelve requests, 25 a second, each answered after 1 s: the server has all of them before it answers the first."""
    with DemoProvider(Answer("one two three", ttft_s=1.0)) as provider:
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path) as session:
            measured(session, name, "load", arrival="poisson", levels=(25,), requests=12, output_tokens=3, warmup=0)
        calls = provider.chats()
    assert len(calls) == 12
    assert max(call.received_at for call in calls) < min(call.sent[-1].at for call in calls)


def test_a_wait_before_sending_counts_against_the_objective() -> None:
    """Sent 3 s late and answered in 0.1 s: the user waited for 3.1 s."""
    late = request(0, 5.0, of=1, due_s=0.0)
    late = dataclasses.replace(late, metrics={**late.metrics, "send_lag_s": 3.0, "ttft_intended_s": 3.1})
    result = level_of([late], arrival="constant", levels=(5,), ttft_objective_s=2)
    assert result.met == 0
    assert result.series("first_token_s").p50 == 3.1


def test_our_own_lateness_is_told() -> None:
    """Otherwise a slow client would be taken for a slow server."""
    late = [request(n, 5.0, of=9, due_s=n / 5) for n in range(9)]
    late = [dataclasses.replace(r, metrics={**r.metrics, "send_lag_s": 0.2, "e2e_intended_s": 0.75}) for r in late]
    found = conclude(measurement(late, arrival="constant", levels=(5,)), [])
    assert any("our own client sent late, by up to 200 ms" in note for note in found.notes)


@pytest.mark.parametrize(
    ("repetition", "met"),
    [
        (request(0, 1, of=1), True),
        (request(0, 1, of=1, ttft_s=2.0), True),
        (request(0, 1, of=1, ttft_s=2.1), False),
        (request(0, 1, of=1, ttft_s=None), False),
        (dataclasses.replace(request(0, 1, of=1), metrics={"ttft_s": 0.1, "tpot_s": 0.2}), False),
        (dataclasses.replace(request(0, 1, of=1), metrics={"ttft_s": 0.1}, usage=Usage(10, 1)), True),
        (dataclasses.replace(request(0, 1, of=1), metrics={"ttft_s": 0.1}, usage=Usage()), None),
        (dataclasses.replace(request(0, 1, of=1), metrics={"ttft_s": 9.0}, usage=Usage()), False),
        (dataclasses.replace(request(0, 1, of=1), metrics={}, usage=Usage(10, 0)), False),
    ],
)
def test_the_objective_asks_for_a_first_token_and_a_pace(repetition: Repetition, met: bool | None) -> None:
    """First token within 2 s and 0.1 s a token; a failure has missed it, what was not counted cannot be told."""
    assert Objective(2.0, 0.1).met(repetition) is met


def test_without_token_counts_goodput_is_not_measured() -> None:
    """Not 0, and not the share of those that can be told."""
    untold = [request(n, 1, of=10, tokens=None) for n in range(10)]
    found = conclude(measurement(untold, levels=(1,)), [])
    assert {"goodput_rps", "attainment", "served_level", "throughput_tps"}.isdisjoint(found.scalars)
    assert "cannot be told" in found.sentence
    assert found.scalars["throughput_rps"] > 0


def test_none_is_a_choice_where_it_means_something() -> None:
    """An objective is dropped by None; where a choice has no such meaning, None leaves it to the default."""
    load = LOAD.planned({"tpot_objective_s": None, "output_tokens": None})
    assert isinstance(load, ServingLoad)
    assert (load.tpot_objective_s, load.ttft_objective_s, load.output_tokens) == (None, 2.0, 64)


def test_without_an_objective_throughput_alone_is_told() -> None:
    """None asks nothing."""
    choices = {"ttft_objective_s": None, "tpot_objective_s": None}
    found = conclude(measurement(users(1), levels=(1,), **choices), [])
    assert "no objective was set" in found.sentence
    assert set(found.scalars) == {"throughput_rps", "throughput_tps"}


def test_goodput_is_good_requests_over_the_wall_time() -> None:
    """Ten requests from second 0 on, the last one begun at 9 s and 0.55 s long; three came too late."""
    level = [request(n, 1, of=10, ttft_s=3.0 if n in {2, 4, 6} else 0.1) for n in range(10)]
    result = level_of(level, levels=(1,))
    assert result.wall_s == pytest.approx(9.55)
    assert (result.met, result.attainment) == (7, 0.7)
    assert result.goodput_rps == pytest.approx(7 / 9.55)
    assert result.attainment_interval is not None
    assert (round(result.attainment_interval.low, 3), round(result.attainment_interval.high, 3)) == (0.397, 0.892)


def test_an_open_loop_offers_for_as_long_as_it_said() -> None:
    """Ten requests at 5 a second are 2 s of load: ended sooner, more than 5 a second would seem to be completed."""
    quick = [request(n, 5.0, of=10, ttft_s=0.0, due_s=n / 5) for n in range(10)]
    quick = [dataclasses.replace(r, metrics={**r.metrics, "e2e_intended_s": 0.01}) for r in quick]
    result = level_of(quick, arrival="constant", levels=(5,))
    assert (result.offered_rps, result.achieved_rps) == (pytest.approx(5), pytest.approx(5))


def test_the_ramp_is_in_no_latency_and_no_share() -> None:
    """The first requests meet a server that is not yet under load."""
    level = [request(n, 1, of=10, ttft_s=9.0 if n < 2 else 0.1, ramp=n < 2) for n in range(10)]
    result = level_of(level, levels=(1,))
    assert (result.met, len(result.counted), len(result.all)) == (8, 8, 10)
    assert result.series("ttft_s").max == 0.1


def test_the_knee_is_where_more_users_get_no_more_done() -> None:
    """Throughput doubles up to 4 users and then stays."""
    took = {1: 0.05, 2: 0.05, 4: 0.05, 8: 1.55, 16: 3.55}
    every: list[Repetition] = []
    for level, ttft_s in took.items():
        step_s = ttft_s + 0.45
        every += [
            dataclasses.replace(request(n, level, of=40 * level, ttft_s=ttft_s), at_s=n // level * step_s)
            for n in range(40 * level)
        ]
    found = conclude(measurement(every, levels=tuple(took)), [])
    assert "throughput levels off at 4 users at once" in found.sentence
    assert found.scalars["throughput_rps"] == pytest.approx(8, rel=0.02)
    assert found.scalars["served_level"] == 8


def test_a_level_past_a_miss_does_not_count_as_served() -> None:
    """4 users are not served when 2 are not: luck at one level is no capacity."""
    every = users(1) + users(2, ttft_s=3.0) + users(4)
    assert conclude(measurement(every, levels=(1, 2, 4)), []).scalars["served_level"] == 1


def test_the_sweep_ends_where_all_requests_fail(tmp_path: Path) -> None:
    """The levels that were not run are named, with the reason, and have no row."""
    load = load_on(tmp_path, Failure(503, "no slot"), levels=(1, 2, 4), requests=4, warmup=0)
    assert column(load, "load_levels", "users at once") == [1]
    assert "not run: 2, 4 users at once, because at 1 user at once every request failed (4 overloaded)" in load.notes
    assert load.attainment.p50 == 0
    assert load.rating == "failed"


def test_an_open_sweep_ends_where_no_request_is_good(tmp_path: Path) -> None:
    """A higher rate would be worse."""
    slow = Answer("one two three", ttft_s=0.2)
    load = load_on(tmp_path, slow, arrival="constant", levels=(10, 20), requests=5, ttft_objective_s=0.1)
    assert column(load, "load_levels", "requests/s offered") == [10]
    assert any("not run: 20 requests/s offered" in note for note in load.notes)


def test_a_closed_sweep_goes_on_while_more_users_get_more_done() -> None:
    """On a machine that never meets the objective the curve is still worth knowing, up to its end."""
    one, two, three = (level_of(users(level, ttft_s=3.0), levels=(1, 2, 3)) for level in (1, 2, 3))
    assert hopeless(one, None) == ""
    assert hopeless(two, one) == ""
    same = dataclasses.replace(three, all=two.all)
    assert "more users got no more done" in hopeless(same, two)


@pytest.mark.parametrize(("surplus", "ends"), [(0.0, False), (0.1, False), (0.5, True)])
def test_a_queue_that_grows_ends_the_sweep(surplus: float, ends: bool) -> None:
    """Latency that rises by half a second a second; a slow rise may be chance and is let be."""
    level = [request(n, 10.0, of=40, ttft_s=0.1 + surplus * n / 10, due_s=n / 10) for n in range(40)]
    result = level_of(level, arrival="poisson", levels=(10,), ttft_objective_s=100)
    assert result.growth == pytest.approx(surplus, abs=1e-6)
    assert bool(hopeless(result, None)) is ends


def test_a_level_is_ended_by_its_time_and_says_so(tmp_path: Path) -> None:
    """A closed loop sends nothing after it; an open one plans nothing behind it."""
    closed = load_on(tmp_path, Answer("one", ttft_s=0.2), levels=(1,), requests=100, level_s=1)
    (sent,) = column(closed, "load_levels", "requests")
    assert 1 <= sent <= 6
    assert f"level 1 was ended by its time: {sent} of 100 requests" in closed.notes
    planned = load_on(tmp_path, QUICK, arrival="constant", levels=(20,), requests=100, level_s=0.5)
    assert column(planned, "load_levels", "requests") == [11]


def test_an_interrupted_level_is_measured_again_as_a_whole(tmp_path: Path) -> None:
    """What it had met a half-empty queue: it is kept, in no figure of a level. A finished level is left as it is."""
    load = ServingLoad(levels=(1, 2), requests=4, output_tokens=3, warmup=0)
    first = [request(n, 1, of=4) for n in range(4)]
    cut = [request(4 + n, 2, of=8) for n in range(3)]
    with DemoProvider(QUICK) as provider:
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path) as session:
            begun = Measurement("m1", "k1", name, "load", load.settings(), "host", (*first, *cut))
            session.store.start_measurement(session.run_id, begun)
            stand = Stand(open_model(session, name), account := Account(begun, session.book))
            new = [timed.repetition for timed in LOAD.drive(stand, load)]
    assert {r.labels["level"] for r in new} == {2}
    assert {r.index for r in new} == set(range(7, 15))
    whole = dataclasses.replace(begun, repetitions=(*begun.repetitions, *new))
    assert [row[3] for row in conclude(whole, []).tables[0].rows] == [4, 8]
    assert any("level 2 was interrupted and measured again" in note for note in account.notes)


def test_a_finished_sweep_is_not_measured_again(tmp_path: Path) -> None:
    """Nothing is sent, and the sweep ends where it had ended."""
    load = ServingLoad(levels=(1, 2), requests=4)
    failed = [request(n, 1, of=4, ttft_s=None) for n in range(4)]
    with DemoProvider(QUICK) as provider:
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path) as session:
            begun = Measurement("m1", "k1", name, "load", load.settings(), "host", tuple(failed))
            assert list(LOAD.drive(Stand(open_model(session, name), Account(begun, session.book)), load)) == []
        assert provider.chats() == []


def test_a_trace_is_replayed_at_its_times_and_lengths(tmp_path: Path) -> None:
    """At twice its speed; every request of the file, and none of them called a ramp."""
    lines = [{"timestamp": 5000 + 400 * n, "input_length": 40 + 10 * n, "output_length": 2 + n} for n in range(4)]
    trace = tmp_path / "trace.jsonl"
    trace.write_text("\n".join(map(json.dumps, lines)))
    with DemoProvider(Answer("one two three four five six")) as provider:
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path) as session:
            load = measured(session, name, "load", arrival="trace", trace=str(trace), levels=(2,), warmup=0)
        calls = provider.chats()
    assert [call.body["max_tokens"] for call in calls] == [2, 3, 4, 5]
    assert [r.labels["due_s"] for r in load.counted] == pytest.approx([0, 0.2, 0.4, 0.6])
    assert calls[-1].received_at - calls[0].received_at >= 0.55
    words = [len(call.body["messages"][0]["content"].split()) for call in calls]
    assert words == sorted(words)
    assert column(load, "load_levels", "offered") == [pytest.approx(5)]
    assert column(load, "load_levels", "in the ramp") == [0]
    assert any("the prompts had" in note for note in load.notes), "a demo token is a word: fewer than the trace's"


def test_a_trace_needs_a_context_for_its_longest_request(tmp_path: Path) -> None:
    """Prompt and answer together; and slots for several at once."""
    trace = tmp_path / "trace.csv"
    trace.write_text("timestamp,input_length,output_length\n0,100,900\n5,700,50\n")
    assert LOAD.needs(ServingLoad(arrival="trace", trace=str(trace))) == {"slots": 4, "context": 1000}


@pytest.mark.parametrize(
    ("choices", "slots"),
    [({}, 4), ({"levels": (1, 2)}, 2), ({"slots": 7}, 7), ({"arrival": "poisson", "levels": (0.5,)}, 4)],
)
def test_a_server_of_ours_gets_slots_for_several_users(choices: dict[str, Any], slots: int) -> None:
    """As many as there are users, and no more than four unless they are asked for: each takes memory."""
    assert LOAD.needs(ServingLoad(**choices)) == {"slots": slots}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"arrival": "poison"}, "did you mean 'poisson'"),
        ({"arrival": "poisson"}, "need levels: requests per second"),
        ({"levels": (2, 1)}, "levels must ascend"),
        ({"levels": (1, 1)}, "levels must ascend"),
        ({"levels": (0,)}, "numbers above 0"),
        ({"levels": ("many",)}, "numbers above 0"),
        ({"levels": (1.5,)}, "users: whole numbers"),
        ({"requests": 0}, "requests must be above 0"),
        ({"target": 1.5}, "target is a share"),
        ({"ttft_objective_s": -1}, "ttft_objective_s must be above 0"),
        ({"prompts": ("",)}, "none of them empty"),
        ({"arrival": "trace"}, 'arrival="trace", trace="FILE"'),
        ({"trace": "t.jsonl"}, 'arrival="trace", trace="FILE"'),
        ({"levels": tuple(range(1, 100)), "requests": 50_000}, "more than 500000"),
    ],
)
def test_a_load_that_cannot_be_is_refused_before_anything_runs(choices: dict[str, Any], message: str) -> None:
    """With what would be right."""
    with pytest.raises(UsageError, match=message):
        ServingLoad(**choices)


@pytest.mark.slow
def test_a_real_server_serves_two_levels(tmp_path: Path, smollm2: ModelFile) -> None:
    """A real model with two slots: more is done for two users than for one, and the slots are told."""
    with session_in(tmp_path) as session:
        choices = {"levels": (1, 2), "requests": 4, "output_tokens": 8, "prompts": ("Count to ten.",)}
        load = measured(session, smollm2.name, "load", ttft_objective_s=60, tpot_objective_s=60, **choices)
    assert "the server works on 2 requests at once (slots); others wait for their turn" in load.notes
    assert column(load, "load_levels", "failed") == [0, 0]
    assert column(load, "load_attainment", "met") == [1.0, 1.0]
    assert all(r.usage.completion_tokens == 8 for r in load.counted)
    assert load.rating == "excellent"


@pytest.mark.slow
def test_prose_of_a_trace_has_the_lengths_that_it_tells(tmp_path: Path, smollm2: ModelFile) -> None:
    """By the server's own tokenizer, template and prefix included: within a tenth."""
    trace = tmp_path / "trace.jsonl"
    lines = [{"timestamp": 200 * n, "input_length": length, "output_length": 3} for n, length in enumerate((60, 240))]
    trace.write_text("\n".join(map(json.dumps, lines)))
    with session_in(tmp_path) as session:
        load = measured(session, smollm2.name, "load", arrival="trace", trace=str(trace), slots=1)
    assert [r.usage.prompt_tokens for r in load.counted] == pytest.approx([60, 240], rel=0.1)
    assert [r.usage.completion_tokens for r in load.counted] == [3, 3]
    assert not any("of the trace's tokens" in note for note in load.notes)
