"""The suite of ten use cases runs as it stands: over demo models without a key, on a small local model offline."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from suite_runs import stored_run

from pytest_llmbench.records import ModelFile, Outcome

SUITE = Path(__file__).parents[1] / "example_suites" / "usecases"
NAMES = {page.parent.name for page in SUITE.glob("*/USE-CASE.md")}


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A copy of the suite, which may be written into."""
    shutil.copytree(SUITE, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return pytester


@pytest.mark.slow
def test_the_use_cases_run_over_demo_models(suite: pytest.Pytester) -> None:
    """Three samples of each, two models: all are answered, scored and told of; wrong ones do not fail, gates hold."""
    done = suite.runpytest_subprocess("--llmbench-models=demo/careful,demo/hasty", "--llmbench-limit=3")
    assert done.ret == 0, done.stdout.str()
    run = stored_run(suite)
    told = [result for result in run.results if result.evaluation and "USE-CASE.md" in result.key]
    asked = Counter((result.evaluation.use_case, result.model) for result in told)
    assert asked == {(name, model): 3 for name in NAMES for model in ("demo/careful", "demo/hasty")}
    assert {result.outcome for result in told} == {Outcome.RIGHT, Outcome.WRONG}
    assert all(result.evaluation.scores for result in told)
    assert len(run.replies) == 2 * (9 * 3 + 3 * 3), "word problems are asked three times, all others once"
    assert {gate.verdict for gate in run.gates} <= {"pass", "inconclusive"}
    done.stdout.fnmatch_lines(["use case Support triage", "use case Translation", "report *"])


@pytest.mark.slow
def test_the_use_cases_run_on_a_small_model_offline(suite: pytest.Pytester, smollm2: ModelFile) -> None:
    """A model of 135 million parameters is often wrong, but every sample gets its answer and a score."""
    suite.runpytest_subprocess("--llmbench-models=smollm2-135m:Q4_1", "--llmbench-limit=1", "--llmbench-offline=true")
    run = stored_run(suite)
    told = [result for result in run.results if result.model == "smollm2-135m:Q4_1"]
    assert {result.evaluation.use_case for result in told} == NAMES
    assert {result.outcome for result in told} <= {Outcome.RIGHT, Outcome.WRONG}
    assert all(result.evaluation.value is not None for result in told)
