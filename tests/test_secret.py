"""A value that shows itself nowhere."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import logging
import pickle
import pprint
import string
import traceback
from collections.abc import Callable

import pytest
import rich.console
import rich.pretty
import rich.traceback
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmbench.clients import Endpoint
from pytest_llmbench.records import ServerInfo
from pytest_llmbench.secret import NO_KEY, Secret

VALUE = "zq7-canary-41af09c2e8"
SECRET = Secret(VALUE)
ENDPOINT = Endpoint(base_url="http://127.0.0.1:1", api_key=SECRET, model_id="m", name="m")
SERVER = ServerInfo("embedded", "http://127.0.0.1:1", SECRET, pid=1)


@dataclasses.dataclass
class Holder:
    secret: Secret


WAYS: dict[str, Callable[[], object]] = {
    "repr": lambda: repr(SECRET),
    "str": lambda: str(SECRET),
    "f-string": lambda: f"{SECRET} {SECRET!r} {SECRET!s} {SECRET!a}",
    "percent": lambda: "%s %r %a" % (SECRET, SECRET, SECRET),  # noqa: UP031 - the way that is tested
    "str.format": lambda: "{} {!r} {:>50}".format(SECRET, SECRET, SECRET),  # noqa: UP032 - as above
    "template": lambda: string.Template("$key").substitute(key=SECRET),
    "containers": lambda: repr([SECRET, {"key": SECRET}, (SECRET,)]),
    "pprint": lambda: pprint.pformat({"key": SECRET, "holder": Holder(SECRET)}),
    "json with a default": lambda: json.dumps({"key": SECRET}, default=str),
    "dataclass": lambda: repr(Holder(SECRET)) + repr(dataclasses.asdict(Holder(SECRET))),
    "copies": lambda: repr([copy.copy(SECRET), copy.deepcopy(SECRET), copy.deepcopy({"key": SECRET})]),
    "its records": lambda: repr([ENDPOINT, SERVER, SERVER.public(), dataclasses.asdict(ENDPOINT)]),
    "attributes": lambda: repr([dir(SECRET), getattr(SECRET, "__dict__", None), SECRET.__slots__, Secret.__doc__]),
    "rich": lambda: rich.pretty.pretty_repr({"key": SECRET, "endpoint": ENDPOINT}),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_showing_an_object_shows_the_value(way: str) -> None:
    assert VALUE not in str(WAYS[way]())


@settings(deadline=None)
@given(spec=st.text(max_size=12))
def test_no_format_specification_gets_at_the_value(spec: str) -> None:
    """Neither all of it, nor a part by a precision."""
    assert format(SECRET, spec) == "***"


@pytest.mark.parametrize(
    "write", [json.dumps, pickle.dumps, lambda secret: secret.__getstate__(), lambda _: SERVER.as_dict()]
)
def test_what_would_write_it_out_is_refused(write: Callable[[Secret], object]) -> None:
    """With an error that does not tell it either."""
    with pytest.raises(TypeError) as caught:
        write(SECRET)
    assert VALUE not in str(caught.value)


def test_a_log_line_holds_no_value(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("app").debug("key %s, as %r", SECRET, {"authorization": SECRET})
    assert "***" in caplog.text
    assert VALUE not in caplog.text


def test_a_traceback_with_local_variables_holds_no_value() -> None:
    """As the standard library and rich print them."""

    def fails(key: Secret, server: ServerInfo) -> None:
        raise RuntimeError(f"no server {server} for {key}")

    try:
        fails(SECRET, SERVER)
    except RuntimeError as error:
        told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        console = rich.console.Console(file=io.StringIO(), width=200)
        console.print(
            rich.traceback.Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
        )
        told += console.file.getvalue()  # type: ignore[attr-defined]
    assert "Secret('***')" in told
    assert VALUE not in told


def test_a_failing_assertion_on_it_holds_no_value(pytester: pytest.Pytester) -> None:
    """pytest's explanations, with local variables and everything in full."""
    pytester.makepyfile(
        f"""
        from pytest_llmbench.secret import Secret

        def test_equal():
            first, second = Secret("{VALUE[:9]}" + "{VALUE[9:]}"), Secret("other")
            assert first == second

        def test_in():
            found = {{"key": Secret("{VALUE[:9]}" + "{VALUE[9:]}")}}
            assert not found
        """
    )
    result = pytester.runpytest_subprocess("-vv", "--showlocals", "--junitxml=junit.xml")
    result.assert_outcomes(failed=2)
    assert VALUE not in result.stdout.str()
    assert VALUE not in (pytester.path / "junit.xml").read_text()


def test_it_reveals_itself_only_when_told_to() -> None:
    """Two of the same value are equal and hash alike; nothing else is equal to it, its own text included."""
    assert SECRET.reveal() == VALUE
    assert Secret(VALUE) == SECRET
    assert Secret(SECRET) == SECRET
    assert len({Secret(VALUE), SECRET, Secret("other")}) == 2
    assert SECRET != VALUE
    assert Secret("ÿ") != SECRET


def test_no_key_is_false_and_says_so() -> None:
    assert not NO_KEY
    assert repr(NO_KEY) == "Secret('')"
    assert str(NO_KEY) == ""
    assert bool(SECRET)


def test_bytes_are_refused_without_being_shown() -> None:
    with pytest.raises(TypeError, match="text, not bytes") as caught:
        Secret(VALUE.encode())  # type: ignore[arg-type]
    assert VALUE not in str(caught.value)
