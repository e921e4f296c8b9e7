"""The upper bound of a prompt's tokens, which a budget reserves for."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from served_sessions import session_in

from pytest_llmbench.asker import tokens
from pytest_llmbench.asker.tokens import upper_bound
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.serving import local_model

HOSTILE = [
    "",
    "Hello, world. " * 40,
    "".join(map(chr, range(32, 0x2FF))),
    "👩‍👩‍👧‍👦🏳️‍🌈" * 30,
    "\ufdfa" * 100,  # one character that NFKC makes eighteen of
    "Z̸̡͓a̶͉͠l̴̢̚g̵̞̓o̷̙̽" * 40,
    "一二三四五六七八九十" * 40,
    "\x01\x02\x7f\u200b\u202e" * 50,
    "<|im_start|><|im_end|><|endoftext|>" * 20,
    "0123456789" * 60,
    "   \n\n\t\t" * 60,
    "\U0010ffff" * 100,
]


def request(*contents, **extra) -> ChatRequest:
    """A conversation of these contents."""
    return ChatRequest("lab/m", tuple({"role": "user", "content": each} for each in contents), extra=extra)


@pytest.mark.usefixtures("smollm2")
def test_a_real_engine_counts_no_more_than_the_bound(tmp_path):
    """Templates, special tokens and hostile text included, alone and in conversations."""
    with session_in(tmp_path) as session:
        model = local_model(session, "smollm2-135m:Q4_1")
        api = LlamaApi(model.endpoint, session.deadlines)
        for text in HOSTILE:
            for messages in (1, 5):
                asked = request(*[text] * messages)
                assert api.chat_tokens(asked.messages) <= upper_bound(asked), repr(text[:20])


@given(st.lists(st.text(), max_size=4))
def test_no_text_has_fewer_bytes_than_the_bound_in_any_normal_form(texts):
    """Tokenizers that normalise first see what NFKC makes of it."""
    bound = upper_bound(request(*texts))
    for form in ("NFC", "NFKC"):
        whole = sum(len(unicodedata.normalize(form, text).encode("utf-8", "surrogatepass")) for text in texts)
        assert whole + tokens.OF_REQUEST + tokens.OF_MESSAGE * len(texts) <= bound


def test_the_bound_of_a_plain_text_is_its_bytes_and_the_overhead():
    """English is reserved for about four times over."""
    assert upper_bound(request("a" * 1000)) == 1000 + len("user") + tokens.OF_REQUEST + tokens.OF_MESSAGE


def test_pictures_count_by_a_stated_number_and_not_by_their_bytes():
    """Their detail decides, not how well they compress."""
    url = "data:image/png;base64," + "A" * 1_000_000
    large = request([{"type": "image_url", "image_url": {"url": url}}])
    small = request([{"type": "image_url", "image_url": {"url": url, "detail": "low"}}])
    assert tokens.OF_IMAGE <= upper_bound(large) < tokens.OF_IMAGE + 500
    assert tokens.OF_SMALL_IMAGE <= upper_bound(small) < tokens.OF_SMALL_IMAGE + 500
    theirs = request([{"type": "image", "source": {"type": "base64", "data": "A" * 1_000_000}}])
    assert upper_bound(theirs) == upper_bound(large)


def test_sound_counts_as_its_bytes():
    """A second of it has more bytes than any provider counts tokens for it."""
    part = {"type": "input_audio", "input_audio": {"data": "A" * 5000, "format": "wav"}}
    assert upper_bound(request([part])) >= 5000


def test_tools_and_schemas_become_a_part_of_the_prompt():
    """With the instructions that providers write above them."""
    tools_given = [{"type": "function", "function": {"name": "f", "description": "é" * 100}}]
    assert upper_bound(request("Hi", tools=tools_given)) >= upper_bound(request("Hi")) + tokens.OF_TOOLS + 600
