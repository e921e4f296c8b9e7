"""What routes cost: what is too dear for a budget, and what a dry run tells of the dearest way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import scipy.stats  # noqa: F401 - loads once a process; pytester forgets what a test inside was first to import
from judge_suites import RUBRIC, calls, court, judged_usecase, loud, verdict
from media_files import png
from route_suites import GRADED, ROUTES, graded, verdict_of
from suite_runs import stored_run
from usecase_suites import page, usecase

from pytest_llmbench.demo import DemoProvider
from pytest_llmbench.errors import ExitCode

DEAR = """
  far:
    url: FAR
    key_env: FAR_KEY
    models:
      dear: {{price: {{input: 90000, output: 90000}}{told}}}
"""
KNOWN = pytest.mark.parametrize("told", [", capabilities: {json_schema: true}", ""], ids=["known", "to be tried out"])
"""Whether it is known what a dear model takes; else a tiny request would find out, and that is too dear, too."""
CHECKS = "request: {max_tokens: 10}"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the far provider wants."""
    monkeypatch.setenv("FAR_KEY", "k" * 20)


@contextmanager
def dear_court(pytester: pytest.Pytester, told: str, routes: str, **models: Any) -> Iterator[DemoProvider]:
    """A court with a dear model more, at an address that is none of this machine by its looks: what such a one takes is
    tried out where nobody tells it."""
    with court(pytester.path, DEAR.format(told=told) + routes, **models) as lab:
        config = pytester.path / "llmbench.yaml"
        config.write_text(config.read_text().replace("FAR\n", lab.url.replace("127.0.0.1", "0.0.0.0") + "\n"))
        yield lab


@KNOWN
def test_the_first_verdict_stands_where_the_stronger_judge_is_too_dear(pytester: pytest.Pytester, told: str) -> None:
    """It was paid: that there is no money for another one, or for trying it out, does not take it away."""
    usecase(pytester.path, 1, f"{GRADED}judge: {{model: route/careful, binding: true}}\n{CHECKS}")
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [far/dear], when: [border]}}\n"
    with dear_court(pytester, told, routes, j=lambda _: graded(3)) as lab:
        result = pytester.runpytest_inprocess("shout", "--llmbench-max-cost=1")
    assert calls(lab) == {"m": 1, "j": 1}, result.stdout.str()
    [test] = stored_run(pytester).results
    found = verdict_of(pytester, "s0")
    assert (test.outcome, found.passed, found.details["judge"]) == ("right", True, "lab/j")
    assert [each["why"] for each in found.details["route"]["tried"]] == ["border", "over_budget"]
    said = " ".join(result.stdout.str().split())
    assert "1 of 1 verdicts are of lab/j in spite of a doubt (border): far/dear: over_budget" in said


@KNOWN
def test_a_panel_votes_where_the_stronger_judge_of_its_route_is_too_dear(pytester: pytest.Pytester, told: str) -> None:
    """Both votes were paid, and both count: the panel is divided, and its route could not ask further."""
    panel = "panel: {models: [route/careful, lab/n], vote: mean, binding: true}"
    judged_usecase(pytester.path, 1, f"{panel}\nmodels: [lab/m]\n{CHECKS}")
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [far/dear], when: [disagreement]}}\n"
    with dear_court(pytester, told, routes, j=lambda _: verdict(False), n=loud) as lab:
        result = pytester.runpytest_inprocess("shout", "--llmbench-max-cost=1")
    assert calls(lab) == {"m": 1, "j": 1, "n": 1}, result.stdout.str()
    found = verdict_of(pytester, "s0")
    assert [(part.name, part.passed) for part in found.parts] == [("route/careful", False), ("lab/n", True)]
    assert [each["why"] for each in found.parts[0].details["route"]["tried"]] == ["disagreement", "over_budget"]


def test_a_judge_that_cannot_be_tried_out_for_money_ends_as_over_budget(pytester: pytest.Pytester) -> None:
    """One without a route has nobody in its place; the run ends in order all the same."""
    judged_usecase(pytester.path, 1, f"judge: far/dear\n{CHECKS}")
    with dear_court(pytester, "", "") as lab:
        result = pytester.runpytest_inprocess("shout", "--llmbench-max-cost=1")
    assert calls(lab) == {"m": 1}
    assert result.ret == ExitCode.OVER_BUDGET, result.stdout.str()
    [test] = stored_run(pytester).results
    assert test.outcome == "over_budget"


def test_what_does_not_fit_into_the_budget_is_asked_of_nobody(pytester: pytest.Pytester) -> None:
    """Money is no failure that another model could mend; a route without all of its prices is refused before."""
    judged_usecase(pytester.path, 1, f"judge: route/careful\n{CHECKS}")
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


_PASSED_ON = r"at most \$([0-9.]+) more if every question to a route falls back to the last of its models"


def row_of(said: str, model: str) -> tuple[int, float]:
    """Calls, and the most that they cost, of a model's row in a dry run."""
    cells = said.partition(f"{model}\n")[2].split("\n")[0].split()
    return int(cells[0].replace(",", "")), float(cells[4].removeprefix("$").replace(",", ""))


def test_a_dry_run_tells_what_the_dearest_way_of_a_route_costs(pytester: pytest.Pytester) -> None:
    """The table has the first model, as often as there are trials; below it stands what all its models would cost, and
    a budget between the two is told to be one."""
    judged_usecase(pytester.path, 2, f"judge: route/careful\nrepeats: 3\n{CHECKS}")
    routes = "routes:\n  careful: {models: [lab/j, lab/k], unsure: {to: [lab/n], when: [border]}}\n"
    with court(pytester.path, routes) as lab:
        said = pytester.runpytest_inprocess("shout", "--llmbench-dry-run=true").stdout.str()
        found = re.search(rf"{_PASSED_ON} \(12 calls\): \$([0-9.]+) in all", " ".join(said.split()))
        assert found, said
        calls_of_j, most_of_j = row_of(said, "lab/j")
        _, most_of_all = row_of(said, "all models")
        assert calls_of_j == 6
        more, dearest = map(float, found.groups())
        assert (more, dearest) == pytest.approx((2 * most_of_j, most_of_all + 2 * most_of_j), rel=0.05)
        between = f"--llmbench-max-cost={(most_of_all + dearest) / 2:.4f}"
        capped = pytester.runpytest_inprocess("shout", "--llmbench-dry-run=true", between)
        assert not lab.chats()
    assert "not if every question to a route falls back" in " ".join(capped.stdout.str().split())


def test_a_dry_run_without_a_second_model_to_ask_tells_nothing_of_it(pytester: pytest.Pytester) -> None:
    """A judge by its own name, and a route that nobody else is in."""
    judged_usecase(pytester.path, 1, f"panel: [route/careful, lab/n]\nmodels: [lab/m]\n{CHECKS}")
    with court(pytester.path, "routes:\n  careful: {models: [lab/j]}\n"):
        said = pytester.runpytest_inprocess("shout", "--llmbench-dry-run=true").stdout.str()
    assert "falls back" not in said


def test_a_model_under_test_that_cannot_be_tried_out_for_money_is_told_before_anything_is_asked(
    pytester: pytest.Pytester,
) -> None:
    """As what nobody can price is: with what to do, and no internal error."""
    usecase(pytester.path, 1, "models: [far/dear]\nrequest: {max_tokens: 10, seed: 1}")
    with dear_court(pytester, "", "") as lab:
        result = pytester.runpytest_inprocess("shout", "--llmbench-max-cost=1")
        assert not lab.chats()
    assert result.ret == ExitCode.USAGE
    result.stderr.fnmatch_lines(["*far/dear was not asked: the request may cost up to*"])


@pytest.mark.parametrize("judged", [False, True], ids=["checked", "judged"])
@pytest.mark.parametrize("more", [(), ("-x",)], ids=["all ahead", "few ahead"])
def test_a_later_sample_whose_needs_cannot_be_tried_out_for_money_ends_as_over_budget(
    pytester: pytest.Pytester, more: tuple[str, ...], judged: bool
) -> None:
    """The first sample told nothing of it; the run ends in order, and nothing was sent."""
    judge = f"{RUBRIC}\njudge: lab/j\n" if judged else ""
    files = {"data/a.txt": "say a", "ground-truth/a.txt": "SAY A", "ground-truth/b.txt": "a picture"}
    front = f"{judge}data: {{each: file}}\nmodels: [far/dear]\nrequest: {{max_tokens: 10}}"
    page(pytester.path / "shout", files, front).joinpath("data/b.png").write_bytes(png(8, 8))
    with dear_court(pytester, "", "") as lab:
        result = pytester.runpytest_inprocess("shout", "--llmbench-max-cost=1", *more)
        assert not lab.chats()
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert result.ret == ExitCode.OVER_BUDGET, result.stdout.str()
