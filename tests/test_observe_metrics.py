"""Figures for Prometheus: what they count, how they are written, and that each look reads only what is new."""

from __future__ import annotations

import dataclasses
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import store_samples as samples
import watched_runs as w
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as plain_families
from served_sessions import session_in, stored

from pytest_llmbench import clock
from pytest_llmbench.cli import main
from pytest_llmbench.cli.metrics import BOARD, RULES
from pytest_llmbench.config.alert_schema import AlertsDef
from pytest_llmbench.errors import UsageError
from pytest_llmbench.observe.exposition import exposed
from pytest_llmbench.observe.tally import MOST_MODELS
from pytest_llmbench.observe.watching import Onlooker, Watched
from pytest_llmbench.records import Cost, Usage
from pytest_llmbench.store import Store, lane_states, watched


@pytest.fixture(autouse=True)
def lets_go() -> Iterator[None]:
    """No test leaves a database open."""
    yield
    w.let_go()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a database that is not there yet, at a moment that stands still."""
    monkeypatch.setattr(clock, "now", lambda: w.NOW)
    return w.database(tmp_path)


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """With the header of a run."""
    with Store.open(path) as store:
        w.begin(store)
        yield store


def seen(onlooker: Onlooker) -> dict[str, float]:
    """What a look shows: `name{label=value,...}` → figure, read by prometheus-client's parser."""
    return figures(exposed(onlooker.look().figures))


def figures(text: str, families: Any = plain_families) -> dict[str, float]:
    found: dict[str, float] = {}
    for sample in (sample for family in families(text) for sample in family.samples):
        labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        name = f"{sample.name}{{{labels}}}" if labels else sample.name
        assert name not in found, "a series stands twice"
        found[name] = sample.value
    return found


def test_answers_are_counted_with_times_tokens_and_costs(path: Path, store: Store) -> None:
    """By model and role; the histograms have OpenTelemetry's buckets."""
    w.keep(store, [w.answer(1), w.answer(2, attempts=3, ttft_s=0.7), w.answer(3, role="judge", cost=Cost())])
    found = seen(w.looking(Watched(path)))
    assert found["llmbench_calls_total{category=,model=lab/m,outcome=answered,role=subject}"] == 2
    assert found["llmbench_calls_total{category=,model=lab/m,outcome=answered,role=judge}"] == 1
    assert found["llmbench_ttft_seconds_bucket{le=0.16,model=lab/m,role=subject}"] == 0
    assert found["llmbench_ttft_seconds_bucket{le=0.32,model=lab/m,role=subject}"] == 1
    assert found["llmbench_ttft_seconds_bucket{le=+Inf,model=lab/m,role=subject}"] == 2
    assert found["llmbench_ttft_seconds_sum{model=lab/m,role=subject}"] == pytest.approx(0.95)
    assert found["llmbench_e2e_seconds_count{model=lab/m,role=subject}"] == 2
    assert found["llmbench_time_per_output_token_seconds_sum{model=lab/m,role=subject}"] == pytest.approx(0.2)
    tokens = {kind: found[f"llmbench_tokens_total{{model=lab/m,role=subject,type={kind}}}"] for kind in _KINDS}
    assert tokens == {"prompt": 20, "completion": 8, "cached": 4, "reasoning": 2}
    assert found["llmbench_cost_usd_total{model=lab/m,role=subject,source=priced}"] == 0.002
    assert found["llmbench_cost_unknown_total{model=lab/m,role=judge}"] == 1
    assert found["llmbench_retries_total{model=lab/m,role=subject}"] == 1


_KINDS = ("prompt", "completion", "cached", "reasoning")


def test_what_was_not_measured_is_in_no_histogram(path: Path, store: Store) -> None:
    """Neither a time of 0 nor tokens of 0: the answer is counted, and that nobody told."""
    w.keep(store, [w.answer(1, ttft_s=None, usage=Usage())])
    found = seen(w.looking(Watched(path)))
    assert found["llmbench_usage_unknown_total{model=lab/m,role=subject}"] == 1
    assert not [name for name in found if "ttft" in name or "tokens_total" in name]


@pytest.mark.parametrize(
    ("source", "outcome"), [("cached", "cached"), ("alike", "cached"), ("replayed", "reused"), ("taken_over", "reused")]
)
def test_what_was_not_asked_again_counts_as_such_and_for_nothing_else(
    path: Path, store: Store, source: str, outcome: str
) -> None:
    """Times, tokens and money of the first time are not those of this run."""
    w.keep(store, [w.answer(1, cost=Cost("0.5", source))])
    found = seen(w.looking(Watched(path)))
    assert found[f"llmbench_calls_total{{category=,model=lab/m,outcome={outcome},role=subject}}"] == 1
    assert not [name for name in found if re.search("ttft|tokens|cost", name)]


def test_failures_are_counted_by_category(path: Path, store: Store) -> None:
    """A category that nobody knows is one of many others: it may have come from a newer version."""
    w.keep_failed(store, [w.failure(1), w.failure(2), w.failure(category="rate_limited"), w.failure(category="new")])
    found = seen(w.looking(Watched(path)))
    by_category = {
        category: found[f"llmbench_calls_total{{category={category},model=lab/m,outcome=failed,role=subject}}"]
        for category in ("server", "rate_limited", "other")
    }
    assert by_category == {"server": 2, "rate_limited": 1, "other": 1}
    assert found["llmbench_retries_total{model=lab/m,role=subject}"] == 1


def test_lines_tests_gates_and_the_run_are_gauges(path: Path, store: Store) -> None:
    """How things stand now, and what holds them up."""
    until = w.NOW.replace(minute=2).isoformat()
    states = [w.lane(held_until=until, breaker="half-open", opened=2, cuts=1, retries_left=5.5), w.lane(account="b")]
    lane_states_kept(store, states)
    store.save_result("run-1", samples.result("t1"))
    store.start_result("run-1", "test_a.py::t2", "t2", "tiny:Q4_1")
    store.start_result("run-1", "test_a.py::t3", "t3")
    store.save_gates("run-1", [samples.gate(), samples.gate("fail")])
    found = seen(w.looking(Watched(path)))
    shown = {name: value for name, value in found.items() if "{model=lab/m" in name}
    assert shown == {
        "llmbench_requests_in_flight{model=lab/m}": 6,
        "llmbench_requests_limit{model=lab/m}": 40,
        "llmbench_questions_waiting{model=lab/m}": 14,
        "llmbench_breaker_state{model=lab/m,state=closed}": 0,
        "llmbench_breaker_state{model=lab/m,state=half-open}": 1,
        "llmbench_breaker_state{model=lab/m,state=open}": 0,
        "llmbench_breaker_opened_total{model=lab/m}": 2,
        "llmbench_rate_limit_held_seconds{model=lab/m}": 120,
        "llmbench_rate_limit_cuts_total{model=lab/m}": 1,
        "llmbench_retries_left{model=lab/m}": 5.5,
        "llmbench_model_state_age_seconds{model=lab/m}": 2,
    }
    assert found["llmbench_tests{model=tiny:Q4_1,outcome=right}"] == 1
    assert found["llmbench_tests{model=tiny:Q4_1,outcome=unfinished}"] == 1
    assert found["llmbench_tests{model=,outcome=unfinished}"] == 1
    assert (found["llmbench_gates{verdict=pass}"], found["llmbench_gates{verdict=fail}"]) == (1, 1)
    assert found["llmbench_run_info{run=run-1}"] == 1
    assert found["llmbench_run_started_timestamp_seconds"] == w.NOW.timestamp() - 600
    assert "llmbench_run_exit_code" not in found


def lane_states_kept(store: Store, states: list[Any]) -> None:
    store.submit(lane_states.put_all, ("run-1", states)).result()


def test_of_a_run_that_is_over_nothing_is_under_way(path: Path, store: Store) -> None:
    """Whatever its lines told last."""
    lane_states_kept(store, [w.lane(opened=1)])
    store.finish_run("run-1", 10)
    found = seen(w.looking(Watched(path)))
    assert "llmbench_requests_in_flight{model=lab/m}" not in found
    assert found["llmbench_breaker_opened_total{model=lab/m}"] == 1
    assert found["llmbench_run_exit_code"] == 10


def test_of_all_runs_breakers_and_cuts_are_added_up(path: Path, store: Store) -> None:
    """As calls are, those of a model that the newest run did not ask among them; of one run they are its own."""
    lane_states_kept(
        store, [w.lane(opened=2, cuts=1), w.lane(account="b", opened=1), w.lane(model="lab/old", opened=4)]
    )
    w.begin(store, "run-2", w.NOW)
    store.submit(lane_states.put_all, ("run-2", [w.lane(opened=5, cuts=3, in_flight=1)])).result()
    runs = {run: seen(w.looking(Watched(path, run))) for run in ("last", "run-1", "all")}
    opened, cuts = "llmbench_breaker_opened_total{model=lab/m}", "llmbench_rate_limit_cuts_total{model=lab/m}"
    assert {run: (found[opened], found[cuts]) for run, found in runs.items()} == {
        "last": (5, 3),
        "run-1": (3, 1),
        "all": (8, 4),
    }
    assert runs["all"]["llmbench_breaker_opened_total{model=lab/old}"] == 4
    assert runs["all"]["llmbench_requests_in_flight{model=lab/m}"] == 1


def test_what_is_left_of_the_budget_is_what_the_budget_itself_would_say(path: Path, store: Store) -> None:
    """Stored costs or what was settled, whichever is larger, and all that is still reserved."""
    from pytest_llmbench.store.spending import Spending

    w.keep(store, [w.answer(n) for n in range(3)])
    for question, settled in (("a", "0.005"), ("b", None)):
        state = "settled" if settled else "reserved"
        entry = Spending(question, 1, w.MODEL, "", "subject", "0.25", state, w.NOW.isoformat(), settled)
        store.order_spending("run-1", entry).result()
    assert "llmbench_budget_left_usd" not in seen(w.looking(Watched(path)))
    store.save_settings("run-1", {"max_cost": "1"})
    found = seen(w.looking(Watched(path)))
    assert found["llmbench_budget_cap_usd"] == 1
    assert found["llmbench_budget_left_usd"] == pytest.approx(1 - 0.005 - 0.25)


def test_the_cap_is_that_of_the_run_and_not_of_today(path: Path, store: Store) -> None:
    """Each run has its own, from its command line or from llmbench.yaml as it was; of all together there is none."""
    store.save_settings("run-1", {"max_cost": "1"})
    begun = dataclasses.replace(samples.run("run-2", w.NOW.isoformat()), environment={"budget_usd": "4"})
    store.ensure_run(begun)
    caps = [seen(w.looking(Watched(path, run))).get("llmbench_budget_cap_usd") for run in ("run-1", "last", "all")]
    assert caps == [1, 4, None]
    store.save_settings("run-2", {"max_cost": "no amount"})
    assert "llmbench_budget_cap_usd" not in seen(w.looking(Watched(path)))


def test_a_run_that_goes_on_has_the_cap_of_the_session_that_goes_on_with_it(tmp_path: Path) -> None:
    """That is the one its budget keeps; llmbench.yaml's stands in the header, too."""
    (tmp_path / "llmbench.yaml").write_text("budget: {run: 9}\n")
    with session_in(tmp_path, max_cost="2") as session:
        assert (stored(session).settings["max_cost"], stored(session).environment["budget_usd"]) == ("2", "9")
    with session_in(tmp_path, resume=session.run_id, max_cost="5") as again:
        assert stored(again).settings["max_cost"] == "5"


def test_a_cache_that_gave_nothing_yet_is_told_as_0(path: Path, store: Store) -> None:
    """A share of nothing would be an empty panel; where there is no cache nothing is said of it."""
    w.keep(store, [w.answer(1), w.answer(2, role="judge")])
    w.keep_failed(store, [w.failure()])
    cached = "llmbench_calls_total{category=,model=lab/m,outcome=cached,role=%s}"
    assert not [name for name in seen(w.looking(Watched(path))) if "outcome=cached" in name]
    store.save_settings("run-1", {"cache": "on"})
    onlooker = w.looking(Watched(path))
    found = seen(onlooker)
    assert [found[cached % role] for role in ("subject", "judge")] == [0, 0]
    w.keep(store, [w.answer(3, cost=Cost("0.5", "cached"))])
    assert seen(onlooker)[cached % "subject"] == 1


def test_each_look_reads_only_what_is_new(path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the numbers of rows; what was counted stays counted."""
    read: list[int] = []
    plain = watched.look

    def counting(*told: Any) -> watched.Look:
        look = plain(*told)
        read.append(len(look.answers) + len(look.failures))
        return look

    monkeypatch.setattr(watched, "look", counting)
    onlooker, calls = (
        w.looking(Watched(path)),
        "llmbench_calls_total{category=,model=lab/m,outcome=answered,role=subject}",
    )
    w.keep(store, [w.answer(n) for n in range(5)])
    assert seen(onlooker)[calls] == 5
    w.keep(store, [w.answer(5)])
    w.keep_failed(store, [w.failure()])
    assert seen(onlooker)[calls] == 6
    assert seen(onlooker)[calls] == 6
    assert read == [5, 2, 0]


def test_thousands_are_read_in_parts(path: Path, store: Store) -> None:
    """Each in a short transaction of its own, none of them twice."""
    w.keep(store, [w.answer(n) for n in range(7)])
    w.keep_failed(store, [w.failure() for _ in range(4)])
    cursor, found, standing = store.begin_watching("run-1"), 0, None
    while standing is None:
        look = store.look(cursor, most=3)
        cursor, standing, found = look.cursor, look.standing, found + len(look.answers) + len(look.failures)
    assert found == 11


def test_a_run_is_read_without_those_of_others(path: Path, store: Store) -> None:
    """`last` goes over to a run that begins later and counts from 0; `all` counts everything."""
    last, whole, first = (w.looking(Watched(path, run)) for run in ("last", "all", "run-1"))
    calls = "llmbench_calls_total{category=,model=lab/m,outcome=answered,role=subject}"
    w.keep(store, [w.answer(1), w.answer(2)])
    assert [seen(each)[calls] for each in (last, whole, first)] == [2, 2, 2]
    w.begin(store, "run-2", w.NOW)
    w.keep(store, [w.answer(3)], "run-2")
    assert [seen(each)[calls] for each in (last, whole, first)] == [1, 3, 2]
    assert "llmbench_run_info{run=run-2}" in seen(last)
    with pytest.raises(UsageError, match="there is no run 'nothing'"):
        w.looking(Watched(path, "nothing")).look()


def test_what_was_counted_of_a_removed_run_is_taken_back(path: Path, store: Store) -> None:
    calls = "llmbench_calls_total{category=,model=lab/m,outcome=answered,role=subject}"
    w.begin(store, "run-2", w.NOW)
    w.keep(store, [w.answer(1)])
    w.keep(store, [w.answer(2)], "run-2")
    whole, last = w.looking(Watched(path, "all")), w.looking(Watched(path))
    assert [seen(each)[calls] for each in (whole, last)] == [2, 1]
    store.remove_run("run-2")
    assert [seen(each)[calls] for each in (whole, last)] == [1, 1]
    store.remove_run("run-1")
    assert calls not in {**seen(whole), **seen(last)}


def test_another_database_under_the_name_is_read_from_its_beginning(path: Path, store: Store) -> None:
    """Somebody removed the results folder while the server ran."""
    onlooker = w.looking(Watched(path))
    w.keep(store, [w.answer(1)])
    assert "llmbench_ttft_seconds_count{model=lab/m,role=subject}" in seen(onlooker)
    store.close()
    path.rename(path.with_name("aside.db"))
    assert seen(onlooker)["llmbench_health_state{state=ok}"] == 1
    with Store.open(path) as fresh:
        w.begin(fresh)
    assert "llmbench_ttft_seconds_count{model=lab/m,role=subject}" not in seen(onlooker)


def test_a_database_that_cannot_be_read_is_told_by_the_health(path: Path, store: Store) -> None:
    """And not by an error in place of an answer."""
    store.close()
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("DROP TABLE replies")
    view = w.looking(Watched(path)).look()
    assert (view.health.state, view.health.http_status) == ("failing", 503)
    assert "cannot be read" in view.health.reasons[0]
    assert figures(exposed(view.figures))["llmbench_health_state{state=failing}"] == 1


def test_hostile_names_neither_break_the_format_nor_grow_without_bound(path: Path, store: Store) -> None:
    """Quotes, backslashes and line feeds are escaped, steering characters shown; later models are one."""
    bad = 'a"b\\c\nd\x1b[31m'
    w.keep(store, [w.answer(0, model=bad), *(w.answer(n, model=f"m{n}") for n in range(1, MOST_MODELS + 9))])
    view = w.looking(Watched(path)).look()
    for is_open, families in ((False, plain_families), (True, open_families)):
        found = figures(exposed(view.figures, is_open=is_open), families)
        models = {re.search("model=(.*?),outcome", name, re.DOTALL)[1] for name in found if "calls_total" in name}
        assert len(models) == MOST_MODELS + 1
        assert 'a"b\\c␊d␛[31m' in models
        assert "other" in models


def test_both_formats_say_the_same(path: Path, store: Store) -> None:
    """Prometheus' own and OpenMetrics, each by its parser; the latter with kinds, units and an end."""
    w.keep(store, [w.answer(1)])
    w.keep_failed(store, [w.failure()])
    lane_states_kept(store, [w.lane()])
    view = w.looking(Watched(path)).look()
    text = exposed(view.figures, is_open=True)
    assert figures(text, open_families) == figures(exposed(view.figures))
    kinds = {family.name: (family.type, family.unit) for family in open_families(text)}
    assert kinds["llmbench_ttft_seconds"] == ("histogram", "seconds")
    assert kinds["llmbench_calls"] == ("counter", "")
    assert kinds["llmbench_build"] == ("info", "")


def test_the_verb_prints_figures_board_and_rules(
    path: Path, store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text for Prometheus' textfile collector, JSON for all others."""
    w.keep(store, [w.answer(1)])
    monkeypatch.chdir(path.parents[1])
    monkeypatch.setenv("LLMBENCH_MAX_COST", "7")
    store.save_settings("run-1", {"max_cost": "3"})
    assert main(["metrics"]) == 0
    found = figures(capsys.readouterr().out)
    assert found["llmbench_budget_left_usd"] == pytest.approx(2.999)
    assert main(["metrics", "run-1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = {(row["name"], *row["labels"].values()): row["value"] for row in told["metrics"]}
    assert rows["llmbench_ttft_seconds_count", "lab/m", "subject"] == 1
    assert told["health"] == {"status": "ok", "reasons": [], "run": "run-1"}
    assert main(["metrics", "--grafana"]) == 0
    assert capsys.readouterr().out == BOARD.read_text()
    assert main(["metrics", "--rules"]) == 0
    assert capsys.readouterr().out == RULES.read_text()
    assert main(["metrics", "no-such-run"]) == 4


def test_chats_are_counted_by_themselves(
    path: Path, store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are no runs, and have a database of their own."""
    w.keep(store, [w.answer(1)])
    with Store.open(path.with_name("chats.db")) as chats:
        w.begin(chats, "chat-1")
        w.keep(chats, [w.answer(n, role="chat") for n in range(2)], "chat-1")
    monkeypatch.chdir(path.parents[1])
    assert main(["metrics", "--chats"]) == 0
    found = figures(capsys.readouterr().out)
    assert {name: value for name, value in found.items() if "calls_total" in name} == {
        "llmbench_calls_total{category=,model=lab/m,outcome=answered,role=chat}": 2
    }


def test_before_the_first_run_there_is_an_answer_and_no_database(path: Path) -> None:
    """A monitoring system may be there first."""
    view = w.looking(Watched(path, alerts=AlertsDef(cost_per_hour="1"))).look()
    assert (view.health.state, view.health.reasons) == ("ok", ("no run is stored yet",))
    assert figures(exposed(view.figures))["llmbench_health_state{state=ok}"] == 1
    assert not path.exists()
