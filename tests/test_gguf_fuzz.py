"""Whatever bytes a file holds, the reader answers with a consistent header or with one kind of error, in little memory.

The long versions (`slow`) run 20,000 examples each; the short ones are the same with a few hundred.
"""

from __future__ import annotations

import itertools
import tracemalloc
from pathlib import Path

import pytest
from gguf_grammar import EDGES, TINY, headers, mutations
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models import chat_template, gguf_bytes
from pytest_llmbench.models.gguf import GgufHeader, read_header
from pytest_llmbench.models.gguf_split import split_of

PEAK_BYTES = 2 << 20
"""Of Python memory, for a header of a few kilobytes; a block of 256 KiB is read at a time."""
WEIGHTS = 3 << 15
"""Bytes of zeros behind every header: room for the tensors it may list."""

SHORT = settings(max_examples=400, deadline=None)
LONG = settings(max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file that all examples overwrite."""
    return tmp_path_factory.mktemp("fuzz") / "fuzz.gguf"


def read_or_refuse(file: Path, data: bytes) -> GgufHeader | None:
    """The header of a file with these bytes, checked against all that is promised of it; None where it is refused."""
    file.write_bytes(data)
    tracemalloc.start()
    try:
        header = read_header(file)
    except ModelFileError as error:
        check_refusal(error)
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < PEAK_BYTES
    check_extents(header)
    check_derived(header)
    return header


def check_refusal(error: ModelFileError) -> None:
    """It counts as a corrupt model, and nothing of the file steers the terminal."""
    assert error.category is Category.LOCAL_CORRUPT_MODEL
    assert error.message.isprintable()


def check_extents(header: GgufHeader) -> None:
    """Every tensor has a place of its own in the file, and every name is one."""
    places = sorted((t.offset, t.offset + (t.size_bytes or 0)) for t in header.tensors)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(places))
    assert all(header.data_offset + end <= header.file_size_bytes for _, end in places)
    assert all(t.offset % header.alignment == 0 and t.elements > 0 for t in header.tensors)
    names = [t.name for t in header.tensors]
    assert len(set(names)) == len(names) == header.tensor_count
    assert all(name and "\0" not in name for name in (*names, *header.metadata))
    assert max((len(name.encode()) for name in names), default=0) <= gguf_bytes.MAX_NAME_BYTES
    spans = sorted(header.spans.values())
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert all(24 <= start < end <= header.data_offset for start, end in spans)


def check_derived(header: GgufHeader) -> None:
    """What is derived from a header is of its type, safe to show, and raises nothing but what it says."""
    assert 0 <= header.weights_bytes <= header.file_size_bytes
    assert not any(char < " " or char == "\x7f" for row in header.shown() for char in "".join(row))
    assert isinstance(f"{header.quantization}{header.name}{header.short_name}{header.architecture}", str)
    assert (header.chat_template_sha256 is not None) == header.has_chat_template
    assert header.parameter_count >= 0
    assert header.context_length is None or header.context_length > 0
    assert all(found.isprintable() for found in chat_template.suspicions(header))
    try:
        split = split_of(header)
    except ModelFileError as error:
        check_refusal(error)
    else:
        assert split is None or 1 <= split.number <= split.count


def test_the_file_that_mutations_start_from_is_good(scratch: Path) -> None:
    """Else all of them would be refused for the same reason."""
    header = read_or_refuse(scratch, TINY)
    assert header is not None
    assert (header.tensor_count, header.name) == (3, "Tiny")


def test_a_good_file_cut_at_any_byte_is_refused(scratch: Path) -> None:
    """No part of a file passes for the whole."""
    for size in range(len(TINY)):
        assert read_or_refuse(scratch, TINY[:size]) is None


@pytest.mark.parametrize("number", EDGES)
def test_an_absurd_number_anywhere_is_survived(scratch: Path, number: int) -> None:
    """A length, count, type or place at the edge of what 64 bits can say, at every byte of a header in turn."""
    for at in range(4, TINY.index(b"norm") + 40, 3):
        read_or_refuse(scratch, TINY[:at] + number.to_bytes(8, "little") + TINY[at + 8 :])


@given(data=st.binary(max_size=400))
@SHORT
@example(data=b"GGUF\x03\x00\x00\x00")
def test_any_bytes_parse_or_are_refused(scratch: Path, data: bytes) -> None:
    """Noise, and noise behind a good beginning."""
    read_or_refuse(scratch, data)
    read_or_refuse(scratch, TINY[:24] + data)


@given(data=mutations())
@SHORT
def test_a_damaged_file_parses_or_is_refused(scratch: Path, data: bytes) -> None:
    """Damage anywhere in a good file does no more than change what it says, or have it refused."""
    read_or_refuse(scratch, data)


@given(data=headers())
@SHORT
def test_an_almost_valid_header_parses_or_is_refused(scratch: Path, data: bytes) -> None:
    """Headers that follow the format but for one lie or two, which noise never gets as far as."""
    read_or_refuse(scratch, data + bytes(WEIGHTS))


def test_the_grammar_makes_good_headers_too(scratch: Path) -> None:
    """A generator whose every file is refused at the first byte would test nothing."""
    answers: list[bool] = []

    @given(data=headers())
    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    def collect(data: bytes) -> None:
        answers.append(read_or_refuse(scratch, data + bytes(WEIGHTS)) is not None)

    collect()
    assert 10 < sum(answers) < len(answers) - 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(data=mutations())
@LONG
def test_a_damaged_file_parses_or_is_refused_at_length(scratch: Path, data: bytes) -> None:
    """The same, 20,000 times."""
    read_or_refuse(scratch, data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(data=headers())
@LONG
def test_an_almost_valid_header_parses_or_is_refused_at_length(scratch: Path, data: bytes) -> None:
    """The same, 20,000 times."""
    read_or_refuse(scratch, data + bytes(WEIGHTS))
