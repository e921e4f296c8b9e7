"""A damaged model file is refused by the path that real sessions take, before any process is started for it."""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from gguf_samples import LLAMA, gguf
from server_sessions import ServerSession, spec_of
from suite_runs import stored_run

from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models.gguf import read_header
from pytest_llmbench.records import ModelFile


@pytest.fixture
def session() -> Iterator[ServerSession]:
    with ServerSession() as session:
        yield session


def copy_header(model: Path, file: Path) -> None:
    """A file with a real model's header and size, whose weights are a hole."""
    with model.open("rb") as stream:
        file.write_bytes(stream.read(read_header(model).data_offset))
    os.truncate(file, model.stat().st_size)


def overwrite(file: Path, at: int, data: bytes) -> None:
    """Change bytes in the middle of a file."""
    with file.open("r+b") as stream:
        stream.seek(at)
        stream.write(data)


def offset_of_last_tensor(file: Path) -> int:
    """Where in the header of a real model the last tensor's offset stands."""
    last = read_header(file).tensors[-1]
    head = file.read_bytes()[: read_header(file).data_offset]
    return head.rindex(struct.pack("<Q", last.offset))


DAMAGE: dict[str, Callable[[Path], None]] = {
    "its beginning is overwritten": lambda file: overwrite(file, 0, b"\0" * 8),
    "it claims 2^62 keys": lambda file: overwrite(file, 16, struct.pack("<Q", 1 << 62)),
    "its last tensor begins beyond its end": lambda file: overwrite(
        file, offset_of_last_tensor(file), struct.pack("<Q", 1 << 62)
    ),
    "its last tensor lies across the first": lambda file: overwrite(
        file, offset_of_last_tensor(file), struct.pack("<Q", 0)
    ),
    "its last byte is gone": lambda file: os.truncate(file, file.stat().st_size - 1),
    "it is empty": lambda file: os.truncate(file, 0),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_no_process_is_started_for_a_damaged_file(
    session: ServerSession, smollm2: ModelFile, tmp_path: Path, damage: str
) -> None:
    """Neither supervisor nor server: no pid, no socket, no log."""
    file = tmp_path / "damaged.gguf"
    copy_header(Path(smollm2.path), file)
    DAMAGE[damage](file)
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(ModelFileError) as refused:
        session.client().claim([spec_of(dataclasses.replace(smollm2, path=str(file)))], wait=True)
    assert refused.value.category is Category.LOCAL_CORRUPT_MODEL
    assert set(psutil.Process().children(recursive=True)) <= before
    assert not session.folder.exists()
    assert not session.logs.exists()


def test_no_process_is_started_for_a_model_that_misses_a_part(session: ServerSession, tmp_path: Path) -> None:
    """The engine would find out only after loading all the others."""
    file = tmp_path / "m-00001-of-00002.gguf"
    file.write_bytes(gguf({**LLAMA, "split.no": 0, "split.count": 2, "split.tensors.count": 2}))
    model = ModelFile("m:F32", str(file), "0" * 64, file.stat().st_size, f"path:{file}")
    with pytest.raises(ModelFileError, match=r"is missing: m-00002-of-00002\.gguf"):
        session.client().claim([spec_of(model)], wait=True)
    assert not session.folder.exists()


def test_a_run_with_a_damaged_model_ends_as_an_infra_error_without_a_server(pytester: pytest.Pytester) -> None:
    """The whole way: the run is stored, the reason is told, the folder of server logs stays empty."""
    file = pytester.path / "damaged.gguf"
    file.write_bytes(gguf()[:-40])
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.models({str(file)!r})
        def test_it_answers(model):
            assert model.ask("Hello").text
        """
    )
    done = pytester.runpytest_subprocess()
    (result,) = stored_run(pytester).results
    assert result.outcome == "infra_error"
    assert result.category == Category.LOCAL_CORRUPT_MODEL
    assert "cut short" in str(done.stdout)
    assert not list((pytester.path / ".llmbench").glob("logs/*/*"))
