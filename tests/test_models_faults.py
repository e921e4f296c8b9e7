"""Any sequence of faults in a download ends with the file, or with an error and no file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf_samples import noisy
from hub_server import Fault, Hub, used_hub
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from model_stores import NAME, files_in, store

from pytest_llmbench.errors import ModelFileError

DATA, OTHER, LONGER = noisy(16), noisy(16, seed=2), noisy(18)
SIZE = len(DATA)
LANDED = "tiny/tiny-Q8_0.gguf"

offsets = st.integers(0, SIZE)
same_file_headers = st.sampled_from(
    [
        {},
        {},
        {"ETag": ""},
        {"ETag": 'W/"weak"'},
        {"Content-Range": "bytes */9"},
        {"Content-Range": f"bytes 0-{SIZE - 1}/{SIZE}"},
        {"Content-Range": f"bytes 7-{SIZE - 1}/{SIZE + 1}"},
        {"Content-Length": ""},
        {"Content-Length": str(SIZE + 5)},
        {"Content-Length": "-1"},
        {"Content-Encoding": "br"},
    ]
)
of_the_file = st.builds(
    Fault, cut_after=st.none() | offsets, ignores_range=st.booleans(), headers=same_file_headers, body=st.none()
)
of_another = st.builds(
    Fault,
    cut_after=st.none() | offsets,
    ignores_range=st.booleans(),
    headers=st.just({"ETag": '"other"'}),
    body=st.just(OTHER),
)
of_a_longer_one = st.builds(
    Fault,
    cut_after=st.none() | offsets,
    ignores_range=st.booleans(),
    headers=st.just({"ETag": '"longer"'}),
    body=st.just(LONGER),
)
refusals = st.builds(Fault, status=st.sampled_from([404, 416, 429, 500, 503]))
pages = st.builds(
    Fault, body=st.sampled_from([b"", b"<html>", b"G", b"GGUF", bytes(SIZE)]), headers=st.just({"ETag": '"page"'})
)
faults = st.lists(of_the_file | of_another | of_a_longer_one | refusals | pages, max_size=7)
quick = settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
many = settings(quick, max_examples=300, derandomize=False)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The model at the hub, whose hash is known, and at an address, whose hash is not."""
    with used_hub(monkeypatch) as hub:
        hub.repo("org/repo", {"m.gguf": DATA})
        hub.pages["/m.gguf"] = DATA
        yield hub


def come_of(source: str, hub: Hub, path: str, script: list[Fault]) -> tuple[bytes | None, bytes]:
    """What a pull under faults brings (None: an error), and what one after it brings."""
    hub.faults[path].clear()
    hub.faults[path].extend(script)
    with tempfile.TemporaryDirectory() as name:
        folder, file = Path(name), Path(name) / "models" / LANDED
        try:
            store(folder, source).pull(NAME)
            first = file.read_bytes()
        except ModelFileError:
            first = None
            assert not file.exists()
            assert all(left.startswith(".work/") for left in files_in(folder / "models"))
        hub.faults[path].clear()
        store(folder, source).pull(NAME)
        return first, file.read_bytes()


def check_hub(hub: Hub, script: list[Fault]) -> None:
    first, second = come_of("hf:org/repo/m.gguf", hub, "m.gguf", script)
    assert first in {None, DATA}
    assert second == DATA


def check_web(hub: Hub, script: list[Fault]) -> None:
    first, second = come_of(f"{hub.cdn_url}/m.gguf", hub, "/m.gguf", script)
    assert first in {None, DATA, OTHER, LONGER}
    assert second in {DATA, OTHER, LONGER}


@quick
@given(script=faults)
def test_what_the_hub_has_a_hash_of_is_never_another_file(hub: Hub, script: list[Fault]) -> None:
    """Whatever the servers of the bytes do."""
    check_hub(hub, script)


@quick
@given(script=faults)
@example(script=[Fault(headers={"Content-Length": str(SIZE + 5)}), Fault(status=404)])  # announced to an earlier pull
def test_what_has_no_hash_is_never_two_halves(hub: Hub, script: list[Fault]) -> None:
    """One file or the other, as long as the server's names for them differ."""
    check_web(hub, script)


@pytest.mark.slow
@many
@given(script=faults)
def test_six_hundred_sequences_of_faults(hub: Hub, script: list[Fault]) -> None:
    """The same two, for longer and at random."""
    check_hub(hub, script)
    check_web(hub, script)
