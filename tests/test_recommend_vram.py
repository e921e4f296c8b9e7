"""Memory of graphics cards in the advice: bounded by itself, counted where weights lie, never guessed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from advice_runs import a_run, chat, exam
from foreign_servers import LocalAi, Ollama, serving
from served_sessions import session_in, stored
from stands import measured

from pytest_llmbench.cli import main
from pytest_llmbench.records import Measurement
from pytest_llmbench.results.candidates import candidates
from pytest_llmbench.results.recommend import recommendations
from pytest_llmbench.results.recommendations import Advice, Constraints

GIB = 1 << 30


def on_card(model: str, tps: float, *, memory: float, vram: float | None) -> Measurement:
    """A measurement of a model whose layers lie on a card; None: nobody told how much they take there."""
    found = chat(model, tps, memory=memory, subject={"gpu_layers": 99})
    return found if vram is None else replace(found, scalars={**found.scalars, "peak_vram_bytes": vram})


def chosen(advice: Advice) -> str:
    return advice.picks[0].configuration


def reasons(advice: Advice) -> dict[str, str]:
    return {each.configuration: each.reason for each in advice.left_out}


def test_weights_on_a_card_count_against_its_memory_alone() -> None:
    """The one on the card keeps a bound of main memory that the one on the CPU misses, and the other way round."""
    run = a_run(on_card("card", 90, memory=1 * GIB, vram=6 * GIB), chat("cpu", 30, memory=5 * GIB))
    little_main = recommendations(run, Constraints("chat", max_memory_bytes=2 * GIB))
    assert chosen(little_main) == "card"
    assert reasons(little_main) == {"cpu": "it takes 5.0 GiB of memory, and 2.0 GiB are allowed"}
    little_card = recommendations(run, Constraints("chat", max_vram_bytes=4 * GIB))
    assert chosen(little_card) == "cpu"
    assert reasons(little_card) == {"card": "it takes 6.0 GiB of graphics memory, and 4.0 GiB are allowed"}
    neither = recommendations(run, Constraints("chat", max_memory_bytes=2 * GIB, max_vram_bytes=4 * GIB))
    assert chosen(neither) == ""


def test_what_nobody_told_is_left_out_and_not_taken_for_none() -> None:
    """Layers that lie on a card whose memory was not read; without a bound it is recommended all the same."""
    run = a_run(on_card("card", 90, memory=GIB, vram=None), chat("cpu", 30))
    bounded = recommendations(run, Constraints("chat", max_vram_bytes=64 * GIB))
    assert reasons(bounded) == {"card": "its peak graphics memory was not measured"}
    assert chosen(recommendations(run)) == "card"


def test_layers_that_stayed_on_the_cpu_take_nothing_of_a_card() -> None:
    """The measurement's note says that the engine found none."""
    stayed = replace(on_card("card", 90, memory=GIB, vram=None), notes=("no GPU: 99 layers were to go to a card",))
    assert not recommendations(a_run(stayed, chat("cpu", 30)), Constraints(max_vram_bytes=1)).left_out


def test_who_takes_more_of_either_memory_is_not_ahead() -> None:
    """A card is as good, faster, and takes less main memory: the CPU stays on the front, as it needs no card."""
    right = [True] * 100
    run = a_run(
        on_card("card", 90, memory=1 * GIB, vram=6 * GIB), exam("card", right), chat("cpu", 30, memory=5 * GIB),
        exam("cpu", right),
    )  # fmt: skip
    advice = recommendations(run)
    assert set(advice.front) == {"card", "cpu"}
    assert advice.uses_graphics
    assert not recommendations(a_run(chat("a", 50), chat("b", 60))).uses_graphics


@pytest.mark.parametrize(
    ("server", "memory", "vram"),
    [(Ollama(on_card=True), 6e8, 2.4e9), (Ollama(loaded=True), 3e9, 0.0), (LocalAi(), 7e8, 9e8)],
    ids=["ollama on a card", "ollama on the cpu", "localai"],
)
def test_servers_of_others_tell_how_much_lies_where(tmp_path: Path, server: Any, memory: float, vram: float) -> None:
    """Of Ollama's whole, what lies on the card is no main memory; LocalAI tells its process by itself."""
    with serving(server):
        (tmp_path / "llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{server.url}'}}\n")
        with session_in(tmp_path, calibrate="false") as session:
            measured(session, f"lab/{server.model}", "interactive", rounds=1, prompts=("One.",), output_tokens=8)
            [candidate] = candidates(stored(session))
    assert (candidate.memory_bytes(), candidate.vram_bytes()) == (memory, vram)


def test_the_bound_is_a_flag_of_recommend(capsys: pytest.CaptureFixture[str]) -> None:
    """Read as other sizes are."""
    assert main(["recommend", "--max-vram", "bananas"]) == 4
    assert "8GiB" in capsys.readouterr().err
