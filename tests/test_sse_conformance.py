"""The parser against the standard's own words, and whole replies however their stream is written and cut."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import store_samples
from asking import ask, ask_at
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pytest_llmbench import http
from pytest_llmbench.demo import Answer, Close, DemoProvider, Page, Raw, Wait
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.sse import Parser
from pytest_llmbench.store import Store

LINE_ENDS = ["\n", "\r", "\r\n"]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)
LINES = st.one_of(
    TEXT.map(":{}".format),
    st.builds(
        "{}{}{}".format, st.sampled_from(["data", "event", "id", "retry"]), st.sampled_from([":", ": ", ""]), TEXT
    ),
    st.builds(
        "data: {}".format, st.sampled_from(['{"a": "\u2028\u2029\x85\x0b\x0c\x1c"}', "[DONE]", "\0", " two", ""])
    ),
    st.just(""),
    TEXT,
)


def interpreted(stream: str) -> list[tuple[str, str]]:
    """Name and data of every event: WHATWG HTML, section 9.2.6, word by word, on a whole decoded stream."""
    events, data, name = [], "", ""
    *lines, _unfinished = re.split("\r\n|\n|\r", stream.removeprefix("\ufeff"))
    for line in lines:
        if line == "":
            if data:
                events.append((name or "message", data.removesuffix("\n")))
            data = name = ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data += value + "\n"
    return events


def parsed(chunks: list[bytes]) -> list[tuple[str, str]]:
    parser = Parser()
    return [(e.name.decode(), e.data.decode()) for chunk in chunks for e in parser.feed(0.0, chunk)]


@st.composite
def streams(draw: st.DrawFn) -> str:
    """Almost everything the grammar allows, line ends mixed within one stream, perhaps without its last blank line."""
    lines: SearchStrategy[list[str]] = st.lists(LINES, max_size=14)
    written = "".join(line + draw(st.sampled_from(LINE_ENDS)) for line in draw(lines))
    return draw(st.sampled_from(["", "\ufeff"])) + written + draw(TEXT)


@settings(max_examples=400)
@given(streams(), st.data())
def test_every_stream_reads_as_the_standard_says(stream: str, data: st.DataObject) -> None:
    """Cut at random bytes, also within characters: the same events as an interpreter that sees it whole."""
    raw = stream.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    chunks = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert parsed(chunks) == interpreted(stream)


def written(answer: Answer, end: str) -> bytes:
    """The bytes of an answer's stream, its line ends replaced."""
    steps = answer.steps({"stream": True, "stream_options": {"include_usage": True}})
    return b"".join(step.data for step in steps if hasattr(step, "data")).replace(b"\n", end.encode())


HARD = '\u2028 \x85 grün 😀 日本 \0 \x1b[2J \u202e \\ " end'


@pytest.mark.parametrize("end", LINE_ENDS, ids=["LF", "CR", "CRLF"])
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "to the end of the connection"])
def test_a_reply_is_the_same_however_its_stream_is_written(end: str, chunked: bool) -> None:
    """BOM, comments, any line end, a text full of separators, five bytes at a time."""
    raw = b"\xef\xbb\xbf: hello" + end.encode() + written(Answer(pieces=[HARD[:9], HARD[9:]]), end)
    pieces = [Raw(raw[i : i + 5]) for i in range(0, len(raw), 5)]
    reply = ask(Page([*pieces, *([] if chunked else [Close()])], chunked=chunked))
    assert reply.text == HARD
    assert reply.finish_reason == "stop"
    assert reply.usage.completion_tokens is not None


@pytest.mark.parametrize("end", LINE_ENDS, ids=["LF", "CR", "CRLF"])
def test_a_stream_of_any_line_end_cut_at_any_byte_is_never_complete(end: str) -> None:
    """Neither where HTTP ends well nor where the connection just closes."""
    raw = written(Answer("One two.", role_event=False, usage=False, finish_reason=None), end)
    done_ends_at = raw.index(b"[DONE]") + len(b"[DONE]")
    cuts = iter(range(0, done_ends_at, 2))
    with DemoProvider(lambda _: Page([Raw(raw[: next(cuts)])])) as provider:
        for _ in range(len(range(0, done_ends_at, 2))):
            with pytest.raises(WireError) as caught:
                ask_at(provider)
            assert caught.value.category is Category.STREAM_TRUNCATED
            assert "One two.".startswith(caught.value.partial_text)


def test_a_missing_blank_line_after_done_is_no_end() -> None:
    """What the standard drops is dropped: the stream was cut, if only by one byte."""
    raw = written(Answer("One.", finish_reason=None, usage=False), "\n").removesuffix(b"\n")
    with pytest.raises(WireError) as caught:
        ask(Page([Raw(raw), Close()], chunked=False))
    assert caught.value.category is Category.STREAM_TRUNCATED


@pytest.mark.parametrize("broken", [b"\xff", b"\xc3", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\x80"])
def test_broken_utf8_in_a_text_is_marked_not_fatal(broken: bytes) -> None:
    """One bad byte does not lose an answer; a reader sees where it was."""
    raw = written(Answer(pieces=["before ", "HERE", " after"]), "\n").replace(b"HERE", broken)
    text = ask(Page([Raw(raw)])).text
    assert text.startswith("before \ufffd")
    assert text.endswith(" after")


def test_comments_keep_nobody_waiting_for_ever() -> None:
    """A server that only says that it is alive has not answered."""
    impatient = http.Deadlines(connect_s=20, ttft_s=0.5, idle_s=20, total_s=60)
    pings = [Raw(b": ping\n\n"), Wait(0.05)] * 200
    with DemoProvider(Page(pings)) as provider, pytest.raises(WireError) as caught:
        ask_at(provider, deadlines=impatient)
    assert caught.value.category is Category.TIMEOUT_TTFT


@pytest.mark.parametrize(
    "text",
    [
        "a\0b",
        "\ud83d",
        "\udc00 alone",
        "\x1b]52;c;AAAA\x07",
        "\u202eabc",
        "x" * 1_000_000,
        "é" * 5000,
        "\r\n\r\n",
        "&<>'\"",
    ],
    ids=["NUL", "high surrogate", "low surrogate", "OSC 52", "bidi", "1 MB line", "combining", "lines", "markup"],
)
def test_any_text_survives_wire_and_store(text: str, tmp_path: Path) -> None:
    """What the model wrote is what the database gives back; only half a surrogate pair, which is no text, is marked."""
    event = json.dumps({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]})
    reply = ask(Page([Raw(b"data: " + event.encode() + b"\n\n"), Raw(b"data: [DONE]\n\n")]))
    assert reply.text == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    store = Store.open(tmp_path / "results.db")
    try:
        run = store_samples.run()
        store.ensure_run(run)
        store.save_reply(run.id, "key", 0, {}, reply)
        assert [kept.text for kept in store.load_run(run.id).replies] == [reply.text]
    finally:
        store.close()
