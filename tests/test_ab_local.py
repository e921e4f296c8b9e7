"""A against B with the real engine: a fresh server for each block, CPU time per token, and a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from engine_scripts import script

from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import ModelFile
from pytest_llmbench.store import Store

MODEL = "smollm2-135m:Q4_1"


@pytest.mark.slow
def test_a_model_is_not_called_slower_than_itself_and_has_a_fresh_server_for_each_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], models_folder: Path
) -> None:
    """SmolLM2 A/A by all four metrics, on whatever machine; every block has a server of its own, and none stays."""
    monkeypatch.chdir(tmp_path)
    words = ["--pairs", "8", "--requests", "1", "--tokens", "8", "--context", "512", "--threads", "1", "--json"]
    code = main(["ab", MODEL, MODEL, *words, "--models-dir", str(models_folder)])
    told = json.loads(capsys.readouterr().out)
    assert (code, told["verdict"] == "fail") == (ExitCode.OK, False), told["sentence"]
    with Store.open(tmp_path / ".llmbench" / "results.db") as store:
        run = store.load_run(told["run"])
    for measurement in run.measurements:
        servers = [measurement.server, *measurement.server["earlier"]]
        assert len({(server["pid"], server["started_at"]) for server in servers}) >= told["pairs"]
        assert all(not Path(f"/proc/{server['pid']}").exists() for server in servers)
        assert measurement.scalars["peak_rss_bytes"] > 50e6
        assert {gate.metric for gate in run.gates} == {"cpu_s_per_token", "decode_tps", "prompt_tps", "ttft_s"}
        assert len(measurement.series("cpu_s_per_token")) == told["pairs"]


@pytest.mark.slow
def test_a_build_that_computes_twice_as_much_a_token_is_called_slower(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    smollm2: ModelFile,
    models_folder: Path,
) -> None:
    """Two programs that pass for llama-server, the new one with a loop in it; both in one run, each under its name."""
    monkeypatch.chdir(tmp_path)
    binaries = []
    for name, burnt_s in (("old", 0.001), ("new", 0.003)):
        (tmp_path / name).mkdir()
        binaries.append(script(tmp_path / name, serves=True, before=_BURN.format(burnt_s=burnt_s)))
    which = [word for side, path in zip("ab", binaries, strict=True) for word in (f"--llama-server-{side}", str(path))]
    words = [
        "--context",
        "512",
        "--pairs",
        "8",
        "--requests",
        "1",
        "--metric",
        "cpu_s_per_token",
        "--models-dir",
        str(models_folder),
    ]
    code = main(["ab", smollm2.name, smollm2.name, *which, *words, "--json", "--calibrate=false"])
    told = json.loads(capsys.readouterr().out)
    assert (code, told["verdict"]) == (ExitCode.GATE_FAILED, "fail"), told["sentence"]
    with Store.open(tmp_path / ".llmbench" / "results.db") as store:
        run = store.load_run(told["run"])
    assert [measurement.server["binary"] for measurement in run.measurements] == list(map(str, binaries))
    assert told["b"] == f"{smollm2.name} by {binaries[1]}"


_BURN = """
import time
def burn(_seconds):
    end = time.thread_time() + {burnt_s}
    while time.thread_time() < end:
        pass
time.sleep = burn
"""
