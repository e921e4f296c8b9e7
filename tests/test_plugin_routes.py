"""Routes as judges: who judged is told, nothing is asked twice, and a model under test is never one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pytest
import scipy.stats  # noqa: F401 - loads once a process; pytester forgets what a test inside was first to import
from calibration_suites import labels
from judge_suites import RUBRIC, calls, court, judged_reply, judged_usecase, loud, verdict
from suite_runs import stored_run

from pytest_llmbench.demo import Answer, Failure
from pytest_llmbench.records import Score

ROUTES = "routes:\n  careful: {models: [lab/j, lab/k]}\n"
ONCE = "--llmbench-attempts=1"


def broken(_body: object) -> Failure:
    """A judge whose server fails."""
    return Failure(500, "the server fell over")


def verdict_of(pytester: pytest.Pytester, sample: str) -> Score:
    """The score that a sample's judge gave in the last run."""
    [found] = [each.evaluation for each in stored_run(pytester).results if each.sample == sample]
    assert found is not None
    return found.scores[-1]


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


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["serial", "-n 2"])
def test_a_stronger_judge_is_asked_where_the_first_one_is_unsure(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    """`lab/j` rambles about one reply, twice: `lab/k` is asked about that one alone, and its word counts."""
    judged_usecase(pytester.path, 3, "judge: {model: route/careful, binding: true}")
    rambling = lambda body: Answer("Well.") if judged_reply(body) == "SAY 2" else loud(body)  # noqa: E731
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/k], when: [unusable]}}\n"
    with court(pytester.path, routes, j=rambling, k=lambda _: verdict(False)) as lab:
        result = pytester.runpytest_subprocess("shout", *arguments)
    assert result.ret == 1, result.stdout.str()
    assert calls(lab) == {"m": 3, "j": 4, "k": 1}
    found = verdict_of(pytester, "s2")
    assert (found.passed, found.details["judge"]) == (False, "lab/k")
    assert found.details["route"]["tried"] == [{"model": "lab/j", "why": "unusable", "unsure": True}]
    result.stdout.fnmatch_lines(["*1 of 3 verdicts by lab/k, since lab/j was unsure*"])


GRADED = """
rubric:
  criteria:
    - {id: loud, text: The reply is loud., scale: {1: it whispers, 3: it speaks, 5: it is loud}}
"""


def graded(grade: int) -> Answer:
    """A verdict by `GRADED`."""
    return Answer(json.dumps({"criteria": {"loud": {"reason": "It is as loud as it is.", "grade": grade}}}))


def test_a_grade_on_the_border_is_put_to_a_stronger_judge(pytester: pytest.Pytester) -> None:
    """3 passes and 2 would not: a border; 5 is none."""
    from usecase_suites import usecase

    usecase(pytester.path, 2, f"{GRADED}judge: {{model: route/careful, binding: true}}")
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/k], when: [border]}}\n"
    grades = lambda body: graded(3 if judged_reply(body) == "SAY 0" else 5)  # noqa: E731
    with court(pytester.path, routes, j=grades, k=lambda _: graded(1)) as lab:
        result = pytester.runpytest_inprocess("shout")
    assert result.ret == 1, result.stdout.str()
    assert calls(lab) == {"m": 2, "j": 2, "k": 1}
    assert (verdict_of(pytester, "s0").passed, verdict_of(pytester, "s1").passed) == (False, True)


def test_the_first_verdict_stands_where_the_stronger_judge_fails(pytester: pytest.Pytester) -> None:
    """A doubt is no reason to have no verdict."""
    from usecase_suites import usecase

    usecase(pytester.path, 1, f"{GRADED}judge: {{model: route/careful, binding: true}}")
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/k], when: [border]}}\n"
    with court(pytester.path, routes, j=lambda _: graded(3), k=broken) as lab:
        result = pytester.runpytest_inprocess("shout", ONCE)
    assert result.ret == 0, result.stdout.str()
    assert calls(lab) == {"m": 1, "j": 1, "k": 1}
    found = verdict_of(pytester, "s0")
    assert (found.passed, found.details["judge"]) == (True, "lab/j")
    assert [each["why"] for each in found.details["route"]["tried"]] == ["border", "server"]


def test_the_first_verdict_stands_where_the_stronger_judge_is_too_dear(pytester: pytest.Pytester) -> None:
    """It was paid: that there is no money for another one does not take it away."""
    from usecase_suites import usecase

    usecase(pytester.path, 1, f"{GRADED}judge: {{model: route/careful, binding: true}}\nrequest: {{max_tokens: 10}}")
    dear = "      dear: {price: {input: 9000, output: 9000}, capabilities: {json_schema: true}}\n"
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/dear], when: [border]}}\n"
    with court(pytester.path, dear + routes, j=lambda _: graded(3)) as lab:
        result = pytester.runpytest_inprocess("shout", "--llmbench-max-cost=1")
    assert calls(lab) == {"m": 1, "j": 1}, result.stdout.str()
    [test] = stored_run(pytester).results
    found = verdict_of(pytester, "s0")
    assert (test.outcome, found.passed, found.details["judge"]) == ("right", True, "lab/j")
    assert [each["why"] for each in found.details["route"]["tried"]] == ["border", "over_budget"]


def test_a_verdict_that_cannot_be_used_stands_where_the_stronger_judge_fails(pytester: pytest.Pytester) -> None:
    """The reply is unscored, as it would be without a stronger one, and no infra error."""
    judged_usecase(pytester.path, 1, "judge: {model: route/careful, binding: true}")
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/k], when: [unusable]}}\n"
    with court(pytester.path, routes, j=lambda _: Answer("Well."), k=broken) as lab:
        result = pytester.runpytest_inprocess("shout", ONCE)
    assert calls(lab) == {"m": 1, "j": 2, "k": 1}, result.stdout.str()
    [test] = stored_run(pytester).results
    found = verdict_of(pytester, "s0")
    assert (test.category, found.state, found.details["judge"]) == ("", "unscored", "lab/j")
    assert [each["why"] for each in found.details["route"]["tried"]] == ["unusable", "server"]


def test_a_panel_counts_a_route_as_one_vote_and_its_dissent_as_a_doubt(pytester: pytest.Pytester) -> None:
    """`lab/j` says no and `lab/n` yes: the route's stronger model is asked, and the panel has two votes, not three."""
    judged_usecase(pytester.path, 1, "panel: {models: [route/careful, lab/n], binding: true}\nmodels: [lab/m]")
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/k], when: [disagreement]}}\n"
    with court(pytester.path, routes, j=lambda _: verdict(False), n=loud) as lab:
        result = pytester.runpytest_inprocess("shout")
    assert result.ret == 0, result.stdout.str()
    assert calls(lab) == {"m": 1, "j": 1, "k": 1, "n": 1}
    found = verdict_of(pytester, "s0")
    assert [(part.name, part.details["judge"], part.passed) for part in found.parts] == [
        ("route/careful", "lab/k", True),
        ("lab/n", "lab/n", True),
    ]
    assert found.details["for"] == 2


def test_a_question_that_two_models_cannot_stand_is_not_sent_to_a_third(pytester: pytest.Pytester) -> None:
    """Both fail in a way that may be its own fault."""
    judged_usecase(pytester.path, 1, "judge: route/careful")
    routes = "routes:\n  careful: {models: [lab/j, lab/k, lab/n]}\n"
    with court(pytester.path, routes, j=broken, k=broken) as lab:
        result = pytester.runpytest_inprocess("shout", ONCE)
    assert calls(lab) == {"m": 1, "j": 1, "k": 1}
    [test] = stored_run(pytester).results
    assert (test.outcome, test.category) == ("infra_error", "server")
    assert "route/careful: lab/j: server, lab/k: server" in test.message, result.stdout.str()


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


class Comparison(NamedTuple):
    """What two judges say of `LOUD` shown first, and shown second; None: nothing that can be used."""

    when: str
    first: tuple[str, str]
    stronger: tuple[str, str] | None
    winner: str
    told: tuple[str, ...]
    logprob: float | None = None

    def answers(self, said: tuple[str, str] | None, body: dict[str, Any]) -> Answer:
        """One of them asked."""
        text = str(body["messages"])
        if said is None:
            return Answer("Well.")
        better = said[text.index("LOUD") > text.index("quiet")]
        return Answer(json.dumps({"reason": "One is in capitals.", "better": better}), logprob=self.logprob)


@pytest.mark.parametrize(
    "case",
    [
        Comparison("border", ("first", "first"), None, "tie", ("j was unsure (border)", "k was unsure (unusable)")),
        Comparison(
            "low_confidence", ("first", "second"), ("second", "first"), "b", ("j was unsure (low_confidence)",), -1.0
        ),
    ],
    ids=["the stronger one cannot be used", "unlikely tokens"],
)
def test_a_comparison_by_a_route_has_its_doubts_and_tells_them(pytester: pytest.Pytester, case: Comparison) -> None:
    """A tie stands where the stronger judge rambles; whoever looks on is told."""
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.judge("route/careful", rubric="The reply is loud.")
        def test_it(judge):
            assert judge.compare("LOUD", "quiet", "say").winner == {case.winner!r}
        """
    )
    routes = f"routes:\n  careful: {{models: [lab/j], unsure: {{to: [lab/k], when: [{case.when}]}}}}\n"
    said = {"j": partial(case.answers, case.first), "k": partial(case.answers, case.stronger)}
    with court(pytester.path, routes, **said):
        result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    logs = "".join(path.read_text() for path in pytester.path.glob(".llmbench/logs/*/requests*.jsonl"))
    assert logs.count("route/careful: ") == len(case.told)
    assert all(f"route/careful: lab/{each}" in logs for each in case.told)


REFUSED = "*route/careful is a route, and a model under test cannot be one*never mixed*"


@pytest.mark.parametrize(
    ("front", "arguments"),
    [("models: [route/careful]\njudge: lab/j", ()), ("judge: lab/j", ("--llmbench-models=route/careful",))],
    ids=["page", "option"],
)
def test_a_model_under_test_is_never_a_route(pytester: pytest.Pytester, front: str, arguments: tuple[str, ...]) -> None:
    """Told with the reason, before anything is asked."""
    judged_usecase(pytester.path, 1, front)
    with court(pytester.path, ROUTES) as lab:
        result = pytester.runpytest_inprocess("shout", *arguments)
        assert not lab.chats()
    assert result.ret in {2, 4}
    result.stdout.fnmatch_lines([REFUSED])


@pytest.mark.parametrize(
    "test",
    [
        "@pytest.mark.models('route/careful')\ndef test_it(model):\n    model.ask('hi')\n",
        "def test_it(llama_server):\n    llama_server('route/careful').ask('hi')\n",
        "@pytest.mark.exclusive\ndef test_it(bench):\n    bench('route/careful', profile='interactive')\n",
        """
from pytest_llmbench.fixtures import SESSION
from pytest_llmbench.serving import open_model

def test_it(request):
    open_model(request.config.stash[SESSION](), "route/careful").server()
""",
    ],
    ids=["mark", "llama_server", "bench", "open_model"],
)
def test_no_fixture_gives_a_route_as_a_model(pytester: pytest.Pytester, test: str) -> None:
    """However it is named: nothing is asked by it."""
    pytester.makepyfile(f"import pytest\n{test}")
    with court(pytester.path, ROUTES) as lab:
        result = pytester.runpytest_inprocess()
        assert not lab.chats()
    assert result.ret in {1, 2}
    result.stdout.fnmatch_lines([REFUSED])


def test_a_matrix_of_a_route_is_refused(pytester: pytest.Pytester) -> None:
    """Its model is under test."""
    with court(pytester.path, ROUTES + "matrix: {models: [route/careful], profiles: [interactive]}\n") as lab:
        result = pytester.runpytest_inprocess("llmbench.yaml")
        assert not lab.chats()
    assert result.ret != 0
    result.stdout.fnmatch_lines([REFUSED])


@pytest.mark.parametrize(
    ("routes", "judge", "told"),
    [
        (
            "routes:\n  careful:\n    models: [lab/j, labb/k]\n",
            "judge: route/careful",
            "*llmbench.yaml:*: routes.careful.models?1?: no model is named 'labb/k'*",
        ),
        (ROUTES, "judge: route/carefull", "*no route is named 'route/carefull'; did you mean 'route/careful'*"),
        (ROUTES, "panel: [route/careful, lab/k]", "*lab/k would sit on the panel twice*one model has one vote*"),
        (
            "routes:\n  careful: {models: [openai/gpt-5-mini, lab/k]}\n",
            "judge: route/careful",
            "*the provider 'openai' needs its key in $OPENAI_API_KEY*",
        ),
    ],
    ids=["unknown model", "unknown route", "two votes", "no key"],
)
def test_what_is_wrong_with_a_route_is_told_before_anything_is_spent(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, routes: str, judge: str, told: str
) -> None:
    """With its place, also where only the last model of a chain is wrong."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    judged_usecase(pytester.path, 1, judge)
    with court(pytester.path, routes) as lab:
        result = pytester.runpytest_inprocess("shout")
        assert not lab.chats()
    assert result.ret in {2, 4}
    (result.stdout if "no " in told or "twice" in told else result.stderr).fnmatch_lines([told])


def test_unlikely_tokens_are_a_doubt_where_a_route_asks_for_them(pytester: pytest.Pytester) -> None:
    """The first judge is asked for log-probabilities, the stronger one is not."""
    judged_usecase(pytester.path, 2, "judge: {model: route/careful, binding: true}")
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/k], when: [low_confidence], confidence: 0.7}}\n"

    def guessing(body: dict[str, object]) -> Answer:
        return replace(verdict(True), logprob=-1.0 if judged_reply(body) == "SAY 0" else -0.01)

    with court(pytester.path, routes, j=guessing, k=lambda _: verdict(False)) as lab:
        result = pytester.runpytest_inprocess("shout")
        wanted = {call.body["model"]: call.body.get("logprobs") for call in lab.chats()}
    assert calls(lab) == {"m": 2, "j": 2, "k": 1}, result.stdout.str()
    assert wanted == {"m": None, "j": True, "k": None}
    assert verdict_of(pytester, "s0").details["route"]["tried"][0]["why"] == "low_confidence"
    [told] = {reply.usage.mean_logprob for reply in stored_run(pytester).replies if reply.model == "lab/k"}
    assert told is None


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
    assert verdict_of(pytester, "s0").details["not_calibrated"] == "lab/k: no calibration"


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


def test_what_does_not_fit_into_the_budget_is_asked_of_nobody(pytester: pytest.Pytester) -> None:
    """Money is no failure that another model could mend; a route without all of its prices is refused before."""
    judged_usecase(pytester.path, 1, "judge: route/careful\nrequest: {max_tokens: 10}")
    with court(pytester.path, ROUTES) as lab:
        pytester.runpytest_inprocess("shout", "--llmbench-max-cost=0.005")
        assert calls(lab) == {"m": 1}
    [test] = stored_run(pytester).results
    assert test.outcome == "over_budget"
    with court(pytester.path, "      free: {}\nroutes:\n  careful: {models: [lab/j, other/free]}\n") as lab:
        pytester.path.joinpath("llmbench.yaml").write_text(
            pytester.path.joinpath("llmbench.yaml").read_text().replace("      free: {}\n", "")
            + "servers: {other: {url: 'http://192.0.2.1:1'}}\n"
        )
        refused = pytester.runpytest_inprocess("shout", "--llmbench-max-cost=5")
        assert not lab.chats()
    refused.stderr.fnmatch_lines(["*no price of other/free is known*"])
