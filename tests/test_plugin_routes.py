"""Routes as judges: where one model fails the next one judges, who judged is told, and nothing is asked twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import scipy.stats  # noqa: F401 - loads once a process; pytester forgets what a test inside was first to import
from calibration_suites import labels
from judge_suites import RUBRIC, calls, court, judged_reply, judged_usecase, loud, verdict
from route_suites import ONCE, ROUTES, broken, verdict_of
from suite_runs import stored_run

from pytest_llmbench.demo import Answer, Failure


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["serial", "-n 2"])
def test_where_one_judge_fails_the_next_judges_and_reports_say_so(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    """`lab/j` fails on one of three replies: `lab/k` judges that one, and each verdict keeps who gave it."""
    judged_usecase(pytester.path, 3, "judge: route/careful")
    moody = lambda body: broken(body) if judged_reply(body) == "SAY 1" else loud(body)  # noqa: E731
    with court(pytester.path, ROUTES, j=moody) as lab:
        result = pytester.runpytest_subprocess("shout", ONCE, *arguments)
    assert result.ret == 0, result.stdout.str()
    assert calls(lab) == {"m": 3, "j": 3, "k": 1}
    told = {sample: verdict_of(pytester, sample) for sample in ("s0", "s1", "s2")}
    assert {sample: score.details["judge"] for sample, score in told.items()} == {
        "s0": "lab/j",
        "s1": "lab/k",
        "s2": "lab/j",
    }
    route = {"name": "route/careful", "models": ["lab/j", "lab/k"], "first": "lab/j"}
    tried = [{"model": "lab/j", "why": "server", "unsure": False}]
    assert told["s1"].details["route"] == {**route, "tried": tried}
    assert told["s0"].details["route"] == {**route, "tried": []}
    run = stored_run(pytester)
    assert [attempt.model for attempt in run.failed_attempts] == ["lab/j"]
    assert {reply.role for reply in run.replies if reply.model != "lab/m"} == {"judge"}
    result.stdout.fnmatch_lines(["*1 of 3 verdicts by the fall-back lab/k (lab/j: server)*"])
    logs = "".join(path.read_text() for path in pytester.path.glob(".llmbench/logs/*/requests*.jsonl"))
    assert logs.count("route/careful: lab/j failed (server)") == 1


def test_verdicts_of_the_second_model_count_also_where_the_first_is_not_even_asked(pytester: pytest.Pytester) -> None:
    """A key that is refused is refused for good: from then on the first model is passed over, and said to be."""
    judged_usecase(pytester.path, 8, "judge: route/careful")
    slow = lambda body: Answer(body["messages"][-1]["content"].upper(), ttft_s=0.15)  # noqa: E731
    refusing = lambda _body: Failure(401, "no such key")  # noqa: E731
    with court(pytester.path, ROUTES, m=slow, j=refusing) as lab:
        result = pytester.runpytest_subprocess("shout", ONCE, "--llmbench-max-concurrency=1")
    assert calls(lab)["k"] == 8
    assert calls(lab)["j"] < 8
    result.stdout.fnmatch_lines(["*8 of 8 verdicts by the fall-back lab/k (lab/j: auth)*"])


def test_a_question_that_two_models_cannot_stand_is_not_sent_to_a_third(pytester: pytest.Pytester) -> None:
    """Both fail in a way that may be its own fault."""
    judged_usecase(pytester.path, 1, "judge: route/careful")
    routes = "routes:\n  careful: {models: [lab/j, lab/k, lab/n]}\n"
    with court(pytester.path, routes, j=broken, k=broken) as lab:
        result = pytester.runpytest_inprocess("shout", ONCE)
    assert calls(lab) == {"m": 1, "j": 1, "k": 1}
    [test] = stored_run(pytester).results
    assert (test.outcome, test.category) == ("infra_error", "server")
    assert test.message.count("route/careful: lab/j: server, lab/k: server") == 1, result.stdout.str()


def test_a_wrong_request_is_wrong_everywhere(pytester: pytest.Pytester) -> None:
    """400: nobody else is asked."""
    judged_usecase(pytester.path, 1, "judge: route/careful")
    with court(pytester.path, ROUTES, j=lambda _: Failure(400, "no such field")) as lab:
        pytester.runpytest_inprocess("shout", ONCE)
    assert calls(lab) == {"m": 1, "j": 1}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["serial", "-n 1"])
def test_what_a_fall_back_judged_stays_when_a_run_goes_on(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    """The first judge is well again by then, and is asked nothing: each verdict is the one that was given."""
    judged_usecase(pytester.path, 3, "judge: {model: route/careful, binding: true}")
    pytester.makeconftest(
        "import os, signal\ndef pytest_runtest_makereport(item, call):\n"
        "    if call.when == 'call' and 's2' in item.name and not os.environ.get('RESUMED'):\n"
        "        os.kill(os.getppid() if 'PYTEST_XDIST_WORKER' in os.environ else os.getpid(), signal.SIGKILL)\n"
        "        import time; time.sleep(5)\n"
    )
    well: list[bool] = []
    first = lambda body: verdict(False) if well else broken(body)  # noqa: E731
    with court(pytester.path, ROUTES, j=first, k=lambda _: verdict(not well)) as lab:
        pytester.runpytest_subprocess("shout", ONCE, *arguments)
        before = calls(lab)
        well.append(True)
        pytester.makeconftest("")
        resumed = pytester.runpytest_subprocess("shout", ONCE, "--llmbench-resume=last", *arguments)
        assert calls(lab) == before
    assert resumed.ret == 0, resumed.stdout.str()
    assert before["k"] == 3
    assert {verdict_of(pytester, f"s{n}").details["judge"] for n in range(3)} == {"lab/k"}


def test_judged_anew_by_the_same_route_nobody_is_asked(pytester: pytest.Pytester) -> None:
    """Replies and verdicts are taken from the run before, those of the fall-back too."""
    judged_usecase(pytester.path, 2, "judge: route/careful")
    with court(pytester.path, ROUTES, j=broken) as lab:
        pytester.runpytest_inprocess("shout", ONCE)
        before = calls(lab)
        result = pytester.runpytest_inprocess("shout", ONCE, "--llmbench-rejudge=last")
        assert calls(lab) == before, result.stdout.str()
    assert {verdict_of(pytester, f"s{n}").details["judge"] for n in range(2)} == {"lab/k"}


def test_who_judged_is_found_though_it_was_asked_without_the_wish_of_its_route(pytester: pytest.Pytester) -> None:
    """The fall-back told no log-probabilities: judged anew, the first judge is not asked in its place."""
    judged_usecase(pytester.path, 1, "judge: route/careful")
    routes = "routes:\n  careful: {models: [lab/j, lab/k], unsure: {to: [lab/n], when: [low_confidence]}}\n"
    with court(pytester.path, routes, j=broken) as lab:
        config = pytester.path.joinpath("llmbench.yaml")
        known = config.read_text()
        head, _, rest = known.rpartition("json_schema: true")
        config.write_text(f"{head}json_schema: true, logprobs: false{rest}")
        pytester.runpytest_inprocess("shout", ONCE)
        assert calls(lab) == {"m": 1, "j": 1, "k": 1}
        config.write_text(known)
        result = pytester.runpytest_inprocess("shout", ONCE, "--llmbench-rejudge=last")
    assert calls(lab)["j"] == 1, result.stdout.str()


def test_a_judge_in_a_test_may_be_a_route_and_compares_by_one_model(pytester: pytest.Pytester) -> None:
    """Where the first one fails in one order, the other one is asked in both."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.judge("route/careful", rubric="The reply is loud.")
        @pytest.mark.models("lab/m")
        def test_it(model, judge):
            assert judge(model.ask("say"), "say").details["judge"] == "lab/k"
            assert judge.compare("LOUD", "quiet", "say").winner == "a"
        """
    )

    def by_place(body: dict[str, object]) -> Answer:
        text = str(body["messages"])
        if "SECOND REPLY" not in text:
            return loud(body)
        first = "first" if text.index("LOUD") < text.index("quiet") else "second"
        return Answer(json.dumps({"reason": "One is written in capitals.", "better": first}))

    with court(pytester.path, ROUTES, j=broken, k=by_place) as lab:
        result = pytester.runpytest_inprocess(ONCE)
    result.assert_outcomes(passed=1)
    assert calls(lab)["k"] == 3


@pytest.mark.slow
def test_a_route_counts_where_each_of_its_models_is_calibrated(pytester: pytest.Pytester) -> None:
    """A calibration of the route is one of each of its models; with one of them missing it only advises."""
    judged_usecase(pytester.path, 1, "judge: route/careful")
    folder = pytester.path / "labels"
    folder.mkdir()
    said = [{**row, "reply": ("say it", "SAY IT")[n % 2], "human": ("fail", "pass")[n % 2]} for n, row in _labels()]
    folder.joinpath("labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
    text = f"{RUBRIC}\njudges: [route/careful]\nlabels: labels.jsonl\n"
    folder.joinpath("answers.calibration.yaml").write_text(text)
    with court(pytester.path, ROUTES + "judges: {labels: 12}\n"):
        kept = pytester.runpytest_subprocess("labels", "--llmbench-keep-calibrations=true")
        assert {result.model for result in stored_run(pytester).results} == {"lab/j", "lab/k"}, kept.stdout.str()
        pytester.runpytest_subprocess("shout")
        assert not verdict_of(pytester, "s0").advisory
        [path] = [each for each in pytester.path.glob("llmbench-judges/*.json") if "lab-k" in each.name]
        path.unlink()
        pytester.runpytest_subprocess("shout")
    assert verdict_of(pytester, "s0").advisory
    assert verdict_of(pytester, "s0").details["not_calibrated"] == "lab/k, one of its models: no calibration"


def _labels() -> Iterator[tuple[int, dict[str, Any]]]:
    return enumerate(labels(12))


def test_another_provider_judges_where_nobody_listens_at_the_first_one(pytester: pytest.Pytester) -> None:
    """Two providers: one is not there at all."""
    judged_usecase(pytester.path, 2, "judge: route/careful")
    gone = "  gone: {url: 'http://127.0.0.1:1'}\n"
    with court(pytester.path, f"{gone}routes:\n  careful: {{models: [gone/j, lab/k]}}\n") as lab:
        result = pytester.runpytest_inprocess("shout", ONCE)
    assert result.ret == 0
    assert calls(lab) == {"m": 2, "k": 2}
    assert {attempt.category for attempt in stored_run(pytester).failed_attempts} == {"network.refused"}
    result.stdout.fnmatch_lines(["*2 of 2 verdicts by the fall-back lab/k (gone/j:*"])
