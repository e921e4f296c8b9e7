"""Chat templates: told by hash, named where they reach for what no chat needs, never rendered by us."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest
from gguf_samples import LLAMA, STRING, array, gguf, text

from pytest_llmbench.models.chat_template import suspicions
from pytest_llmbench.models.gguf import GgufHeader, read_header
from pytest_llmbench.records import ModelFile

KEY = "tokenizer.chat_template"


def header_with(folder: Path, metadata: dict[str, str | bytes]) -> GgufHeader:
    file = folder / "m.gguf"
    file.write_bytes(gguf({**LLAMA, **metadata}))
    return read_header(file)


def test_a_template_is_told_by_its_hash(tmp_path: Path) -> None:
    """Two files of one model that ask it differently can be told apart; no template, no hash."""
    assert header_with(tmp_path, {KEY: "{{ x }}"}).chat_template_sha256 == hashlib.sha256(b"{{ x }}").hexdigest()
    assert header_with(tmp_path, {}).chat_template_sha256 is None


def test_a_real_template_is_above_suspicion(smollm2: ModelFile) -> None:
    """No false alarm."""
    header = read_header(smollm2.path)
    assert len(header.chat_template_sha256 or "") == 64
    assert suspicions(header) == ()


HARMLESS = (
    "{%- set ns = namespace(x=true) %}{%- for m in messages %}{{- m['role'] | trim + '\\n' + m.content }}{% endfor %}",
    "{{ raise_exception('roles must alternate') }}{{ strftime_now('%d %b %Y') }}{{ tools | tojson(indent=2) }}",
    "<__media__>{% if messages[0]['content'] is mapping %}__{% endif %}{{ '__init' }}",
    "{% macro execute(x) %}{{ x.items() | list }}{% endmacro %}{{ importance }} {{ classes }} {{ evaluation }}",
)


@pytest.mark.parametrize("template", HARMLESS)
def test_what_templates_usually_do_is_not_flagged(tmp_path: Path, template: str) -> None:
    """Loops, macros, JSON, dates, markers of images, and words that merely look alike."""
    assert suspicions(header_with(tmp_path, {KEY: template})) == ()


ATTACKS = {
    "{{ ''.__class__.__mro__[1].__subclasses__() }}": ("__class__", "__mro__", "__subclasses__"),
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}": ("cycler.", "__init__", "__globals__", "popen"),
    "{{ self.__init__.__globals__.__builtins__.__import__('os') }}": (
        "__init__",
        "__globals__",
        "__builtins__",
        "__import__",
    ),
    "{{ x | attr('\\x5f\\x5fclass\\x5f\\x5f') }}": ("| attr", "\\x5f"),
    "{% for x in lipsum.__globals__ %}{% endfor %}": ("lipsum.", "__globals__"),
    "{{ g.gi_frame.f_back.f_globals }}": ("gi_frame", "f_back", "f_globals"),
    "{% include '/etc/passwd' %}": ("{% include",),
    "{%- import 'os' as os %}": ("{%- import",),
}


@pytest.mark.parametrize("template", ATTACKS)
def test_a_template_that_reaches_for_pythons_internals_is_named(tmp_path: Path, template: str) -> None:
    """With what it reaches for, in the order in which it stands there, up to five things."""
    assert suspicions(header_with(tmp_path, {KEY: template})) == ATTACKS[template]


def test_every_template_of_a_file_is_looked_at(tmp_path: Path) -> None:
    """Files may have more than the one that is used first, under other keys and in lists."""
    assert suspicions(header_with(tmp_path, {KEY: "{{ x }}", f"{KEY}.tool_use": "{{ x.__class__ }}"})) == ("__class__",)
    several = array(STRING, [text("{{ x }}"), text("{{ x.__mro__ }}")])
    assert suspicions(header_with(tmp_path, {f"{KEY}s": several})) == ("__mro__",)


def test_findings_are_few_and_safe_to_show(tmp_path: Path) -> None:
    """However much a template has, and whatever stands between the words that were looked for."""
    many = "".join(f"{{{{ x.__{name}__ }}}}" for name in ("class", "mro", "dict", "func", "code", "self", "init"))
    assert len(suspicions(header_with(tmp_path, {KEY: many * 1000}))) == 5
    split_up = struct.pack("<I", STRING) + text("{{ x |\x0b\n attr('a') }}{%\u2028include 'x' %}")
    assert all(one.isprintable() for one in suspicions(header_with(tmp_path, {KEY: split_up})))
