"""`pytest llmbench.yaml`: cells measured in the order of the plan, skipped with their reasons, kept for a resume."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from matrix_projects import STRESS, Project, decisions
from suite_runs import stored_run

MEASURED = ("measured", "")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(pytester, monkeypatch)


def test_a_matrix_is_measured_where_its_file_is_named(project: Project) -> None:
    """One test a cell, in the order of the plan; the measurement belongs to its test and its cell."""
    project.define({"tiny": ["Q8_0", "Q4_0"]})
    result = project.bench("-rA")
    assert result.ret == 0, result.stdout.str()
    names = ["PASSED llmbench.yaml::interactive[[]tiny:Q4_0[]]", "PASSED llmbench.yaml::interactive[[]tiny:Q8_0[]]"]
    result.stdout.fnmatch_lines(names)
    run = stored_run(project.pytester)
    assert [cell.key for cell in run.cells] == ["interactive[tiny:Q4_0]", "interactive[tiny:Q8_0]"]
    assert [cell.measurement_id for cell in run.cells] == [m.id for m in run.measurements]
    assert [r.measurement_ids for r in run.results] == [(m.id,) for m in run.measurements]
    assert all(cell.state == "measured" and cell.predicted("decode_tps") for cell in run.cells)


def test_a_matrix_is_not_measured_because_it_lies_there(project: Project) -> None:
    """It takes hours: who wants it names it."""
    project.define({"tiny": ["Q4_0"]})
    project.pytester.makepyfile("def test_one(): pass")
    result = project.pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    assert not (project.folder / ".llmbench").exists()


def test_skips_have_their_reasons_in_one_run(project: Project) -> None:
    """One that cannot fit, one that ends while loading, one that is too slow with what must be as slow."""
    project.define(
        {"tiny": ["Q4_0"], "tinier": ["Q8_0"], "broken": ["Q4_1"]},
        profiles=["interactive", "stress"],
        servers={"default": {}, "huge": {"context": 100_000_000}},
        limits={"decode_tps": 100_000},
    )
    result = project.bench()
    assert result.ret == 0, result.stdout.str()
    cells = project.cells()
    found = decisions(cells)
    assert found["interactive[tiny:Q4_0]"] == ("measured", "poor")
    assert found["interactive[tiny:Q4_0-huge]"] == ("skipped", "memory")
    assert found["interactive[broken:Q4_1]"] == ("skipped", "load_failed")
    assert {state for key, (state, _) in found.items() if key.startswith("stress")} == {"not_selected"}
    assert "may be used" in cells["interactive[tiny:Q4_0-huge]"].reason
    assert "missing tensor" in cells["interactive[broken:Q4_1]"].reason
    assert "(limit 100000)" in cells["interactive[tiny:Q4_0]"].reason
    result.stdout.fnmatch_lines(["SKIPPED*llmbench.yaml*load failed: the server of broken:Q4_1 did not start*"])


@pytest.mark.slow
def test_what_a_poor_configuration_says_of_others_has_its_evidence(project: Project) -> None:
    """A larger model at the same quantization; not where --no-prune asks for all of it."""
    project.define({"tiny": ["Q4_0"], "larger": ["Q4_0"]}, limits={"decode_tps": 100_000})
    assert project.bench().ret == 0
    first, second = project.cells().values()
    assert (second.state, second.category) == ("skipped", "worse_than_poor")
    assert second.evidence == (first.measurement_id,)
    assert project.bench("--llmbench-prune=false").ret == 0
    assert [cell.state for cell in project.cells().values()] == ["measured", "measured"]


@pytest.mark.slow
def test_stress_runs_for_the_next_to_largest_that_passes(project: Project) -> None:
    """Its other cells are not selected, and say for whom it runs."""
    choices = {"interactive": {"rounds": 1, "output_tokens": 40, "prompts": ["hello"]}, "stress": STRESS}
    project.define({"tiny": ["Q4_0", "Q5_0", "Q8_0"]}, profiles=["interactive", "stress"], choices=choices)
    assert project.bench().ret == 0
    cells = project.cells()
    stress = {key: cell.state for key, cell in cells.items() if cell.profile == "stress"}
    assert stress == {
        "stress[tiny:Q4_0]": "not_selected",
        "stress[tiny:Q5_0]": "measured",
        "stress[tiny:Q8_0]": "not_selected",
    }
    assert "stress runs for tiny:Q5_0, the next-to-largest of 3" in cells["stress[tiny:Q8_0]"].reason


@pytest.mark.slow
def test_two_workers_decide_as_one_process_does(project: Project) -> None:
    """The same cells, states, categories and evidence; measurements that never overlap."""
    project.define(
        {"tiny": ["Q4_0", "Q8_0"], "broken": ["Q4_0"]},
        profiles=["interactive", "stress"],
        choices={"interactive": {"rounds": 1, "output_tokens": 40, "prompts": ["hello"]}, "stress": STRESS},
    )
    assert project.bench().ret == 0
    alone = decisions(project.cells())
    result = project.bench("-n", "2")
    assert result.ret == 0, result.stdout.str()
    assert decisions(project.cells()) == alone
    assert len(stored_run(project.pytester).measurements) == 3


@pytest.mark.slow
def test_a_resume_measures_nothing_again_that_is_still_the_same(project: Project) -> None:
    """The same measurements, whatever was decided of them; the model that changed is measured anew and named."""
    project.define({"tiny": ["Q4_0", "Q8_0"], "broken": ["Q4_1"]})
    assert project.bench().ret == 0
    before = project.cells()
    resumed = project.bench("--llmbench-resume", "last")
    assert resumed.ret == 0
    assert project.cells() == before
    resumed.stdout.fnmatch_lines(["*3 of 3 cells of the matrix are taken from the store"])
    (project.folder / "tiny-Q8_0.gguf").write_bytes((project.folder / "broken-Q4_1.gguf").read_bytes())
    again = project.bench("--llmbench-resume", "last")
    assert again.ret == 0
    after = project.cells()
    changed = {key for key, cell in after.items() if cell.measurement_id != before[key].measurement_id}
    assert changed == {"interactive[tiny:Q8_0]"}
    again.stdout.fnmatch_lines(["*interactive[[]tiny:Q8_0[]] is done again: sha256: * → *"])


@pytest.mark.slow
def test_what_there_was_no_time_for_is_measured_on_a_resume(project: Project) -> None:
    """The time that is used and the time that it would take stand in the reason."""
    project.define({"tiny": ["Q4_0", "Q8_0"]})
    assert project.bench("--llmbench-time-budget", "0.05").ret == 0
    cells = project.cells()
    assert {cell.category for cell in cells.values()} == {"time_budget"}
    assert "of 50 ms are used" in cells["interactive[tiny:Q4_0]"].reason
    resumed = project.bench("--llmbench-resume", "last", "--llmbench-time-budget", "10m")
    assert decisions(project.cells()) == dict.fromkeys(cells, MEASURED)
    resumed.stdout.fnmatch_lines(["*0 of 2 cells*; decided now: 2 (time budget)"])


@pytest.mark.slow
def test_a_killed_process_loses_no_cell_that_was_measured(project: Project) -> None:
    """kill -9 while the second model loads: a resume has the first from the store, and says what was interrupted."""
    project.define({"tiny": ["Q4_0"], "deadly": ["Q8_0"]})
    (project.folder / "kill-pytest").touch()
    command = [sys.executable, "-m", "pytest", "llmbench.yaml", "--llmbench-report=none"]
    with subprocess.Popen(command, cwd=project.folder, stdout=subprocess.DEVNULL) as process:
        (project.folder / "victim").write_text(str(process.pid))
    assert process.returncode == -signal.SIGKILL
    before = project.cells()
    assert {key: cell.state for key, cell in before.items()} == {
        "interactive[tiny:Q4_0]": "measured",
        "interactive[deadly:Q8_0]": "running",
    }
    assert project.bench("--llmbench-resume", "last").ret == 0
    after = project.cells()
    assert decisions(after) == dict.fromkeys(before, MEASURED)
    assert after["interactive[tiny:Q4_0]"] == before["interactive[tiny:Q4_0]"]


def test_tests_of_ones_own_get_the_same_cells(project: Project) -> None:
    """Measured once for all of them; a cell that is skipped skips its tests."""
    project.define({"tiny": ["Q4_0"], "broken": ["Q8_0"]})
    project.pytester.makepyfile(
        """
        def test_first(matrix_cell):
            assert matrix_cell.measure().decode_tps.n == 1
            assert (matrix_cell.model, matrix_cell.server) == ("tiny:Q4_0", "default")
            assert matrix_cell.profile == "interactive"

        def test_second(matrix_cell):
            matrix_cell.measure()
        """
    )
    result = project.pytester.runpytest_subprocess("--llmbench-report=none")
    result.assert_outcomes(passed=2, skipped=2)
    run = stored_run(project.pytester)
    assert len(run.measurements) == 1
    assert {r.measurement_ids for r in run.results if r.outcome == "right"} == {(run.measurements[0].id,)}


def test_only_selected_cells_are_decided(project: Project) -> None:
    """`-k` and node ids choose among them as among any tests."""
    project.define({"tiny": ["Q4_0", "Q8_0"]})
    assert project.bench("-k", "Q8_0").ret == 0
    assert list(project.cells()) == ["interactive[tiny:Q8_0]"]


def test_a_plan_can_be_looked_at_before(project: Project) -> None:
    """Nothing is started or kept: memory and time of each cell, all together, and what would not fit."""
    project.define({"tiny": ["Q4_0"]}, servers={"default": {}, "huge": {"context": 100_000_000}})
    result = project.bench("--llmbench-dry-run=true")
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "*nothing was started; 2 cells of 2 configurations, in this order",
            "1. tiny:Q4_0 interactive * MiB (*–* MiB) * s (*–*)",
            "2. tiny:Q4_0-huge interactive *",
            "  skipped: it needs *",
            "all together * s (*–*), at most * MiB (*) of memory",
        ]
    )
    assert not (project.folder / ".llmbench" / "results.db").exists()


def test_a_step_is_a_line_where_there_is_no_terminal(project: Project) -> None:
    """Which cell, how it was, how long it took, how much is left."""
    project.define({"tiny": ["Q4_0", "Q5_0"]})
    result = project.bench()
    result.stdout.fnmatch_lines(
        ["llmbench: [[]1/2[]] tiny:Q4_0 interactive: * tok/s · * in *", "llmbench: [[]2/2[]] tiny:Q5_0 interactive: *"]
    )


def test_a_mistake_in_the_matrix_ends_the_collection(project: Project) -> None:
    """With the file, the section and what is allowed; nothing is measured."""
    project.define({"tiny": ["Q4_0"]}, quants=["Q4_0"], profiles=["interactive"])
    text = (project.folder / "llmbench.yaml").read_text()
    (project.folder / "llmbench.yaml").write_text(text.replace('"matrix": {', '"matrix": {"models": ["tinny"], '))
    result = project.bench()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*llmbench.yaml: matrix: no model has the name 'tinny'; did you mean 'tiny'?*"])


def test_a_server_that_dies_in_the_middle_is_an_infra_error_and_the_next_goes_on(project: Project) -> None:
    """It says nothing about the configuration; the others are measured."""
    dying = {"interactive": {"rounds": 1, "output_tokens": 40, "prompts": ["die SIGSEGV"]}}
    project.define({"tiny": ["Q4_0"]}, choices=dying)
    result = project.bench()
    assert result.ret == 11
    cell = project.cells()["interactive[tiny:Q4_0]"]
    assert (cell.state, cell.category) == ("failed", "local.server_crash")


def test_what_cannot_be_measured_like_this_says_what_can_be_changed(project: Project) -> None:
    """A model that costs money beside a budget: refused before anything is asked, and the next cell goes on."""
    project.define({"tiny": ["Q4_0"]})
    text = (project.folder / "llmbench.yaml").read_text()
    (project.folder / "llmbench.yaml").write_text(
        text.replace('"matrix": {', '"budget": {"run": 1}, "matrix": {"models": ["tiny:Q4_0", "demo/echo"], ')
    )
    assert project.bench().ret == 0
    cells = project.cells()
    assert decisions(cells) == {"interactive[tiny:Q4_0]": MEASURED, "interactive[demo/echo]": ("skipped", "refused")}
    assert "`bench` cannot keep to a budget" in cells["interactive[demo/echo]"].reason
