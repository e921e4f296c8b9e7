"""`llmbench recommend`: reads a stored run, for people and for programs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from advice_runs import a_run, chat, exam, share_right

from pytest_llmbench.cli import main
from pytest_llmbench.cli.recommend_verbs import RECOMMEND_VERBS
from pytest_llmbench.cli.values import memory_size
from pytest_llmbench.header import new_run
from pytest_llmbench.records import Measurement
from pytest_llmbench.reports.terminal_advice import advice_in_full, advice_lines
from pytest_llmbench.results.recommend import recommendations
from pytest_llmbench.results.recommendations import Advice
from pytest_llmbench.results.uses import USES
from pytest_llmbench.store import Store


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one stored run of two models, that never ended."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    monkeypatch.chdir(tmp_path)
    measured = (
        chat("fast:Q4_0", 90, memory=200e6),
        exam("fast:Q4_0", share_right(0.3, 100)),
        chat("good:Q8_0", 40, memory=500e6),
        exam("good:Q8_0", [True] * 100),
    )
    folder = tmp_path / ".llmbench"
    folder.mkdir()
    with Store.open(folder / "results.db") as store:
        store.ensure_run(new_run("r1", tmp_path, ["llmbench"], {}, {"machine": {"watts": "50"}}))
        for each in measured:
            _keep(store, each)
    return tmp_path


def _keep(store: Store, measured: Measurement) -> None:
    store.start_measurement("r1", measured)
    for repetition in measured.repetitions:
        store.save_repetition(measured.id, repetition)
    store.finish_measurement(measured)


def test_a_sentence_a_use_with_evidence_and_reasons(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """People read what to run, with what it was chosen by, and why not the other."""
    assert main(["recommend"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "quality work" in told
    assert "good:Q8_0: surely ahead of fast:Q4_0 in right answers" in told
    assert "100 % of 100 questions" in told
    assert "tokens a joule (50 W, given in llmbench.yaml)" in told


def test_programs_get_the_whole_advice_as_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One use, with its constraints, and the record reads back."""
    assert main(["recommend", "last", "--use", "chat", "--max-memory", "0.25GiB", "--min-tps", "15", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["run"] == "r1"
    advice = Advice.from_dict(told)
    assert [each.configuration for each in advice.picks] == ["fast:Q4_0"]
    assert [each.configuration for each in advice.left_out] == ["good:Q8_0"]


def test_an_unknown_use_ends_with_the_known_ones(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The hint lists what there is."""
    assert main(["recommend", "--use", "chats"]) == 4
    assert "uses: chat, long_documents, batch, quality, unattended" in capsys.readouterr().err


def test_the_help_names_every_use() -> None:
    """The list in the help is written out, as importing the uses would slow every help down."""
    said = next(each.help for each in RECOMMEND_VERBS[0].arguments if "--use" in each.names)
    assert said.partition(": ")[2].split(", ") == [name.replace("_", "-") for name in USES]


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GiB", 8 << 30), ("512 MiB", 512 << 20), ("8GB", 8 * 10**9), ("1.5gib", 3 << 29), ("4096", 4096)],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    """Binary and decimal units, with or without a blank."""
    assert memory_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GiB", "8 bananas", "0GiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(argparse.ArgumentTypeError, match="8GiB"):
        memory_size(text)


def test_the_summary_tells_advice_only_where_there_was_a_choice() -> None:
    """One model: nothing; two: a line a use, and where to read on."""
    assert not list(advice_lines(recommendations(a_run(chat("a", 50))), 80))
    lines = [
        "".join(text for text, _ in line)
        for line in advice_lines(recommendations(a_run(chat("a", 50), chat("b", 90))), 80)
    ]
    assert any("chat" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)
    assert "`llmbench recommend`" in lines[-1]


def test_full_advice_keeps_to_the_width() -> None:
    """Tables and wrapped sentences fit 80 columns."""
    run = a_run(chat("a:Q8_0", 50), chat("a:Q4_0", 90), exam("a:Q8_0", [True] * 60), exam("a:Q4_0", [False] * 60))
    lines = ["".join(text for text, _ in line) for line in advice_in_full(recommendations(run), 80)]
    assert all(len(line) <= 80 for line in lines)
    assert any(line.startswith("beware") for line in lines)
