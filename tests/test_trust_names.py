"""A key among the parameters of a test: pytest makes names of them, and every plugin keeps and shows those."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from canaries import forms, holding
from suite_runs import stored_run

from pytest_llmbench.config import resolve
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.providers.keys import register_configured
from pytest_llmbench.redaction import redact_exact

KEY = "zq7Canary+Env/Key=9&x2Lmn"
DOTTED = "dotted-canary-41ab/77+c2"

SUITE = """
    import os
    import pytest

    KEY = os.environ["LABCRED"]

    @pytest.mark.parametrize("key", [KEY])
    def test_before_any_of_ours(key):
        assert not key

    @pytest.mark.models("lab/any")
    @pytest.mark.parametrize("key", [KEY, KEY.encode(), 3])
    def test_value(model, key):
        assert model.ask("Hello").text == "no"

    @pytest.mark.parametrize("a", [1, 2], ids=[KEY, None])
    @pytest.mark.parametrize("b", [pytest.param(1, id=KEY), pytest.param(2, id=f"2{KEY}")])
    @pytest.mark.parametrize("c", [KEY], ids=str)
    @pytest.mark.parametrize("d", [1], ids=(KEY for _ in range(1)))
    def test_named(a, b, c, d, tmp_path):
        (tmp_path / "file").write_text("kept")

    @pytest.fixture(params=[KEY, 2])
    def of_fixture(request):
        return request.param

    class TestClass:
        def test_of_fixture(self, of_fixture):
            assert not of_fixture
"""


def project(pytester: pytest.Pytester, url: str) -> None:
    """One whose keys stand in variables that no rule of names finds."""
    pytester.makepyfile(test_names=SUITE)
    (pytester.path / ".env").write_text(f"DOTCRED={DOTTED}\n")
    (pytester.path / "llmbench.yaml").write_text(
        f"providers:\n  lab: {{url: '{url}/v1', key_env: LABCRED}}\n  dot: {{url: '{url}/v1', key_env: DOTCRED}}\n"
    )


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pytest makes folders that are called as tests are."""
    folder = tmp_path_factory.mktemp("t")
    monkeypatch.setenv("PYTEST_DEBUG_TEMPROOT", str(folder))
    monkeypatch.setenv("LABCRED", KEY)
    return folder


def left_over(pytester: pytest.Pytester, *folders: Path) -> list[object]:
    """Where the keys still stand: in files and their names."""
    (pytester.path / ".env").unlink()
    wanted = {form for key in (KEY, DOTTED) for form in forms(key)}
    found: list[object] = [each for folder in folders for each in holding(folder, wanted)]
    named = [path for folder in folders for path in folder.rglob("*") if "Canary" in path.name]
    return found + named


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_a_key_that_is_a_parameter_stands_in_no_name(pytester: pytest.Pytester, scratch: Path, workers: str) -> None:
    """Not in the terminal, JUnit, pytest's cache, the database, reports, temporary folders, with and without xdist;
    and results and replies still tell the same of whose they are."""
    with DemoProvider(Answer(f"{KEY} {DOTTED}")) as provider:
        project(pytester, provider.url)
        result = pytester.runpytest_subprocess(
            *["-n", workers, "-vv", "-rA", "--junitxml=junit.xml", "--llmbench-report=html,json,csv"],
            *["--llmbench-request-log=content", "-o", "junit_family=xunit1", "--durations=0", "--durations-min=0"],
        )
    told = f"{result.stdout.str()}\n{result.stderr.str()}"
    (pytester.path / "told.txt").write_text(told)
    run = stored_run(pytester)
    keys = {each.key for each in run.results}
    assert keys == {f"test_names.py::test_value[lab/any-{name}]" for name in ("[redacted]0", "[redacted]1", "3")}
    with contextlib.closing(sqlite3.connect(pytester.path / ".llmbench" / "results.db")) as database:
        assert {key for (key,) in database.execute("SELECT test_key FROM replies")} == keys
    assert "test_names.py::test_before_any_of_ours[[redacted]]" in told
    assert (pytester.path / ".pytest_cache" / "v" / "cache" / "lastfailed").exists()
    assert left_over(pytester, pytester.path, scratch) == []


def test_names_without_keys_can_be_chosen_and_fail_last(pytester: pytest.Pytester, scratch: Path) -> None:
    """What pytest prints is what it takes back, and --lf finds what failed."""
    with DemoProvider(Answer("yes")) as provider:
        project(pytester, provider.url)
        first = pytester.runpytest_subprocess("-q", "--tb=no")
    failed = [line.split()[1] for line in first.outlines if line.startswith("FAILED")]
    again = pytester.runpytest_subprocess("-q", "--lf", "--collect-only", failed[-1])
    assert failed[-1] in again.outlines
    assert left_over(pytester, scratch) == []


def test_names_of_tests_without_a_key_stay_as_pytest_makes_them(pytester: pytest.Pytester) -> None:
    """Ids of every kind, with and without us."""
    project(pytester, "http://127.0.0.1:1")
    pytester.makepyfile(
        test_names="""
            import re
            import pytest

            @pytest.mark.parametrize("a", ["ü", b"\\x00", 3.5, None, str, re.compile("a+"), pytest.param(1, id="own")])
            @pytest.mark.parametrize("b", (1, 2), ids=["one", None])
            @pytest.mark.parametrize("c", [1, "x"], ids=lambda value: "fn" if value == 1 else None)
            @pytest.mark.parametrize("d", [[], 1], ids=(each for each in "pq"))
            def test_named(a, b, c, d):
                pass
        """
    )
    ours, alone = (
        pytester.runpytest_subprocess("-q", "--collect-only", *more).outlines for more in ((), ("-p", "no:llmbench"))
    )
    named = [line for line in ours if "::" in line]
    assert len(named) == 56
    assert named == [line for line in alone if "::" in line]


def test_keys_that_only_the_configuration_names_are_known_from_the_start(tmp_path: Path) -> None:
    """Of providers, servers, the cache's signature, `.env`, addresses with a password, and exporters' headers."""
    (tmp_path / "llmbench.yaml").write_text(
        json.dumps(
            {
                "providers": {"lab": {"url": "http://127.0.0.1:1/v1", "key_env": "LABCRED"}},
                "servers": {"box": {"url": "http://127.0.0.1:1", "key_env": "BOXCRED"}},
                "cache": {"backend": "redis", "url_env": "STORED_AT", "key_env": "SIGNED_BY"},
            }
        )
    )
    (tmp_path / ".env").write_text("BOXCRED=of-the-env-file-1a2b3c\nOTHER_API_KEY=also-of-the-file-9z8y\n")
    environ = {
        "LABCRED": "of-the-environment-7d6e5f",
        "BOXCRED": "of-the-environment-too-0c9d",
        "SIGNED_BY": "signs-entries-4f5e6d",
        "STORED_AT": "redis://:pass-of-redis-3c2b@host/0",
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "api-key=collector-header-8f7e",
    }
    register_configured(resolve({}, {}, {}, tmp_path), environ)
    for value in (*environ.values(), "of-the-env-file-1a2b3c", "also-of-the-file-9z8y", "pass-of-redis-3c2b"):
        assert "[redacted]" in redact_exact(f"it says {value.rpartition('=')[2]}!"), value


def test_pytest_itself_tells_what_is_wrong_with_parameters(pytester: pytest.Pytester, scratch: Path) -> None:
    """An iterator is deprecated, and a number is no list of ids: in its own words, not as a fault of ours."""
    project(pytester, "http://127.0.0.1:1")
    pytester.makepyfile(
        test_one="""
            import os
            import pytest

            @pytest.mark.parametrize("a", iter([1, pytest.param(2, id=os.environ["LABCRED"])]))
            def test_named(a):
                pass
        """,
        test_two="""
            import pytest

            @pytest.mark.parametrize("a", [1], ids=5)
            def test_numbered(a):
                pass
        """,
    )
    words = ("-q", "--collect-only", "-W", "default")
    told, alone = (pytester.runpytest_subprocess(*words, *more).stdout.str() for more in ((), ("-p", "no:llmbench")))
    assert "test_one.py::test_named[[redacted]]" in told
    deprecated = "Passing a non-Collection iterable to parametrize"  # older versions of pytest say nothing
    assert (deprecated in told) == (deprecated in alone)
    [said] = {line for line in alone.splitlines() if line.startswith("ERROR test_two.py")}
    assert said in told
    assert left_over(pytester, scratch) == []
