"""Judges that are routes in runs through batch APIs: who is asked is settled before, and asked once."""

from __future__ import annotations

import pytest
import scipy.stats  # noqa: F401 - loads once a process; pytester forgets what a test inside was first to import
from judge_suites import calls, court, judged_reply, judged_usecase
from route_suites import BORDER, GRADED, ONCE, ROUTES, broken, graded, verdict_of
from suite_runs import stored_run
from usecase_suites import usecase

from pytest_llmbench.demo import DemoProvider
from pytest_llmbench.errors import ExitCode

GOES_ON = "--llmbench-resume=last"
BATCH = "--llmbench-batch=true"


def submitted(lab: DemoProvider) -> int:
    """How many batches were."""
    return sum((call.method, call.route) == ("POST", "/v1/batches") for call in lab.log)


@pytest.mark.slow
def test_a_route_judges_through_batches_a_round_a_session(pytester: pytest.Pytester) -> None:
    """Replies, then verdicts, then those of the stronger judge on what was a border; nobody is asked directly."""
    usecase(pytester.path, 2, f"{GRADED}judge: {{model: route/careful, binding: true}}")
    grades = lambda body: graded(3 if judged_reply(body) == "SAY 0" else 5)  # noqa: E731
    with court(pytester.path, BORDER, j=grades, k=lambda _: graded(5)) as lab:
        codes = [pytester.runpytest_inprocess("shout", BATCH).ret]
        codes += [pytester.runpytest_inprocess("shout", BATCH, GOES_ON).ret for _ in range(3)]
        assert codes == [ExitCode.PENDING] * 3 + [ExitCode.OK]
        assert (submitted(lab), calls(lab)) == (4, {})  # each test submits its own verdict
    judges = {sample: verdict_of(pytester, sample).details["judge"] for sample in ("s0", "s1")}
    assert judges == {"s0": "lab/k", "s1": "lab/j"}


@pytest.mark.slow
def test_what_a_batch_left_undone_falls_back_where_it_is_asked_directly(pytester: pytest.Pytester) -> None:
    """A session without --batch asks at once: there the route is one."""
    judged_usecase(pytester.path, 1, "judge: route/careful")
    with court(pytester.path, ROUTES, j=broken) as lab:
        pytester.runpytest_inprocess("shout", BATCH)
        pytester.runpytest_inprocess("shout", BATCH, GOES_ON)
        ended = pytester.runpytest_inprocess("shout", GOES_ON, ONCE)
        assert (ended.ret, calls(lab)) == (ExitCode.OK, {"j": 1, "k": 1}), ended.stdout.str()
    assert verdict_of(pytester, "s0").details["judge"] == "lab/k"


def test_whom_a_batch_lies_with_stays_the_one_that_is_asked(pytester: pytest.Pytester) -> None:
    """Though another model would come first by now, and the provider cannot be reached: it is waited for."""
    judged_usecase(pytester.path, 1, "judge: route/careful")
    routes = ROUTES.replace("lab/k]", "lab/k], choose: cheapest")
    with court(pytester.path, routes) as lab:
        pytester.runpytest_inprocess("shout", BATCH)
        pytester.runpytest_inprocess("shout", BATCH, GOES_ON)
        assert submitted(lab) == 2
    config = pytester.path.joinpath("llmbench.yaml")
    config.write_text(config.read_text().replace("j: {price: {input: 2,", "j: {price: {input: 200,"))
    result = pytester.runpytest_inprocess("shout", GOES_ON, ONCE)
    assert result.ret == ExitCode.PENDING, result.stdout.str()
    result.stdout.fnmatch_lines(["*0 replies collected, 1 still pending*"])
    assert not stored_run(pytester).failed_attempts  # nobody else was asked
