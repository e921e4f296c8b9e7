"""Gates of a session: wherever they are declared, however it is run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suite_runs import gates, stored_run
from usecase_suites import asked, provider, usecase

from pytest_llmbench.cli import main
from pytest_llmbench.demo import Answer, DemoProvider, Failure

BESIDE = """
import pytest

pytestmark = [pytest.mark.usecase("shout"), pytest.mark.gate({gate})]

def test_it_shouts(reply, sample):
    assert reply.text == sample.expected
"""


def even(body: dict[str, object]) -> Answer:
    """Right on every second sample."""
    said = str(body["messages"][-1]["content"])  # type: ignore[index]
    return Answer(said if int(said[4:]) % 2 else said.upper())


def marked(where: Path, gate: str, name: str = "test_marked.py") -> None:
    """A file of tests with a gate, elsewhere than the page: only these tests are asked."""
    where.joinpath(name).write_text(BESIDE.format(gate=gate))


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_a_gate_of_a_mark_counts_wrong_samples_and_decides(pytester: pytest.Pytester, workers: str) -> None:
    """Half of the asserts fail: under the gate these are `w`, no failures, and the gate turns the exit code."""
    usecase(pytester.path, 20)
    for gate, code, verdict in [('"pass_rate >= 0.2"', 0, "pass"), ('"pass_rate >= 0.95"', 10, "fail")]:
        marked(pytester.path, gate)
        with provider(pytester.path, even):
            result = pytester.runpytest_subprocess("test_marked.py", "-n", workers)
        assert result.ret == code, result.stdout.str()
        result.assert_outcomes(passed=10)
        result.stdout.fnmatch_lines(["*10 passed, 10 wrong*"])
        [gate_result] = gates(pytester)
        assert (gate_result.verdict, gate_result.model, gate_result.profile) == (verdict, "lab/m", "shout")
        assert gate_result.n == 20
    assert main(["regate", "last"]) == 10


def test_without_a_gate_the_plain_assert_decides(pytester: pytest.Pytester) -> None:
    """And a gate over something else, or for another model, is none over what is right."""
    usecase(pytester.path, 4)
    for gate in ('"e2e_s max <= 60"', '"pass_rate >= 0.1", model="other/*"'):
        marked(pytester.path, gate)
        with provider(pytester.path, even):
            result = pytester.runpytest_subprocess("test_marked.py")
        assert result.ret == 1
        result.assert_outcomes(passed=2, failed=2)


def test_a_gate_of_llmbench_yaml_counts_the_samples_of_a_page(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one in the page does; without it the wrong samples fail."""
    usecase(pytester.path, 20, "validators: [exact]")
    with provider(pytester.path, even, "gates: [pass_rate >= 20%]\n"):
        result = pytester.runpytest_subprocess("shout")
        assert result.ret == 0, result.stdout.str()
        result.stdout.fnmatch_lines(["*pass_rate >= 20 %*50 %, n = 20*", "*infra errors <= 5 %*0 of 20 tests*"])
    monkeypatch.chdir(pytester.path)
    assert main(["regate", "last"]) == 0
    with provider(pytester.path, even):
        assert pytester.runpytest_subprocess("shout").ret == 1


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ('"pas_rate >= 0.8"', "'pas_rate' is no metric; did you mean 'pass_rate'?"),
        ("ttft_s='ten'", "'ten' is no margin"),
        ("", "says no gate"),
    ],
)
def test_a_mark_that_is_no_gate_is_refused_before_anything_is_asked(
    pytester: pytest.Pytester, gate: str, told: str, workers: str
) -> None:
    """Exit 4, with the mark's own line."""
    usecase(pytester.path, 2)
    marked(pytester.path, gate)
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("test_marked.py", "-n", workers)
    assert result.ret == 4
    said = result.stdout.str() + result.stderr.str()
    assert "test_marked.py:4: @pytest.mark.gate: " in said
    assert told in said
    assert asked(lab) == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("gates: [pas_rate >= 1]", "llmbench.yaml:8: gates[0]: 'pas_rate' is no metric; did you mean 'pass_rate'?"),
        ("gates: [{tft_s: 10%}]", "gates[0].tft_s: neither a metric nor a key of a gate; did you mean 'ttft_s'?"),
        ("gates: [{metric: pass_rate, minn: 1}]", "gates[0].minn: unknown key; did you mean 'min'?"),
        ("gates: [{pass_rate: 5 point}, {ttft_s: 3 points}]", "gates[1].regression: points are of rates and scores"),
        ("gates: [ttft_s p90 <= 1]", "gates[0]: 'p90' is no statistic; did you mean 'p"),
        ("gates: [ttft_s = 1]", "gates[0]: '=' in 'ttft_s = 1': a gate says >= or <="),
        ("gates: [{metric: ttft_s, min: 1, max: 2}]", "needs exactly one of min, max and regression"),
    ],
)
def test_a_gate_of_llmbench_yaml_that_is_none_is_told_with_its_line(
    pytester: pytest.Pytester, said: str, told: str
) -> None:
    """Before any test runs."""
    usecase(pytester.path, 1)
    with provider(pytester.path, config=f"{said}\n") as lab:
        result = pytester.runpytest_subprocess("shout")
    assert result.ret == 4
    assert told in result.stderr.str()
    assert asked(lab) == []


def test_a_gate_against_a_baseline_that_is_not_there_is_inconclusive(pytester: pytest.Pytester) -> None:
    """Never green: it says how to get one; `--inconclusive fail` makes it 13."""
    usecase(pytester.path, 3, "gates: [{pass_rate: 3 points}, pass_rate >= 0.1]")
    marked(pytester.path, 'e2e_s="10%"')
    with provider(pytester.path):
        result = pytester.runpytest_subprocess("shout", "test_marked.py", "--llmbench-inconclusive", "fail")
    assert result.ret == 13, result.stdout.str()
    told = {
        gate.metric: gate.verdict for gate in gates(pytester) if gate.evidence.change is None and gate.limit is None
    }
    assert told == {"pass_rate": "inconclusive", "e2e_s": "inconclusive"}
    result.stdout.fnmatch_lines(["*llmbench baseline bless*"])


@pytest.mark.slow
def test_a_regression_is_found_by_page_yaml_and_mark_alike(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All samples right when it was blessed, every second one now: each of the three gates fails, and regate agrees;
    what is in the baseline and not in the run is none of a mark's business."""
    monkeypatch.chdir(pytester.path)
    rule = "{metric: pass_rate, regression: 3 points}"
    usecase(pytester.path, 20, f"gates: [{rule}]")
    marked(pytester.path, 'pass_rate="3 points"')
    config = f"gates: [{rule}]\n"
    with provider(pytester.path, config=config):
        assert pytester.runpytest_subprocess("shout", "test_marked.py").ret == 0
    assert main(["baseline", "bless"]) == 0
    for where in ("shout", "test_marked.py"):
        with provider(pytester.path, even, config):
            result = pytester.runpytest_subprocess(where)
        assert result.ret == 10, result.stdout.str()
        assert [gate.verdict for gate in gates(pytester)] == ["fail"] * len(gates(pytester))
        assert gates(pytester)[0].evidence.kind == "baseline"
        assert main(["regate", "last"]) == 10
    with provider(pytester.path, config=config):
        result = pytester.runpytest_subprocess("shout", "test_marked.py")
    assert result.ret == 0, result.stdout.str()
    assert {gate.verdict for gate in gates(pytester)} <= {"pass", "inconclusive"}


def test_too_many_infra_errors_are_a_failed_gate_and_11(pytester: pytest.Pytester) -> None:
    """The row is there in every run; 11 comes before 10."""
    usecase(pytester.path, 4, "gates: [pass_rate >= 0.999999]")
    refused = Failure(400, "no", "invalid_request", "invalid_request_error")
    with provider(pytester.path, lambda body: refused if body["messages"][-1]["content"] == "say 1" else even(body)):
        result = pytester.runpytest_subprocess("shout")
    assert result.ret == 11, result.stdout.str()
    [row] = [gate for gate in stored_run(pytester).gates if gate.evidence.kind == "error_rate"]
    assert (row.verdict, row.value, row.limit, row.n) == ("fail", 0.25, 0.05, 4)
    assert row.reason == "1 of 4 tests"


def test_a_budget_has_its_row(pytester: pytest.Pytester) -> None:
    """What was spent beside what may be; where it kept tests from asking it failed, and the exit code is 12."""
    usecase(pytester.path, 4, "request: {max_tokens: 20}\ngates: [pass_rate >= 0.1]")
    for cap, code, verdict in [("5", 0, "pass"), ("0.0006", 12, "fail")]:
        with provider(pytester.path):
            result = pytester.runpytest_subprocess("shout", "--llmbench-max-cost", cap)
        assert result.ret == code, result.stdout.str()
        [row] = [gate for gate in stored_run(pytester).gates if gate.evidence.kind == "budget"]
        assert (row.verdict, row.limit) == (verdict, float(cap))
        assert bool(row.value) is (verdict == "pass")


ROWS = """
import pytest

@pytest.mark.models("lab/m")
@pytest.mark.dataset("rows.jsonl")
@pytest.mark.gate("pass_rate >= 0.2", "pass_rate >= 0.9")
def test_it_shouts(reply, sample):
    assert reply.text == sample.expected
"""


def test_a_gate_over_the_rows_of_a_dataset(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of no use case: each row is right or wrong, wrong ones are counted; a plugin's other tests are not."""
    rows = [json.dumps({"id": f"s{n}", "input": f"say {n}", "expected": f"SAY {n}"}) for n in range(20)]
    pytester.path.joinpath("rows.jsonl").write_text("\n".join(rows))
    pytester.makepyfile(test_rows=ROWS)
    with provider(pytester.path, even):
        result = pytester.runpytest_subprocess()
    assert result.ret == 10, result.stdout.str()
    assert [(gate.verdict, gate.profile, gate.n) for gate in gates(pytester)] == [
        ("pass", "test_it_shouts", 20),
        ("fail", "test_it_shouts", 20),
    ]
    monkeypatch.chdir(pytester.path)
    assert main(["regate", "last"]) == 10


CRASHING = """
import os, pytest

pytestmark = [pytest.mark.usecase("shout"), pytest.mark.gate("pass_rate >= 0.1", "pass_rate >= 0.97")]

def test_it_shouts(reply, sample):
    if sample.id == "s7" and os.environ.get("PYTEST_XDIST_WORKER"):
        os._exit(3)
    assert sample.id != "s7"
    assert reply.text == sample.expected
"""


@pytest.mark.slow
def test_a_killed_worker_changes_no_gate(pytester: pytest.Pytester) -> None:
    """Its one test is an infra error, and in no rate; all gates are decided of the others, as without xdist."""
    usecase(pytester.path, 24)
    pytester.path.joinpath("test_marked.py").write_text(CRASHING)
    found = {}
    for workers in ("0", "4"):
        with provider(pytester.path, even):
            result = pytester.runpytest_subprocess("test_marked.py", "-n", workers)
        assert result.ret == 10, result.stdout.str()
        found[workers] = [(gate.gate, gate.verdict) for gate in stored_run(pytester).gates]
        lost = [each for each in stored_run(pytester).results if each.outcome == "infra_error"]
        assert [each.sample for each in lost] == ([] if workers == "0" else ["s7"])
        assert all(each.rules for each in stored_run(pytester).results)
    assert found["0"] == found["4"]


@pytest.mark.slow
def test_reports_tell_what_the_gates_decided(pytester: pytest.Pytester) -> None:
    """JSON with all numbers, Markdown, HTML and terminal with the reasons."""
    usecase(pytester.path, 20, "gates: [pass_rate >= 0.4, {metric: pass_rate, min: 0.2}]")
    with provider(pytester.path, even):
        result = pytester.runpytest_subprocess("shout", "--llmbench-report", "json,md,html,csv")
    assert result.ret == 0, result.stdout.str()
    folder = pytester.path / ".llmbench" / "reports" / stored_run(pytester).id
    [first, second, _] = json.loads((folder / "report.json").read_text())["run"]["gates"]
    assert (first["verdict"], second["verdict"]) == ("inconclusive", "pass")
    assert first["evidence"]["n_needed"] > 20
    assert first["evidence"]["smallest_detectable"] > 0
    for told in ("about", "in all would tell"):
        assert all(told in (folder / f"report.{fmt}").read_text() for fmt in ("md", "html"))
    result.stdout.fnmatch_lines(["*? shout, lab/m: pass_rate >= 40 %*", "*✓ shout, lab/m: pass_rate >= 20 %*"])


MEASURING = """
import pytest

pytestmark = pytest.mark.gate("decode_tps >= 0.001", "ttft_s p95 <= 0.000001", "e2e_s p95 <= 60")

@pytest.fixture(scope="module")
def chat(bench):
    return bench("lab/m", rounds=4, output_tokens=3, prompts=["One.", "Two."])

@pytest.mark.parametrize("part", range(6))
def test_speed(chat, part):
    assert chat.decode_tps.n == 8
"""


@pytest.mark.slow
def test_a_mark_over_a_measurement_decides_alike_however_it_is_run(pytester: pytest.Pytester) -> None:
    """Six tests share one measurement; each worker tells of it, and it is gated once: kept, broken, and too few."""
    pytester.makepyfile(test_speed=MEASURING)
    with DemoProvider(lambda _: Answer("Paris, of course.", itl_s=0.005)) as running:
        pytester.path.joinpath("llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{running.url}'}}\n")
        for workers in ("0", "4"):
            result = pytester.runpytest_subprocess("-n", workers)
            assert result.ret == 10, result.stdout.str()
            assert [(gate.gate, gate.verdict, gate.n) for gate in gates(pytester)] == [
                ("ttft_s p95 <= 1e-06 s", "fail", 8),
                ("e2e_s p95 <= 60 s", "inconclusive", 8),
                ("decode_tps p50 >= 0.001 tok/s", "pass", 8),
            ]
    result.stdout.fnmatch_lines(["*p95 takes 59 requests*"])
