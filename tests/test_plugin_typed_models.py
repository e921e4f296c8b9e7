"""`--models` where tests name their models themselves: it is not passed over in silence."""

from __future__ import annotations

import pytest
from usecase_suites import provider, usecase

MARKED = """
import pytest

@pytest.mark.models("demo/facts")
def test_sum(model):
    assert model.ask("What is 1 + 30?", max_tokens=20).text == "31"
"""
TOLD = "*llmbench: no test of this run asks demo/echo: --models stands in for*@pytest.mark.models(...)*"


@pytest.mark.parametrize("more", [(), ("-n2",), ("--llmbench-dry-run=true",)], ids=["serial", "xdist", "dry run"])
def test_a_model_that_no_test_asks_is_told_once(pytester: pytest.Pytester, more: tuple[str, ...]) -> None:
    """And the run goes on: another file may have been meant."""
    pytester.makepyfile(MARKED)
    run = pytester.runpytest_subprocess if "-n2" in more else pytester.runpytest_inprocess
    result = run("--llmbench-models=demo/echo,demo/facts", *more)
    assert result.ret == 0
    lines = [line for line in (result.outlines + result.errlines) if "no test of this run asks" in line]
    assert len(lines) == 1
    pytest.LineMatcher(lines).fnmatch_lines([TOLD])


@pytest.mark.parametrize(("name", "told"), [("route/chain", "*is a route*"), ("nobody/x", "*nobody*")])
def test_a_model_that_there_is_not_ends_the_run_before_anything_is_asked(
    pytester: pytest.Pytester, name: str, told: str
) -> None:
    """It cannot have been meant."""
    pytester.makepyfile(MARKED)
    result = pytester.runpytest_inprocess(f"--llmbench-models={name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--llmbench-models: {told}"])
    assert not (pytester.path / ".llmbench").exists()


def test_nothing_is_told_where_a_use_case_asks_it_or_the_project_names_it_for_all(pytester: pytest.Pytester) -> None:
    """Of a folder with both, the marks are meant; a project's default is for those that have none."""
    pytester.makepyfile(MARKED)
    usecase(pytester.path, 1, "models: []")
    with provider(pytester.path):
        both = pytester.runpytest_inprocess("--llmbench-models=lab/m", "-p", "no:cacheprovider")
    pytester.path.joinpath("llmbench.yaml").write_text("defaults: {models: [demo/echo]}\n", "utf-8")
    alone = pytester.runpytest_inprocess("-k", "test_sum")
    for result in (both, alone):
        assert "no test of this run" not in str(result.stdout) + str(result.stderr)
    alone.assert_outcomes(passed=1, deselected=1)


def test_a_model_whose_tests_were_deselected_is_not_explained_by_marks(pytester: pytest.Pytester) -> None:
    """No selected test has one."""
    usecase(pytester.path, 1, "models: []")
    with provider(pytester.path):
        result = pytester.runpytest_inprocess("shout", "--llmbench-models=lab/m,demo/echo", "-k", "lab/m")
    result.stdout.fnmatch_lines(["llmbench: no selected test asks demo/echo"])
    assert "pytest.mark.models" not in result.stdout.str()
