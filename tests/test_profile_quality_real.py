"""Quality on a real model: its requantized files are told apart by nothing, a damaged one is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from damaged_models import damaged_copy
from served_sessions import session_in
from stands import measured

from pytest_llmbench.models.quantize import requantize
from pytest_llmbench.records import Measurement, ModelFile, Table
from pytest_llmbench.session import Session

EASY = {
    "What is the capital of France? Reply with the name of the city only.": "Paris",
    "How many legs does a spider have? Reply with the number in digits only.": "8",
    "What is the chemical symbol of gold? Reply with the symbol only.": "Au",
    "Which is the largest ocean on Earth? Reply with its name only.": "Pacific Ocean | Pacific",
    "How many sides does a hexagon have? Reply with the number in digits only.": "6",
    "At how many degrees Celsius does pure water boil at sea level? Reply with the number only.": "100",
    "In which year did the Berlin Wall fall? Reply with the year only.": "1989",
    "What is the capital of Australia? Reply with the name of the city only.": "Canberra",
    "What is 9 plus 8? Reply with the number only.": "17",
    "What number comes next: 2, 4, 6, 8? Reply with the number only.": "10",
}
"""What SmolLM2-135M knows in every quantization."""

TEXT = (
    "The train to the coast leaves at nine. Whoever misses it waits for two hours, drinks a cup of coffee and reads "
    "the newspaper of the day before, which somebody has left on the bench. Nobody has ever complained about it."
)
SIX = [f"blk.{layer}.ffn_down.weight" for layer in range(10, 16)]


def easy_questions(folder: Path) -> str:
    rows = [{"prompt": prompt, "answer": answer} for prompt, answer in EASY.items()]
    file = folder / "easy.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def as_q8_0(smollm2: ModelFile, folder: Path) -> str:
    """The model made into Q8_0 by our own quantizer."""
    made = folder / "smollm2-135m-Q8_0.gguf"
    requantize(Path(smollm2.path), made, "Q8_0", "Q4_1", lambda _done, _total: None)
    return str(made)


def a_table(measurement: Measurement, name: str) -> Table:
    return next(table for table in measurement.tables if table.name == name)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with session_in(tmp_path, retakes="0") as session:
        yield session


@pytest.mark.slow
def test_a_damaged_file_is_flagged_and_a_requantized_one_is_not(
    session: Session, smollm2: ModelFile, tmp_path: Path
) -> None:
    """The damaged one loads and looks well, and six of its tensors hold noise. The reference is found by itself."""
    damaged = damaged_copy(Path(smollm2.path), tmp_path / "smollm2-135m-Q4_0.gguf", SIX)
    choices = {"questions": easy_questions(tmp_path), "output_tokens": 16, "logprob_text": TEXT}
    measured(session, as_q8_0(smollm2, tmp_path), "quality", **choices)
    whole, broken = (measured(session, name, "quality", **choices) for name in (smollm2.name, str(damaged)))
    assert whole.scalars["accuracy"] >= 0.8
    assert whole.scalars["degraded"] == 0
    assert "smollm2-135m-Q8_0.gguf (requantized from Q4_1) no difference detectable (" in whole.sentence
    assert "smallest detectable change" in whole.sentence
    assert 0.9 < whole.scalars["perplexity_ratio"] < 1.1
    tokens = len(whole.where(part="text"))  # each forced, however unlikely: none is left out
    assert a_table(whole, "text_against_reference").rows[0][1] == len(whole.series("token_logprob")) == tokens > 30
    assert broken.scalars["degraded"] == 1
    assert "significantly worse against" in broken.sentence
    assert broken.sentence.endswith(": worse")


@pytest.mark.slow
def test_one_damaged_tensor_shows_in_a_short_text_when_answers_cannot_show_it(
    session: Session, smollm2: ModelFile, tmp_path: Path
) -> None:
    """One of 272 tensors is noise: three questions tell nothing, two hundred tokens do."""
    damaged = damaged_copy(Path(smollm2.path), tmp_path / "damaged.gguf", ["blk.20.ffn_down.weight"])
    choices = {"questions": easy_questions(tmp_path), "output_tokens": 16, "items": 3}
    measured(session, smollm2.name, "quality", **choices)
    broken = measured(session, str(damaged), "quality", reference=smollm2.name, **choices)
    assert broken.scalars["degraded"] == 0
    assert broken.scalars["perplexity_ratio"] > 1.2
    assert a_table(broken, "text_against_reference").rows[0][-1] == "worse"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_shipped_questions_tell_damage_from_requantizing(
    session: Session, smollm2: ModelFile, tmp_path: Path
) -> None:
    """Sixty of them, on the whole file, its requantized copy and a damaged one."""
    damaged = damaged_copy(Path(smollm2.path), tmp_path / "smollm2-135m-Q4_0.gguf", SIX)
    choices = {"output_tokens": 64, "items": 60}
    measured(session, as_q8_0(smollm2, tmp_path), "quality", **choices)
    whole = measured(session, smollm2.name, "quality", **choices)
    broken = measured(session, str(damaged), "quality", **choices)
    assert whole.scalars["degraded"] == 0
    assert "no difference detectable" in whole.sentence
    assert broken.scalars["degraded"] == 1
    assert "significantly worse against" in broken.sentence
