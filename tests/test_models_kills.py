"""Downloads over HTTP among several processes: killed, interrupted, waiting for each other, on full disks."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from filelock import FileLock
from gguf_samples import noisy
from hub_server import Fault, Hub, used_hub
from model_stores import NAME, files_in, start, store

from pytest_llmbench.errors import Category
from pytest_llmbench.models import folder as model_folder
from pytest_llmbench.models.pull_many import in_parallel
from pytest_llmbench.models.transfer import Progress
from pytest_llmbench.records import ModelFile

DATA = noisy(1024)
SHA256 = hashlib.sha256(DATA).hexdigest()
HALF = len(DATA) // 2
SOURCE = "hf:org/repo/m.gguf"
LANDED = ["tiny/tiny-Q8_0.gguf", "tiny/tiny-Q8_0.gguf.json"]
DRAFT = [".work/tiny-Q8_0/tiny-Q8_0.gguf.part", ".work/tiny-Q8_0/tiny-Q8_0.gguf.part.json"]

PULL = """
import sys
from pathlib import Path
from pytest_llmbench.config import ModelDef, QuantDef
from pytest_llmbench.errors import LlmbenchError
from pytest_llmbench.models.model_store import ModelStore

def tell(done, total, what):
    print(what, done, flush=True)

tiny = ModelDef(quants={"Q8_0": QuantDef(source="hf:org/repo/m.gguf")})
models = ModelStore(Path(sys.argv[1]), {"tiny": tiny}, offline=False, lock=Path(sys.argv[1]).with_name("llmbench.lock"))
try:
    print(models.pull("tiny:Q8_0", tell).sha256)
except LlmbenchError as error:
    print(getattr(error, "category", ""), error)
"""

PULL_ALL = (
    PULL.partition("try:")[0]
    + """
try:
    models.pull_all(["tiny:Q8_0"], 2, lambda name: tell)
except KeyboardInterrupt:
    print("interrupted")
"""
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that sends the first half of the model and then waits."""
    with used_hub(monkeypatch) as hub:
        hub.repo("org/repo", {"m.gguf": DATA})
        hub.faults["m.gguf"].append(Fault(slow_after=HALF))
        yield hub


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    """Wait until a process has printed a line."""
    for told in process.stdout or ():
        if told.strip() == line:
            return
    raise AssertionError(f"the process ended before it said {line!r}")


def test_after_kill_9_the_next_process_asks_for_the_rest_only(tmp_path: Path, hub: Hub) -> None:
    """What the killed one had written is hashed and kept; nothing had the final name in between."""
    with start(PULL, tmp_path / "models") as process:
        wait_for(process, f"downloading {NAME} {HALF}")
        os.kill(process.pid, signal.SIGKILL)
    assert files_in(tmp_path / "models") == DRAFT
    assert not (tmp_path / "llmbench.lock").exists()
    assert not store(tmp_path, SOURCE).entries()[0].present
    assert store(tmp_path, SOURCE).ensure(NAME).sha256 == SHA256
    assert hub.ranges() == ["", f"bytes={HALF}-"]
    assert files_in(tmp_path / "models") == LANDED


def test_of_two_processes_one_downloads(tmp_path: Path, hub: Hub) -> None:
    """The other waits, and takes what the first has brought."""
    with start(PULL, tmp_path / "models") as first:
        wait_for(first, f"downloading {NAME} {HALF}")
        with start(PULL, tmp_path / "models") as second:
            wait_for(second, f"{NAME}: waiting for another process 0")
            hub.release.set()
            told = [process.communicate(timeout=60) for process in (first, second)]
    assert [(out.splitlines()[-1], errors) for out, errors in told] == [(SHA256, "")] * 2
    assert hub.ranges() == [""]


def test_the_process_that_waits_takes_over_from_a_killed_one(tmp_path: Path, hub: Hub) -> None:
    """From the byte on that the killed one had reached."""
    with start(PULL, tmp_path / "models") as first:
        wait_for(first, f"downloading {NAME} {HALF}")
        with start(PULL, tmp_path / "models") as second:
            wait_for(second, f"{NAME}: waiting for another process 0")
            os.kill(first.pid, signal.SIGKILL)
            out, errors = second.communicate(timeout=60)
    assert (out.splitlines()[-1], errors) == (SHA256, "")
    assert hub.ranges() == ["", f"bytes={HALF}-"]


def test_ctrl_c_keeps_what_has_arrived(tmp_path: Path, hub: Hub) -> None:
    """Whoever pulls again goes on from there."""
    with start(PULL, tmp_path / "models") as process:
        wait_for(process, f"downloading {NAME} {HALF}")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert files_in(tmp_path / "models") == DRAFT


def test_ctrl_c_ends_parallel_pulls_too(tmp_path: Path, hub: Hub) -> None:
    """Within seconds, though a server has fallen silent; what has arrived is kept."""
    with start(PULL_ALL, tmp_path / "models") as process:
        wait_for(process, f"downloading {NAME} {HALF}")
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert (out.splitlines()[-1], errors) == ("interrupted", "")
    assert files_in(tmp_path / "models") == DRAFT


def test_a_disk_that_fills_up_is_told_and_gets_its_room_back(tmp_path: Path, hub: Hub) -> None:
    """The half model is removed: the room is needed more elsewhere."""
    hub.faults.clear()
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({HALF}, {HALF}))\n" + PULL
    out, errors = start(limited, tmp_path / "models").communicate(timeout=60)
    assert errors == ""
    assert f"{Category.LOCAL_DISK_FULL} cannot write to the models folder" in out
    assert "hint: free some space, or set LLMBENCH_MODELS_DIR" in out
    assert files_in(tmp_path / "models") == []


def test_an_unfinished_download_of_another_model_is_kept_for_a_week(tmp_path: Path, hub: Hub) -> None:
    """Other rubbish that a killed process left goes at once."""
    hub.faults.clear()
    for name, age_s in (("young-Q4_0", 6 * 86400), ("old-Q4_0", 8 * 86400)):
        folder = tmp_path / "models" / ".work" / name
        folder.mkdir(parents=True)
        for file in (f"{name}.gguf.part", f"{name}.gguf.part.json", "rubbish"):
            (folder / file).write_text("{}")
        written = folder.stat().st_mtime - age_s
        for path in (*folder.iterdir(), folder):
            os.utime(path, (written, written))
    store(tmp_path, SOURCE).pull(NAME)
    kept = [f".work/young-Q4_0/young-Q4_0.gguf{end}" for end in (".part", ".part.json")]
    assert files_in(tmp_path / "models") == [*kept, *LANDED]


@pytest.mark.slow
def test_kills_at_any_moment_lose_no_byte(tmp_path: Path, hub: Hub) -> None:
    """Twenty processes are killed at random moments of one download; each asks for what the ones before did not get."""
    random = Random(20)
    hub.faults["m.gguf"].clear()
    hub.faults["m.gguf"].extend(Fault(slow_after=len(DATA) // 20) for _ in range(20))
    part, had = tmp_path / "models" / DRAFT[0], [0]
    for _ in range(20):
        with start(PULL, tmp_path / "models") as process:
            wait_for(process, f"downloading {NAME} {had[-1]}")
            clock_wait(random.uniform(0, 0.02))
            os.kill(process.pid, signal.SIGKILL)
        had.append(part.stat().st_size if part.exists() else 0)
        assert not (tmp_path / "models" / LANDED[0]).exists()
    assert store(tmp_path, SOURCE).pull(NAME).sha256 == SHA256
    assert had == sorted(had)
    assert hub.ranges() == ["" if size == 0 else f"bytes={size}-" for size in had]


def clock_wait(seconds: float) -> None:
    """A pause of our own; the product's clock does not wait here."""
    threading.Event().wait(seconds)


def test_ctrl_c_leaves_a_pull_the_time_to_end(tmp_path: Path) -> None:
    """`Thread.join` would take a thread for ended as soon as Ctrl-C interrupts it."""
    ended, main = threading.Event(), threading.get_ident()

    def pull(_name: str, tell: Progress) -> ModelFile:
        try:
            signal.pthread_kill(main, signal.SIGINT)
            while True:
                tell(0, None, "downloading")
        finally:
            threading.Event().wait(0.3)
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        in_parallel(["one"], 1, pull, lambda _name: lambda *_: None)
    assert ended.is_set()


def test_who_waits_for_another_process_can_be_stopped(tmp_path: Path) -> None:
    """It is asked again and again whether it is still to wait."""
    holder, asked = FileLock(tmp_path / "lock", thread_local=False), []

    def on_wait() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise KeyboardInterrupt

    holder.acquire()
    # A failure would be a test that hangs, were the lock never free.
    release = threading.Timer(20, holder.release)
    release.start()
    with pytest.raises(KeyboardInterrupt):
        model_folder.take(FileLock(tmp_path / "lock"), on_wait)
    release.cancel()
    holder.release()
