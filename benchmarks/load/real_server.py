"""Real llama.cpp servers for the benchmarks: plain processes of their own, ended by their pid."""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from pytest_llmbench import clock, config
from pytest_llmbench.clients import Endpoint
from pytest_llmbench.models.model_store import ModelStore, default_folder
from pytest_llmbench.records import ModelFile, ServerSpec
from pytest_llmbench.secret import Secret
from pytest_llmbench.servers import embedded

MODEL = "smollm2-135m:Q4_1"
LOAD_TIMEOUT_S = 60


def small_model() -> ModelFile:
    """SmolLM2-135M, fetched where it is missing."""
    folder = Path(os.environ.get("LLMBENCH_MODELS_DIR") or default_folder())
    return ModelStore(folder, config.load(None).models, offline=False).ensure(MODEL)


@contextmanager
def embedded_server(threads: int = 1) -> Iterator[tuple[Endpoint, int]]:
    """The embedded engine with the small model: its address and pid."""
    spec = ServerSpec(small_model(), context=2048, threads=threads)
    with serving(embedded.arguments(spec)) as served:
        yield served


@contextmanager
def serving(command: Sequence[str]) -> Iterator[tuple[Endpoint, int]]:
    """The server of a command line: its address and pid."""
    key = secrets.token_hex(16)
    environment = {**os.environ, "LLAMA_API_KEY": key}
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch, "server.log")
        with (
            log.open("wb") as output,
            subprocess.Popen(command, stdout=output, stderr=output, env=environment) as process,
        ):
            try:
                address = _address_in(log, process)
                yield Endpoint(base_url=address, api_key=Secret(key), model_id=MODEL, name=MODEL), process.pid
            finally:
                process.kill()


def _address_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the server listens: the system chose the port. What it logs of it may be mixed with other lines."""
    begun_at = clock.monotonic()
    while process.poll() is None and clock.monotonic() - begun_at < LOAD_TIMEOUT_S:
        if "listening on http" in log.read_text(errors="replace"):
            sockets = psutil.Process(process.pid).net_connections(kind="tcp")
            [port] = {each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN}
            return f"http://127.0.0.1:{port}"
        clock.sleep(0.05)
    raise SystemExit(f"the server did not start:\n{log.read_text(errors='replace')}")
