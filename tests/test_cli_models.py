"""`llmbench models`, with a real GGUF file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from gguf_samples import gguf
from terminals import as_written, on_a_terminal

from pytest_llmbench.cli import main, screen
from pytest_llmbench.errors import ExitCode


@pytest.fixture
def folder(tmp_path, monkeypatch, smollm2) -> Path:
    """A project that knows the real model as `mine:Q4_1`, with a model folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "llmbench.yaml").write_text(
        f"models:\n  mine: {{quants: {{Q4_1: {{source: {smollm2.path}}}}}}}\n"
        "  far: {quants: {Q8_0: {source: 'pypi:a-package==1.0'}}}\n"
    )
    monkeypatch.setenv("LLMBENCH_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path


def test_list_tells_what_is_here(folder, capsys):
    """The user's models and the built-in ones."""
    assert main(["models", "list"]) == ExitCode.OK
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert re.search(r"here +98\.4 MB +path:/", rows["mine:Q4_1"])
    assert re.search(r"not fetched +– +pypi:a-package==1\.0", rows["far:Q8_0"])
    assert "smollm2-135m:Q4_1" in rows


def test_list_as_json(folder, capsys):
    """For programs: what is not known is null."""
    assert main(["models", "list", "--json"]) == ExitCode.OK
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert (entries["far:Q8_0"]["present"], entries["far:Q8_0"]["size_bytes"]) == (False, None)
    assert entries["mine:Q4_1"]["present"] is True


def test_show_prints_the_files_header(folder, smollm2, capsys):
    """Where it is, what it hashes to, what it says about itself."""
    assert main(["models", "show", "mine:Q4_1"]) == ExitCode.OK
    rows = dict(re.split(r" {2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["path"] == smollm2.path
    assert rows["sha256"] == smollm2.sha256
    assert rows["quantization"] == "Q4_1"
    assert rows["kind"] == "with a chat template"
    assert rows["general.architecture"] == "llama"
    assert rows["llama.context_length"] == "8192"
    assert len(rows["tokenizer.chat_template"]) < 250


def test_show_as_json_keeps_numbers(folder, capsys):
    """And takes the path of a file for a name."""
    assert main(["models", "show", "mine:Q4_1", "--json"]) == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown["metadata"]["llama.context_length"] == 8192
    assert shown["file"]["name"] == "mine:Q4_1"


def test_show_of_a_hostile_header_does_not_steer_the_terminal(folder, capsys):
    """Metadata is a stranger's text."""
    import gguf

    path = folder / "evil.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("\x1b]0;owned\x07\u202eevil")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for words in (["models", "show", str(path)], ["models", "show", str(path), "--json"]):
        assert main(words) == ExitCode.OK
        text = capsys.readouterr().out
        assert "owned" in text
        assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_pull_of_a_model_that_is_here_fetches_nothing(folder, smollm2, capsys):
    """It says where the file is."""
    assert main(["models", "pull", "--offline", "mine:Q4_1"]) == ExitCode.OK
    assert capsys.readouterr().out == f"mine:Q4_1  98.4 MB  {smollm2.path}\n"


def test_pull_checks_all_names_first(folder, capsys):
    """A typo in the second name is told before the first is fetched."""
    assert main(["models", "pull", "far:Q8_0", "smolm2-135m:Q4_1"]) == ExitCode.USAGE
    assert "smollm2-135m:Q4_1" in capsys.readouterr().err


def test_pull_offline_ends_with_exit_code_1(folder, capsys):
    """The file is missing and may not be fetched: nothing is wrong with the command."""
    assert main(["models", "pull", "far:Q8_0", "--offline"]) == ExitCode.TESTS_FAILED
    assert "offline" in capsys.readouterr().err


def test_show_of_a_model_that_is_not_here_tells_the_command(folder, capsys):
    """What to type next stands in the hint."""
    assert main(["models", "show", "far:Q8_0"]) == ExitCode.TESTS_FAILED
    assert "llmbench models pull far:Q8_0" in capsys.readouterr().err


def test_quantize_makes_a_file_that_says_what_it_was_made_from(folder, capsys):
    """Wherever it is named; progress goes to standard error, a line at every tenth."""
    assert main(["models", "quantize", "mine:Q4_1", "q4_0"]) == ExitCode.OK
    said = capsys.readouterr()
    assert said.out.startswith("mine:Q4_0 (requantized from Q4_1)  ")
    assert re.search(r"making mine:Q4_0 100 % of ", said.err)
    assert len(said.err.splitlines()) <= 12
    main(["models", "list"])
    assert "mine:Q4_0 (requantized from Q4_1)  here" in capsys.readouterr().out


def test_quantize_refuses_what_cannot_be_made(folder, capsys):
    """With what can."""
    assert main(["models", "quantize", "mine:Q4_1", "Q3_K_M"]) == ExitCode.USAGE
    assert "Q8_0, Q5_0, Q4_0" in capsys.readouterr().err


def test_a_terminal_gets_a_bar(folder):
    """With name, share and time left, redrawn in place."""
    said = as_written(
        "from pytest_llmbench.cli import screen\n"
        "with screen.progress() as update:\n"
        "    update(0, 1000, 'fetching [b]x'); update(1000, 1000, 'fetching [b]x')"
    )
    assert "fetching [b]x" in said
    assert "━" in said
    assert "1.0/1.0 kB" in said


MODELS_LIST = "import sys\nfrom pytest_llmbench.cli import main\nsys.exit(main(['models', 'list']))"


def test_a_terminal_gets_a_coloured_table(folder):
    """Bold heads."""
    said = as_written(MODELS_LIST)
    assert "\x1b[1m" in said
    assert "mine:Q4_1" in said


def test_a_terminal_of_80_columns_gets_a_line_a_model(folder):
    """Only the sources are cut."""
    lines = on_a_terminal(MODELS_LIST)
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines] == [
        "model",
        "far:Q8_0",
        "gemma3-270m:Q4_K_M",
        "mine:Q4_1",
        "smollm2-135m:Q4_1",
    ]
    assert "pypi:a-package==1.0" in lines[1]
    assert re.search(r" path:/\S+…$", lines[3].rstrip())


def test_base_models_are_told_as_such(folder, capsys):
    """Where a header has no chat template, list and show say what that makes of the model."""
    base = folder / "base.gguf"
    base.write_bytes(gguf())
    (folder / "llmbench.yaml").write_text(f"models: {{base: {{quants: {{Q8_0: {{source: {base}}}}}}}}}\n")
    assert main(["models", "list"]) == ExitCode.OK
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "here (base model)" in rows["base:Q8_0"]
    assert main(["models", "show", "base:Q8_0"]) == ExitCode.OK
    assert re.search(r"^kind +base model, no chat template$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    ("count", "text"), [(None, "–"), (0, "0 B"), (99_949, "99.9 kB"), (98_362_432, "98.4 MB"), (2 * 10**9, "2.00 GB")]
)
def test_sizes_are_told_as_people_read_them(count, text):
    """What is not known is a dash, not 0."""
    assert screen.size(count) == text
