"""Alerts of llmbench.yaml: when they are raised, when they are over, and who hears of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import watched_runs as w

from pytest_llmbench import clock
from pytest_llmbench.config import parse
from pytest_llmbench.config.alert_schema import AlertsDef
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.observe import alert_watch
from pytest_llmbench.observe.alert_watch import AlertWatch
from pytest_llmbench.observe.alerts import Alarm, Alert
from pytest_llmbench.observe.calls import Kind, Note
from pytest_llmbench.observe.exposition import exposed
from pytest_llmbench.observe.health import health
from pytest_llmbench.observe.tally import Recent
from pytest_llmbench.observe.watching import Watched
from pytest_llmbench.store import Store, lane_states
from pytest_llmbench.store.watched import RunHead, Standing


@pytest.fixture(autouse=True)
def lets_go() -> Iterator[None]:
    """No test leaves a database open."""
    yield
    w.let_go()


def rules(text: str) -> AlertsDef:
    return parse("alerts:\n  " + text.replace("\n", "\n  ")).alerts


def call(at_s: float, *, failed: bool = False, **told: Any) -> Recent:
    usual = {"model": "a/x", "counts": True, "ttft_s": None if failed else 0.2, "usd": 0.0}
    return Recent(at_s=at_s, failed=failed, **{**usual, **told})


def calls(good: int, bad: int, at_s: float = 100.0, **told: Any) -> list[Recent]:
    return [call(at_s, failed=n < bad, **told) for n in range(good + bad)]


def firing(alerts: list[Alert]) -> set[tuple[str, str]]:
    return {(alert.name, alert.model) for alert in alerts if alert.firing}


def test_a_model_that_fails_too_often_is_told_with_its_numbers() -> None:
    """Of the last minutes only: what failed before them is over."""
    alarm = Alarm(rules("error_rate: 5%\nwindow: 2m"))
    old = calls(0, 50, at_s=0.0)
    [alert] = alarm.judged([*old, *calls(37, 3, at_s=200.0)], now_s=210.0)
    assert (alert.firing, alert.value, alert.limit) == (True, 3 / 40, 0.05)
    assert alert.sentence == "3 of 40 calls to a/x failed within 2 min; 5 % may"
    assert firing(alarm.judged(calls(38, 2, at_s=300.0), now_s=310.0)) == {("error_rate", "a/x")}, (
        "5 % is not below 4 %"
    )
    assert firing(alarm.judged(calls(39, 1, at_s=400.0), now_s=410.0)) == set()
    assert firing(alarm.judged(calls(38, 2, at_s=500.0), now_s=510.0)) == set(), "5 % is not above 5 %"


def test_a_few_calls_raise_nothing_and_end_nothing() -> None:
    """One of two is no rate; and a model that nobody asks any more has not recovered by that."""
    alarm = Alarm(rules("error_rate: 10%\nmin_calls: 10"))
    assert firing(alarm.judged(calls(1, 1), 100.0)) == set()
    assert firing(alarm.judged(calls(5, 5), 100.0)) == {("error_rate", "a/x")}
    assert firing(alarm.judged(calls(3, 0), 100.0)) == {("error_rate", "a/x")}
    assert firing(alarm.judged([], 1000.0)) == set(), "nothing was asked for a whole window"


def test_the_end_of_an_alert_for_want_of_calls_says_so() -> None:
    """Not that none of none failed, nor that they began within none."""
    alarm = Alarm(rules("error_rate: 10%\nttft_p95_s: 0.5\nmin_calls: 2"))
    assert firing(alarm.judged([*calls(0, 5), *calls(5, 0, ttft_s=3.0)], 100.0)) == {
        ("error_rate", "a/x"),
        ("ttft_p95_s", "a/x"),
    }
    over = alarm.judged([], 1000.0)
    assert {alert.sentence for alert in over} == {
        "no call to a/x was answered or failed within 5 min",
        "no answer of a/x came within 5 min",
    }


def test_refusals_for_the_rate_are_no_errors() -> None:
    """They steer how fast is asked."""
    alarm = Alarm(rules("error_rate: 10%"))
    assert firing(alarm.judged([*calls(20, 0), *calls(0, 30, counts=False)], 100.0)) == set()


def test_late_first_tokens_and_costs_raise_alerts_of_their_own() -> None:
    """The 95th percentile of one model; money of all together within the hour."""
    alarm = Alarm(rules("ttft_p95_s: 0.5\ncost_per_hour: 1"))
    slow = [*calls(18, 0), call(100.0, ttft_s=3.0, usd=0.7), call(100.0, ttft_s=4.0, model="a/x", usd=0.7)]
    found = alarm.judged(slow, 100.0)
    assert firing(found) == {("ttft_p95_s", "a/x"), ("cost_per_hour", "")}
    assert {alert.sentence for alert in found} == {
        "95 % of the answers of a/x within 5 min began within 3 s; 0.5 s are allowed",
        "calls cost $1.4000 within the last hour; $1 are allowed",
    }
    assert firing(alarm.judged([call(50.0, usd=1.4)], 3700.0)) == set()


def test_a_model_can_have_marks_of_its_own() -> None:
    """By the first glob that matches; what they leave out is as for all."""
    text = "error_rate: 5%\nmodels:\n  'a/*': {error_rate: 50%, cost_per_hour: 0.1}"
    alarm = Alarm(rules(text))
    found = alarm.judged([*calls(30, 10, usd=0.01), *calls(30, 10, model="b/y", usd=9.0)], 100.0)
    assert firing(found) == {("error_rate", "b/y"), ("cost_per_hour", "a/x")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("error_rate: 120%", "alerts.error_rate: must be a share between 0 and 1"),
        ("error_rate: 5 points", "alerts.error_rate: must be a share"),
        ("error_rate: true", "alerts.error_rate: must be a share"),
        ("window: soon", "alerts.window: must be a duration"),
        ("window: true", "alerts.window: must be a duration"),
        ("window: 2h", "alerts.window: must be an hour at most"),
        ("ttft_p95_s: 0", "alerts.ttft_p95_s: "),
        ("cost_per_hour: -1", "alerts.cost_per_hour: must be an amount"),
        ("errors: 5%", "alerts.errors: unknown key"),
        ("models: {'a/*': {window: 5m}}", "unknown key"),
    ],
)
def test_rules_that_cannot_be_are_refused_with_their_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        rules(text)
    assert said in str(error.value)
    assert "llmbench.yaml:2: " in str(error.value)


def test_without_rules_nothing_is_looked_for() -> None:
    assert not AlertsDef().is_given
    assert rules("error_rate: 5%").is_given
    assert rules("models: {'a/*': {ttft_p95_s: 1}}").is_given


def test_the_metrics_and_the_health_show_what_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed from the database; a rule that is kept is a 0, so that its absence can be told from it."""
    monkeypatch.setattr(clock, "now", lambda: w.NOW)
    with Store.open(w.database(tmp_path)) as store:
        w.begin(store)
        w.keep(store, [w.answer(n) for n in range(15)], ago_s=30)
        w.keep_failed(store, [w.failure(ago_s=20) for _ in range(5)])
    alerts = rules("error_rate: 20%\nttft_p95_s: 9\ncost_per_hour: 1")
    view = w.looking(Watched(w.database(tmp_path), alerts=alerts)).look()
    text = exposed(view.figures)
    assert 'llmbench_alert_firing{alert="error_rate",model="lab/m"} 1' in text
    assert 'llmbench_alert_firing{alert="ttft_p95_s",model="lab/m"} 0' in text
    assert 'llmbench_alert_firing{alert="cost_per_hour",model=""} 0' in text
    assert view.health.state == "failing"
    assert view.health.reasons == ("alert error_rate: 5 of 20 calls to lab/m failed within 5 min; 20 % may",)


def test_health_has_a_word_for_each_way_to_be_ill() -> None:
    """Held up, half open, all open, silent; a run that is over is none of them."""
    now_s, begun = w.NOW.timestamp(), RunHead("r", w.NOW.isoformat(), None, None)
    held = w.lane(held_until=w.NOW.replace(minute=5).isoformat())
    states = {
        "ok": health(Standing((begun,), lanes=(w.lane(),)), (), now_s, now_s),
        "held": health(Standing((begun,), lanes=(held,)), (), now_s, now_s),
        "one open": health(Standing((begun,), lanes=(w.lane(breaker="open"), w.lane())), (), now_s, now_s),
        "all open": health(Standing((begun,), lanes=(w.lane(breaker="open"),)), (), now_s, now_s),
        "silent": health(Standing((begun,)), (), now_s + 1000, now_s),
        "over": health(
            Standing((RunHead("r", begun.started_at, begun.started_at, 1),), lanes=(held,)), (), now_s, None
        ),
    }
    assert {name: found.state for name, found in states.items()} == {
        "ok": "ok",
        "held": "degraded",
        "one open": "degraded",
        "all open": "failing",
        "silent": "degraded",
        "over": "ok",
    }
    assert states["held"].reasons == ("lab/m is not asked for another 300 s, because its provider said so",)
    assert states["silent"].reasons == ("the run is not over, and nothing was stored for 17 min",)


def test_lane_states_are_kept_by_model_and_account(tmp_path: Path) -> None:
    """The last word of each stands, however many come in one transaction."""
    with Store.open(w.database(tmp_path)) as store:
        w.begin(store)
        first = store.submit(lane_states.put_all, ("run-1", [w.lane(cuts=1), w.lane(account="b")]))
        store.submit(lane_states.put_all, ("run-1", [w.lane(cuts=2, retries_left=1.5)])).result()
        assert first.result() is None
        look = store.look(store.begin_watching("run-1"))
        assert look.standing.lanes == (w.lane(cuts=2, retries_left=1.5), w.lane(account="b"))
        store.remove_run("run-1")
        assert store.look(store.begin_watching("")).standing.lanes == ()


def test_while_a_run_goes_on_each_alert_is_told_once_and_its_end_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To people in a sentence, to the log as a note with its figures."""
    monkeypatch.setattr(clock, "now", lambda: w.NOW)
    monkeypatch.setattr(alert_watch, "LOOK_S", 0.02)
    told: list[str] = []
    notes: list[Note] = []
    with Store.open(w.database(tmp_path)) as store:
        w.begin(store)
        w.keep_failed(store, [w.failure() for _ in range(10)])
        watch = AlertWatch(store, "run-1", rules("error_rate: 50%\nmin_calls: 5"), told.append, notes.append)
        deadline = clock.monotonic() + 20
        while not told and clock.monotonic() < deadline:
            clock.sleep(0.01)
        clock.sleep(0.1)
        assert told == ["alert (error_rate): 10 of 10 calls to lab/m failed within 5 min; 50 % may"]
        w.keep(store, [w.answer(n) for n in range(30)])
        watch.end()
    assert [line.partition(":")[0] for line in told[1:]] == ["alert over (error_rate)"]
    assert notes[0].message == "error_rate: 10 of 10 calls to lab/m failed within 5 min; 50 % may", (
        "its kind says alert"
    )
    assert [note.kind for note in notes] == [Kind.ALERT_RAISED, Kind.ALERT_CLEARED]
    assert (notes[0].model, notes[0].details["value"], notes[0].details["limit"]) == ("lab/m", 1.0, 0.5)


def test_a_run_tells_of_an_alert_on_its_terminal_and_in_its_log(pytester: pytest.Pytester) -> None:
    """Also one that is over before the first look: the last look comes at the end."""
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.models("lab/m")
        @pytest.mark.parametrize("number", range(6))
        def test_answer(model, number):
            model.ask(f"say {number}", max_tokens=20)
        """
    )
    with DemoProvider(
        lambda body: Failure(400, "no") if "5" not in str(body["messages"]) else Answer("yes")
    ) as running:
        text = f"providers:\n  lab: {{url: '{running.url}'}}\nalerts: {{error_rate: 50%, min_calls: 5}}\n"
        pytester.path.joinpath("llmbench.yaml").write_text(text)
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--llmbench-progress", "off")
    told = [line for line in result.stdout.lines if "alert (" in line]
    assert told == ["llmbench: alert (error_rate): 5 of 6 calls to lab/m failed within 5 min; 50 % may"]
    [log] = pytester.path.glob(".llmbench/logs/*/requests-main.jsonl")
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["message"] for line in logged if "alert_raised" in line.values()] == [
        "error_rate: 5 of 6 calls to lab/m failed within 5 min; 50 % may"
    ]


def test_an_alert_is_told_while_tests_run_where_no_progress_is_shown(pytester: pytest.Pytester) -> None:
    """As with models of this machine alone: before the test ends that runs just then, not after the last one."""
    pytester.makeconftest("from pytest_llmbench.observe import alert_watch; alert_watch.LOOK_S = 0.05")
    pytester.makepyfile(
        test_it="""
        import time
        import pytest
        from pytest_llmbench.errors import InfraError

        @pytest.mark.models("lab/m")
        def test_answer(model):
            for number in range(6):
                with pytest.raises(InfraError):
                    model.ask(f"say {number}", max_tokens=20)
            time.sleep(0.5)
        """
    )
    with DemoProvider(lambda _: Failure(400, "no")) as running:
        text = f"providers:\n  lab: {{url: '{running.url}'}}\nalerts: {{error_rate: 50%, min_calls: 5}}\n"
        pytester.path.joinpath("llmbench.yaml").write_text(text)
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--llmbench-progress", "off")
    result.stdout.fnmatch_lines(["llmbench: alert (error_rate): *", "*100%*"])
    assert result.stdout.str().count("alert (") == 1
