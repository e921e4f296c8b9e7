"""The desk and what no client of ours says: it answers or hangs up, in one line, and serves everybody else."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk_house import TOKEN, House, order
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_llmbench.servers import messages, supervisor
from pytest_llmbench.servers.messages import MalformedError

HELLO = json.dumps({"id": 1, "op": "hello", "token": TOKEN}).encode()
GOOD = order("a", 10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("id", "op", "orders", "wait", "keys", "key", "request")
OPS = ("claim", "release", "cancel", "status", "suspect")
NOT_MESSAGES = [
    b"\xff\xfe\x00",
    b"not json",
    b"[" * 100_000,
    b"null",
    b"[1, 2]",
    b'"hello"',
    b"{}",
    b'{"id": [], "op": "ping"}',
    b'{"id": 1e999, "op": "ping"}',
    b'{"id": true, "op": "ping"}',
    b'{"id": 1, "op": {}}',
    b'{"id": 1, "op": "\\ud800"}',
]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with House(100) as house:
        yield house


def exchange(house: House, *lines: bytes, greet: bool = True) -> list[Any]:
    """Send lines over a line of their own; all answers until the desk hangs up or 'ping' number 99 is answered."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(supervisor.read_address(Path(house._folder.name))["address"])
        sent = [*([HELLO] if greet else []), *lines, json.dumps({"id": 99, "op": "ping"}).encode()]
        try:
            line.sendall(b"".join(part + b"\n" for part in sent))
        except OSError:
            return []
        answers = []
        with line.makefile("rb") as told:
            try:
                for answer in told:
                    answers.append(json.loads(answer))
                    if answers[-1]["id"] == 99:
                        break
            except ConnectionResetError:
                pass
    return answers[1:] if greet else answers


@pytest.mark.parametrize("line", NOT_MESSAGES, ids=lambda line: repr(line[:20]))
def test_what_is_no_message_is_refused_and_the_line_goes_on(house: House, line: bytes) -> None:
    """One error a line; the next request is answered."""
    refused, pong = exchange(house, line)
    assert refused["error"]["kind"] == "malformed"
    assert pong == {"id": 99, "ok": None}
    assert house.told == []


@pytest.mark.parametrize("line", NOT_MESSAGES, ids=lambda line: repr(line[:20]))
def test_a_stranger_who_says_no_hello_is_hung_up_on(house: House, line: bytes) -> None:
    """Nothing is answered to who has not shown the token."""
    assert exchange(house, line, greet=False) == []
    assert house.told == []


def test_a_line_without_end_is_cut_off(house: House) -> None:
    """More than any message needs is not kept in memory."""
    assert exchange(house, b"x" * (supervisor.MESSAGE_BYTES + 10)) == []
    assert house.told == []
    assert exchange(house) == [{"id": 99, "ok": None}]


@pytest.mark.parametrize(
    "wrong",
    [
        {"orders": []},
        {"orders": "a"},
        {"orders": [1]},
        {"orders": [{}]},
        {"orders": [{**GOOD, "more": 1}]},
        {"orders": [{**GOOD, "need_bytes": -1}]},
        {"orders": [{**GOOD, "need_bytes": 1.5}]},
        {"orders": [{**GOOD, "need_bytes": True}]},
        {"orders": [{**GOOD, "load_timeout_s": float("nan")}]},
        {"orders": [{**GOOD, "argv": []}]},
        {"orders": [{**GOOD, "argv": ["a", 1]}]},
        {"orders": [{**GOOD, "argv": ["a\0b"]}]},
        {"orders": [{**GOOD, "log": "\ud800"}]},
        {"orders": [{**GOOD, "key": ["a"]}]},
        {"orders": [GOOD], "wait": "yes"},
    ],
    ids=repr,
)
def test_a_claim_of_the_wrong_shape_is_refused(house: House, wrong: dict[str, Any]) -> None:
    """Before a seat is taken or a process started."""
    claim = {"id": 2, "op": "claim", "wait": False, **wrong}
    answers = exchange(house, json.dumps(claim).encode())
    assert {answer["id"]: answer for answer in answers}[2]["error"]["kind"] == "malformed"
    assert house.stand() == ({}, 0)
    assert house.told == []


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)), st.sampled_from(OPS))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_message_breaks_the_desk(house: House, message: dict[str, Any], op: str) -> None:
    """Any JSON in any field: the next request is answered, nothing is held, no task ends with a traceback."""
    sent = json.dumps({"id": 2, **message, "op": op}).encode()
    assert exchange(house, sent)[-1] == {"id": 99, "ok": None}
    assert house.told == []
    assert house.stand() == ({}, 0)


def test_two_requests_of_one_number_are_not_mixed_up(house: House) -> None:
    """The second is refused as long as the first is not answered."""
    claim = json.dumps({"id": 2, "op": "claim", "wait": True, "orders": [GOOD]}).encode()
    answers = exchange(house, claim, claim)
    assert [answer["error"]["kind"] for answer in answers if "error" in answer] == ["malformed"]


def test_paths_of_any_bytes_are_texts_too() -> None:
    """A file name that is no UTF-8 reaches the server as it is."""
    claim = {"orders": [{**GOOD, "argv": ["server", "caf\udce9.gguf"]}], "wait": True}
    assert messages.orders(claim)[0].argv[1] == "caf\udce9.gguf"
    with pytest.raises(MalformedError):
        messages.orders({"orders": [{**GOOD, "argv": ["server", "\ud800"]}], "wait": True})
