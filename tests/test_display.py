"""Text of others made safe to show."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.display import display_safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("\x1b]52;c;eA==\x07", "␛]52;c;eA==␇"),
        ("a\rb", "a␍b"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("del\x7f", "del␡"),
        ("\u202eabc", "⟨U+202E⟩abc"),
        ("\ud800", "⟨U+D800⟩"),
        ("a\u2028b", "a⟨U+2028⟩b"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("Füße 漢字 👩‍👧", "Füße 漢字 👩‍👧"),
    ],
)
def test_what_steers_a_terminal_becomes_visible(text: str, shown: str) -> None:
    """Controls, bidirectional marks and surrogates get a glyph; letters of all scripts stay."""
    assert display_safe(text) == shown


def test_a_text_for_one_line_keeps_no_line_break() -> None:
    """`keep=""` shows line breaks and tabs, too."""
    assert display_safe("a\nb\tc", keep="") == "a␊b␉c"


@given(st.text(alphabet=st.characters()))
def test_nothing_that_steers_is_left(text: str) -> None:
    """Whatever comes in: no control character, no surrogate, and it can be encoded."""
    safe = display_safe(text, keep="")
    assert not [char for char in safe if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}]
    assert safe.encode().decode() == safe
