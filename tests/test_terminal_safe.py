"""What a model says never steers the terminal that pytest prints on, wherever a test puts it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import hostile_text
import pytest
from terminals import colours, run_on_a_terminal, steering

from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.display import display_safe

SUITE = """
    import logging, sys, warnings
    import pytest

    pytestmark = pytest.mark.models("lab/hostile")

    @pytest.fixture
    def said(model):
        return model.ask("speak").text

    @pytest.fixture
    def broken_setup(said):
        raise RuntimeError(said)

    @pytest.fixture
    def broken_teardown(said):
        yield
        print(said)
        raise RuntimeError(said)

    class Talker:
        def __init__(self, text):
            self.text = text

        def __repr__(self):
            return self.text

    def test_in(said):
        assert "wanted" in said

    def test_not_in(said):
        assert said[:5] not in said

    def test_equal(said):
        assert said == "wanted"

    def test_equal_lines(said):
        assert said.replace(" ", "\\n") == "wanted\\nhere"

    def test_equal_lists(said):
        assert [said, said] == [said, "wanted"]

    def test_equal_objects(said):
        assert Talker(said) == Talker("wanted")

    def test_message(said):
        assert False, said

    def test_fail(said):
        pytest.fail(said)

    def test_fail_without_trace(said):
        pytest.fail(said, pytrace=False)

    def test_raise(said):
        raise ValueError(said)

    def test_chain(said):
        try:
            raise ValueError(said)
        except ValueError as error:
            raise RuntimeError(said) from error

    def test_note(said):
        error = ValueError(said)
        error.add_note(said)
        raise error

    def test_group(said):
        raise ExceptionGroup(said, [ValueError(said), ExceptionGroup(said, [TypeError(said)])])

    def test_name_of_a_class(said):
        raise type(said, (Exception,), {})(said)

    def test_setup(broken_setup):
        pass

    def test_teardown(broken_teardown):
        pass

    def test_skip(said):
        pytest.skip(said)

    def test_xfail(said):
        pytest.xfail(said)

    def test_warning(said):
        warnings.warn(said)

    def test_property(said, record_property):
        record_property(said, said)

    def test_output_of_a_failure(said):
        print(said)
        print(said, file=sys.stderr)
        logging.getLogger(said).warning(said)
        assert not said

    def test_output(said):
        print(said)
        print(said, file=sys.stderr)
        logging.getLogger("app").warning(said)

    @pytest.mark.parametrize("name", [{texts!r}], ids=[{texts!r}])
    def test_identifier(said, name):
        assert name == "wanted"

    @pytest.mark.parametrize("name", [{texts!r}])
    def test_value(said, name):
        assert not name

    def test_subtest(said, subtests):
        with subtests.test(said, said=Talker(said)):
            print(said)
            logging.getLogger("app").warning(said)
            raise ValueError(said)

    def test_the_import(said):
        from os import no_such_name
"""

TEXT = " ".join(hostile_text.TERMINAL)

PYTESTS_COLOURS = {f"\x1b[{code}m" for code in ["0", "1", "2", "04", "39;49;00", *map(str, range(31, 38))]}
PYTESTS_COLOURS |= {f"\x1b[{code}m" for code in range(90, 98)}
"""What pytest and Pygments write; the last two of the reply's own are not among them."""

Run = Callable[..., tuple[int, bytes]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the suite on a terminal, with a model that speaks to the terminal; exit status and output."""

    def run_(*arguments: str) -> tuple[int, bytes]:
        (tmp_path / "test_speech.py").write_text(textwrap.dedent(SUITE).replace("{texts!r}", repr(TEXT)))
        with DemoProvider(Answer(TEXT)) as provider:
            (tmp_path / "llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{provider.url}'}}\n")
            command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=yes", *arguments]
            return run_on_a_terminal(command, tmp_path)

    return run_


@pytest.mark.parametrize(
    "arguments",
    [
        "-vv --showlocals -rA --tb=long",
        "-n 2 -v -l -rA --tb=short",
        pytest.param("-rA --tb=native", marks=pytest.mark.slow),
        pytest.param("-n 2 -vv -rA --tb=long -o junit_logging=all", marks=pytest.mark.slow),
        pytest.param("-rA --tb=line", marks=pytest.mark.slow),
        pytest.param("-q --tb=no", marks=pytest.mark.slow),
        pytest.param("-v --full-trace --setup-show -o log_cli=true", marks=pytest.mark.slow),
    ],
)
def test_only_pytests_own_colours_reach_the_terminal(run: Run, tmp_path: Path, arguments: str) -> None:
    """In every place where a test can put a model's words, byte for byte; and the JUnit file stays XML."""
    status, said = run("--junitxml=junit.xml", *arguments.split())
    assert status == 1
    assert steering(said) == []
    assert colours(said) <= PYTESTS_COLOURS
    assert b"\x1b[31mRED" not in said
    assert "20 failed" in said.decode()
    shown = "".join(ET.parse(tmp_path / "junit.xml").getroot().itertext())
    assert shown
    assert display_safe(shown) == shown


def test_what_a_model_said_is_shown_and_pytest_keeps_its_colours(run: Run) -> None:
    """Signs stand for what was taken out, and source lines are still highlighted."""
    said = run("-k", "test_message or test_output_of")[1].decode()
    assert "␛]0;title␇ ␛]52;c;cm0gLXJmIH4=␇ ␛[2J␛[H ⟨U+009B⟩31m over␍written ⟨U+202E⟩desrever" in said
    assert "zero⟨U+200B⟩width" in said
    assert "tags⟨U+E0049⟩" in said
    assert "\x1b[94massert\x1b[39;49;00m" in said
