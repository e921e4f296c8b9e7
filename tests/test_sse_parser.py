"""Server-sent events from bytes, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.sse import Parser

STREAM = (
    b"\xef\xbb\xbf: a comment first\r\n"
    b'data: {"text": "gr\xc3\xbc\xc3\x9fe \xf0\x9f\x98\x80"}\n\n'
    b"event: error\rdata: carriage\rdata: returns\r\r"
    b"id: 7\r\nretry: 10\r\ndata:no space\r\ndata:  two spaces\r\n\r\n"
    b"data: line\xe2\x80\xa8separator and \xc2\x85 stay\n\n"
    b"data\n\n"
    b"data: [DONE]\n\n"
)
EVENTS = [
    (b"message", '{"text": "grüße 😀"}'.encode()),
    (b"error", b"carriage\nreturns"),
    (b"message", b"no space\n two spaces"),
    (b"message", "line\u2028separator and \x85 stay".encode()),
    (b"message", b""),
    (b"message", b"[DONE]"),
]


def parsed(chunks: list[bytes]) -> list[tuple[bytes, bytes]]:
    parser = Parser()
    return [(event.name, event.data) for chunk in chunks for event in parser.feed(0.0, chunk)]


def test_a_stream_with_every_feature_of_the_standard_is_read():
    """CRLF, LF and CR, a BOM, comments, several data lines, unknown fields, and separators that are not line ends."""
    assert parsed([STREAM]) == EVENTS


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_a_cut_at_any_byte_changes_nothing(cut):
    """Also within a CRLF, within a character, within the BOM."""
    assert parsed([STREAM[:cut], STREAM[cut:]]) == EVENTS


def test_single_bytes_change_nothing():
    """The finest cut of all."""
    assert parsed([STREAM[i : i + 1] for i in range(len(STREAM))]) == EVENTS


@given(st.data())
def test_any_cutting_changes_nothing(data):
    """Also with empty chunks."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(STREAM)))))
    assert parsed([STREAM[a:b] for a, b in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]) == EVENTS


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_no_bytes_at_all_upset_it(chunks):
    """Hostile bytes give events or nothing, and the same whether they come at once or in pieces."""
    assert parsed(chunks) == parsed([b"".join(chunks)])


def test_an_event_carries_the_stamp_of_the_chunk_that_completed_it():
    """Stamps are arrival times, not decoding times."""
    parser = Parser()
    assert parser.feed(1.0, b"data: a\n") == []
    (first,) = parser.feed(2.0, b"\ndata: b\n")
    (second,) = parser.feed(3.0, b"\n")
    assert (first.arrived_at, second.arrived_at) == (2.0, 3.0)


def test_an_event_cut_off_by_the_end_is_dropped():
    """As the standard says: what has no blank line after it was not finished."""
    assert parsed([b"data: whole\n\ndata: half\n"]) == [(b"message", b"whole")]


@pytest.mark.parametrize("piece", [b"x" * 100, b"data: xxxxxxxxxxxxx\n"], ids=["one line", "many lines"])
def test_an_event_without_end_is_refused(piece):
    """Memory is bounded, in a line that never ends as in an event that never ends."""
    parser = Parser("GET /", max_event_bytes=1000)

    def feed_for_ever() -> None:
        while True:
            assert parser.feed(0.0, piece) == []

    with pytest.raises(WireError, match="GET /: one event is larger than 1000 bytes") as caught:
        feed_for_ever()
    assert caught.value.category is Category.STREAM_TOO_LARGE


def test_the_size_limit_is_of_one_event_not_of_the_stream():
    """A long answer of small events passes."""
    parser = Parser(max_event_bytes=100)
    assert sum(len(parser.feed(0.0, b"data: " + b"x" * 50 + b"\n\n")) for _ in range(100)) == 100
