"""The strict YAML reader: plain data with line numbers, everything else refused with its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.config import strict_yaml
from pytest_llmbench.errors import ConfigError


def refusal(text: str) -> str:
    """The message with which a text is refused."""
    with pytest.raises(ConfigError) as caught:
        strict_yaml.parse(text, "f.yaml")
    return str(caught.value)


def test_every_value_knows_its_line():
    """Errors can point at any key or list item."""
    document = strict_yaml.parse("a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n", "f.yaml")
    assert document.data == {"a": {"b": 1, "c": ["x", {"d": 2}]}}
    assert document.line(("a", "b")) == 2
    assert document.line(("a", "c", 1, "d")) == 5


def test_a_missing_key_has_the_line_of_what_surrounds_it():
    """There is a place to look even for what is not there."""
    document = strict_yaml.parse("a:\n  b: 1\n", "f.yaml")
    assert document.line(("a", "nowhere", "deeper")) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("010", 10),
        ("1_000", "1_000"),
        ("-3", -3),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.INF", float("-inf")),
        ("true", True),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ('"true"', "true"),
    ],
)
def test_plain_words_follow_yaml_1_2(text, value):
    """`no` is a word, not false; only what looks like a number is one."""
    assert strict_yaml.parse(f"key: {text}", "f.yaml").data == {"key": value}


def test_an_empty_file_is_an_empty_mapping():
    """A file of comments alone is fine."""
    assert strict_yaml.parse("", "f.yaml").data == {}
    assert strict_yaml.parse("# nothing yet\n", "f.yaml").data == {}
    assert strict_yaml.parse("---\n", "f.yaml").data == {}


def test_a_key_is_text_whatever_it_looks_like():
    """A quantization named `8` or a model named `no` keeps its name."""
    assert strict_yaml.parse("8: a\nno: b\ntrue: c\n", "f.yaml").data == {"8": "a", "no": "b", "true": "c"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: a: the key stands twice, first on line 1"),
        ("x:\n  a: 1\n  a: 2\n", "f.yaml:3: x.a: the key stands twice, first on line 2"),
        ("a: &x [1]\n", "f.yaml:1: a: anchors (&) and aliases (*) are not allowed"),
        ("a: 1\nb: *x\n", "f.yaml:2: b: anchors (&) and aliases (*) are not allowed"),
        ("a: !!python/object/apply:os.system [ls]\n", "f.yaml:1: a: tags (!) are not allowed"),
        ("a: !!str 5\n", "f.yaml:1: a: tags (!) are not allowed"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: a second document begins here"),
        ("- 1\n- 2\n", "f.yaml:1: the file must be a mapping"),
        ("just words\n", "f.yaml:1: the file must be a mapping"),
        ("? [a, b]\n: 1\n", "f.yaml:1: a key must be plain text"),
        ("a: [1\nb: 2\n", "f.yaml:2: is not YAML"),
        ("a:\n\t- 1\n", "f.yaml:2: is not YAML"),
        ("a: 1\nb: \x1b[2J\n", "f.yaml:2: is not YAML"),
    ],
)
def test_what_is_not_plain_data_is_refused_with_its_place(text, message):
    """File, line, key and reason stand in the error."""
    assert refusal(text).startswith(message)


def test_deep_nesting_is_refused_not_recursed_into():
    """A small hostile file exhausts no stack."""
    assert "nested deeper than 20 levels" in refusal("a: " + "[" * 100_000)


def test_a_key_with_escape_sequences_is_shown_escaped():
    """A project's file cannot write to the terminal of who runs it."""
    message = refusal('"\\e[2J": 1\n"\\e[2J": 2\n')
    assert "\x1b" not in message
    assert "\\x1b[2J" in message


def test_a_file_over_the_size_cap_is_refused(tmp_path):
    """Nobody's configuration has a megabyte."""
    path = tmp_path / "f.yaml"
    path.write_bytes(b"# " + b"x" * strict_yaml.MAX_BYTES)
    with pytest.raises(ConfigError, match="larger than 1,000,000 bytes"):
        strict_yaml.read(path)


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path):
    """Another encoding is named, not guessed."""
    path = tmp_path / "f.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigError, match=r"f\.yaml:2: is not UTF-8"):
        strict_yaml.read(path)


def test_a_byte_order_mark_is_ignored(tmp_path):
    """Windows editors write one."""
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert strict_yaml.read(path).data == {"a": 1}


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, kind):
    """A pipe would be waited on for ever."""
    path = tmp_path / "f.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(ConfigError, match="no such file"):
        strict_yaml.read(path)


@given(st.text(max_size=200))
def test_any_text_is_data_or_a_configuration_error(text):
    """No input ends in a traceback."""
    try:
        found = strict_yaml.parse(text, "f.yaml").data
    except ConfigError as error:
        found = {"refused at": str(error)[:7]}
    assert found.get("refused at", "f.yaml:") == "f.yaml:"


def test_the_built_in_catalogue_is_valid_itself():
    """What we ship passes what we ask of others."""
    from pytest_llmbench.config import CATALOGUE

    assert "models" in strict_yaml.read(Path(CATALOGUE)).data
