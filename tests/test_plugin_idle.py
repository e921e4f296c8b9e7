"""A good guest: in a project that does not use the plugin it costs next to nothing."""

from __future__ import annotations

import json
import sys

import pytest

HEAVY = (
    "pydantic",
    "httptools",
    "httpx",
    "sqlalchemy",
    "alembic",
    "numpy",
    "scipy",
    "yaml",
    "rich",
    "jinja2",
    "huggingface_hub",
    "psutil",
)

PLAIN_SUITE = """
    def test_nothing_of_ours():
        assert 1 + 1 == 2
"""

REPORTER = """
    import json, sys, pathlib

    def pytest_unconfigure(config):
        pathlib.Path("loaded.json").write_text(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("arguments", [(), ("--collect-only",), ("-n", "2")])
def test_a_project_that_does_not_use_it_loads_nothing_and_finds_no_file(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Neither a heavy module nor a file or folder of ours appears."""
    for name in ("LLMBENCH_MODELS_DIR", "LLMBENCH_CALIBRATE", "LLMBENCH_RETAKES"):
        monkeypatch.delenv(name)
    pytester.makepyfile(PLAIN_SUITE)
    pytester.makeconftest(REPORTER)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
    assert result.ret == 0
    loaded = set(json.loads((pytester.path / "loaded.json").read_text()))
    assert "pytest_llmbench.plugin" in loaded
    assert loaded.isdisjoint(HEAVY)
    ours = {name for name in loaded if name.startswith("pytest_llmbench")}
    assert ours == {
        "pytest_llmbench",
        "pytest_llmbench.fixtures",
        "pytest_llmbench.garbage",
        "pytest_llmbench.option_kinds",
        "pytest_llmbench.options",
        "pytest_llmbench.keyless_ids",
        "pytest_llmbench.own_tests",
        "pytest_llmbench.plugin",
    }
    assert not (pytester.path / ".llmbench").exists()


def test_the_entry_point_imports_only_the_standard_library_and_pytest(pytester: pytest.Pytester) -> None:
    probe = (
        "import sys, pytest; before = set(sys.modules); import pytest_llmbench.plugin;"
        "print(*(set(sys.modules) - before))"
    )
    result = pytester.run(sys.executable, "-c", probe)
    new = {name.partition(".")[0] for name in result.outlines[-1].split()}
    assert new - {"pytest_llmbench"} <= set(sys.stdlib_module_names)


def test_a_bad_option_is_told_before_any_test_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PLAIN_SUITE)
    result = pytester.runpytest_subprocess("--llmbench-rounds=none")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *--llmbench-rounds*"])


def test_a_projects_addopts_cannot_choose_a_program(pytester: pytest.Pytester) -> None:
    """Configuration is data: only the user names binaries."""
    pytester.makeini("[pytest]\naddopts = --llmbench-llama-server=/bin/true")
    pytester.makepyfile(PLAIN_SUITE)
    result = pytester.runpytest_subprocess()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*names a program to run*", "*LLMBENCH_LLAMA_SERVER*"])
    pytester.makeini("[pytest]")
    assert pytester.runpytest_subprocess("--llmbench-llama-server=/bin/true").ret == 0


def test_a_model_of_the_projects_own_is_left_alone(pytester: pytest.Pytester) -> None:
    """`model` is a common name: parametrized or a fixture of the project's, it has nothing to do with us."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def bench():
            return "furniture"

        @pytest.mark.parametrize("model", ["T", "A"])
        def test_ford(model, bench):
            assert (model, bench) in {("T", "furniture"), ("A", "furniture")}
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
    assert not (pytester.path / ".llmbench").exists()
