"""`llmbench run`: pytest under short option names."""

from __future__ import annotations

import sys

import pytest

from pytest_llmbench.cli.run import pytest_arguments
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.options import OPTIONS


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_has_a_short_name(option):
    """`--rounds 5`, `--rounds=5` and the long name are the same."""
    value = option.default_text or ("gold=5" if option.name == "weights" else "5")
    for words in ([f"{option.short_flag}={value}"], [option.short_flag, value], [option.flag, value]):
        assert pytest_arguments(words) == [f"{option.flag}={value}"]


def test_all_else_goes_to_pytest_as_it_is():
    """Paths, pytest's own options, and whatever follows `--`."""
    words = ["tests/test_a.py::test_b", "-k", "a and b", "-x", "--maxfail=3", "-n", "4", "--", "--rounds", "5"]
    assert pytest_arguments(words) == words


def test_a_value_that_looks_like_an_option_stays_a_value():
    """Nothing is lost between the two commands."""
    assert pytest_arguments(["--config", "--odd.yaml", "-v"]) == ["--llmbench-config=--odd.yaml", "-v"]


def test_an_option_without_its_value_is_left_for_pytest_to_refuse():
    """One place tells what is missing."""
    assert pytest_arguments(["--rounds"]) == ["--llmbench-rounds"]


def test_no_short_name_hides_an_option_of_pytest(pytester):
    """What pytest or a plugin understands still means the same."""
    own = pytester.runpytest_subprocess("--help", "-p", "no:llmbench").stdout.str().split()
    taken = {word.split("=")[0].rstrip(",") for word in own if word.startswith("--")}
    assert {option.short_flag for option in OPTIONS} & taken == set()


def llmbench(pytester, *words):
    """The result of the command in pytester's folder."""
    return pytester.run(sys.executable, "-m", "pytest_llmbench", *words)


def test_options_and_paths_arrive(pytester):
    """A short option has the effect of the long one."""
    pytester.makeconftest("def pytest_report_header(config): return f'ROUNDS {config.getoption(\"llmbench_rounds\")}'")
    pytester.makepyfile(test_one="def test_one(): pass", test_two="def test_two(): pass")
    result = llmbench(pytester, "run", "--rounds", "6", "test_two.py")
    result.stdout.fnmatch_lines(["ROUNDS 6", "*1 passed*"])


@pytest.mark.parametrize(
    ("body", "words", "code"),
    [
        ("def test_a(): pass", (), ExitCode.OK),
        ("def test_a(): assert 0", (), ExitCode.TESTS_FAILED),
        ("def test_a(): raise KeyboardInterrupt", (), ExitCode.INTERRUPTED),
        ("def test_a(): pass", ("--no-such-option",), ExitCode.USAGE),
        ("def test_a(): pass", ("-k", "nothing"), ExitCode.NO_TESTS),
    ],
)
def test_the_exit_code_is_pytests(pytester, body, words, code):
    """0 to 5 mean what they mean to every CI system."""
    pytester.makepyfile(body)
    assert llmbench(pytester, "run", *words).ret == code


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--round", "3"), "nobody knows the option '--round'; did you mean '--rounds'?"),
        (("--thraeds=3",), "nobody knows the option '--thraeds=3'; did you mean '--threads'?"),
        (("--xyzzy",), "unrecognized arguments: --xyzzy"),
        (("--rounds", "0"), "error: --rounds: '0' must be a whole number, 1 or more"),
        (("--llmbench-rounds", "0"), "--llmbench-rounds: rounds = '0' must be a whole number, 1 or more"),
    ],
)
def test_a_wrong_option_is_told_as_it_was_typed(pytester, words, message):
    """With a near name where there is one, before any test runs."""
    pytester.makefile(".yaml", llmbench="")
    pytester.makepyfile("def test_a(): pass")
    result = llmbench(pytester, "run", *words)
    assert result.ret == ExitCode.USAGE
    assert message in result.stderr.str()


def test_an_option_of_a_plugin_is_not_taken_for_a_slip(pytester):
    """`--rounding` is near to one of ours, and somebody takes it."""
    pytester.makeconftest("def pytest_addoption(parser): parser.addoption('--rounding')")
    pytester.makepyfile("def test_a(request): assert request.config.getoption('rounding') == '2'")
    assert llmbench(pytester, "run", "--rounding=2").ret == ExitCode.OK
