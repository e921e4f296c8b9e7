"""The CPU against a graphics card on the same model: two sets of settings, normal records, one comparison.

The engine is a script that lists a card and is five times as fast where layers lie on it; NVML is a replayed trace.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
from engine_scripts import script
from recorded_nvml import Replay
from served_sessions import session_in, stored
from test_gpu_memory import LISTED, WITH_DEVICES, lists

from pytest_llmbench.benching import run_bench
from pytest_llmbench.records import Measurement, ModelFile, Run
from pytest_llmbench.reports import html_report, json_report, terminal
from pytest_llmbench.reports.rows import model_row
from pytest_llmbench.reports.terminal_advice import standing_lines
from pytest_llmbench.results.recommend import recommendations
from pytest_llmbench.results.recommendations import Constraints
from pytest_llmbench.serving import local_model
from pytest_llmbench.session import Session

QUICK_ON_A_CARD = """
import time
_slowly = time.sleep
if sys.argv[sys.argv.index("--n-gpu-layers") + 1] != "0":
    time.sleep = lambda seconds: _slowly(seconds / 5)
"""
MIB = 1 << 20


def engine(folder: Path, devices: str) -> str:
    """A llama-server that lists these devices."""
    before = lists(devices) + (QUICK_ON_A_CARD if "CUDA0" in devices else "")
    return str(script(folder, serves=True, help_text=WITH_DEVICES, before=before, pause_s=0.006))


def bench(session: Session, gpu_layers: int, rounds: int = 2) -> Measurement:
    model = local_model(session, "smollm2-135m:Q4_1", gpu_layers=gpu_layers)
    return run_bench(session, model, "interactive", {"rounds": rounds, "output_tokens": 40, "prompts": ["a", "b", "c"]})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, smollm2: ModelFile) -> Run:
    """Both, in one run on a machine with a card."""
    folder = tmp_path_factory.mktemp("project")
    server: list[int | None] = [None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pynvml", Replay(pid=lambda: server[0]).module())
        options = {"engine": "llama-server", "llama_server": engine(folder, LISTED), "monitor_interval_s": "0.2"}
        with session_in(folder, calibrate="false", **options) as session:
            bench(session, 0)
            server[0] = local_model(session, "smollm2-135m:Q4_1", gpu_layers=99).server().pid
            bench(session, 99)
            run = stored(session)
    # Others on the machine that runs these tests are no matter of theirs.
    measured = [
        dataclasses.replace(m, repetitions=tuple(dataclasses.replace(r, dirty="") for r in m.repetitions))
        for m in run.measurements
    ]
    return dataclasses.replace(run, measurements=measured)


@pytest.mark.slow
def test_both_are_measured_by_the_same_records_and_the_card_has_a_peak(run: Run) -> None:
    """The one on the CPU has none: not measured, which is not 0."""
    cpu, card = run.measurements
    assert [m.settings["subject"]["gpu_layers"] for m in (cpu, card)] == [0, 99]
    assert card.decode_tps.median > 2 * cpu.decode_tps.median
    assert not cpu.peak_vram_bytes
    assert card.peak_vram_bytes.p50 > 300 * MIB
    assert model_row(cpu).peak_vram_bytes is None
    assert model_row(card).peak_vram_bytes == card.peak_vram_bytes.p50
    assert not [note for note in card.notes if "GPU" in note]


def test_the_card_against_the_cpu_is_one_of_the_comparisons(run: Run) -> None:
    """With its interval, and the CPU as what it is compared with."""
    rows = [row for row in recommendations(run).comparisons if row.sentence.startswith("graphics card against CPU: ")]
    speed = next(row for row in rows if row.metric == "decode_tps")
    assert speed.verdict == "better"
    assert speed.value is not None
    assert speed.value > 1
    assert speed.reference != speed.configuration


@pytest.mark.slow
def test_layers_that_did_not_get_to_a_card_are_said_so_and_compared_with_nothing(
    tmp_path: Path, smollm2: ModelFile
) -> None:
    """Both ran on the CPU: a comparison would be one of it with itself."""
    options = {"engine": "llama-server", "llama_server": engine(tmp_path, "Available devices:\n  (none)\n")}
    with session_in(tmp_path, calibrate="false", **options) as session:
        bench(session, 0, rounds=1)
        card = bench(session, 99, rounds=1)
        run = stored(session)
    assert any(note.startswith("no GPU: 99 layers were to go to a graphics card") for note in card.notes)
    assert not card.peak_vram_bytes
    assert not [row for row in recommendations(run).comparisons if "graphics card" in row.sentence]


def test_a_machine_without_a_card_says_so_in_every_report_and_shows_no_zeros(run: Run) -> None:
    """Terminal, page and JSON; what was not measured is null, and no reading of a card is there at all."""
    without = dataclasses.replace(run, host=dataclasses.replace(run.host, gpus=(), gpu_note="NVML not present"))
    without = dataclasses.replace(without, measurements=[run.measurements[0]])
    text = "\n".join("".join(part for part, _ in line) for line in terminal.summary(without))
    assert "no GPU seen" in text
    assert "graphics memory" not in text
    page = html_report.render(without)
    assert "no GPU seen (NVML not present)" in page
    told = json.loads(json_report.render(without))
    assert told["models"][0]["peak_vram_bytes"] is None
    assert told["run"]["host"]["gpus"] == []


def test_the_graphics_memory_of_a_card_is_shown_where_it_was_measured(run: Run) -> None:
    """Beside the model that used it."""
    text = "\n".join("".join(part for part, _ in line) for line in terminal.summary(run))
    assert text.count("graphics memory") == 1
    assert "NVIDIA RTX A2000 12GB" in text


def test_the_memory_of_the_card_is_bounded_by_itself(run: Run) -> None:
    """Too much for the card leaves out the one that lies there, and says so; the one on the CPU takes none of it."""
    small = recommendations(run, Constraints(max_vram_bytes=100 * MIB))
    [left] = small.left_out
    assert left.reason.startswith("it takes ")
    assert left.reason.endswith("of graphics memory, and 100 MiB are allowed")
    assert [each.vram_bytes for each in small.standings] == [0.0]
    assert not recommendations(run, Constraints(max_vram_bytes=64 << 30)).left_out


def test_the_advice_has_a_column_of_the_card_only_where_one_was_used(run: Run) -> None:
    """With "none" for who used none; a machine without a card has no such column."""
    told = ["".join(part for part, _ in line) for line in standing_lines(recommendations(run), 80)]
    assert told[0].split()[-1] == "graphics"
    assert told[1].endswith("none")
    assert told[2].endswith("GiB")
    without = dataclasses.replace(run, measurements=[run.measurements[0]])
    assert "graphics" not in "".join(part for line in standing_lines(recommendations(without), 80) for part, _ in line)
