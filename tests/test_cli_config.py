"""`llmbench config` and how a project is found outside of pytest."""

from __future__ import annotations

import argparse
import json
import re

import pytest
from terminals import on_a_terminal

from pytest_llmbench import config
from pytest_llmbench.cli import main, project
from pytest_llmbench.cli.config import example
from pytest_llmbench.errors import ConfigError, ExitCode
from pytest_llmbench.options import OPTIONS


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A project's folder, empty but for pytest's marker file, and we stand in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def shown(capsys, *words: str) -> dict[str, dict[str, object]]:
    """What `config show --json` prints."""
    assert main(["config", "show", "--json", *words]) == ExitCode.OK
    return json.loads(capsys.readouterr().out)


def test_show_tells_where_each_value_comes_from(folder, capsys, monkeypatch):
    """All five sources, each by its name."""
    (folder / "pytest.ini").write_text("[pytest]\nllmbench_threads = 2\n")
    (folder / "llmbench.yaml").write_text("# mine\ndefaults:\n  rounds: 9\n")
    monkeypatch.setenv("LLMBENCH_CONTEXT", "512")
    values = shown(capsys, "--gpu-layers", "3")
    assert values["gpu_layers"] == {"value": 3, "source": "--llmbench-gpu-layers"}
    assert values["context"] == {"value": 512, "source": "LLMBENCH_CONTEXT"}
    assert values["threads"] == {"value": 2, "source": "pytest.ini"}
    assert values["rounds"] == {"value": 9, "source": "llmbench.yaml:3"}
    assert values["output_tokens"] == {"value": 64, "source": "default"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\naddopts = -q --llmbench-rounds=7\n  --llmbench-results-dir 'my runs'\n"),
        (
            "pyproject.toml",
            "[tool.pytest.ini_options]\naddopts = \"--llmbench-rounds 7 --llmbench-results-dir='my runs'\"\n",
        ),
        ("pyproject.toml", "[tool.pytest]\naddopts = ['--llmbench-rounds=7', '--llmbench-results-dir', 'my runs']\n"),
    ],
)
def test_show_knows_the_flags_that_pytest_adds(folder, capsys, monkeypatch, name, text):
    """`addopts` counts as typed: above the environment, below what is really typed."""
    (folder / "pytest.ini").unlink()
    (folder / name).write_text(text)
    monkeypatch.setenv("LLMBENCH_ROUNDS", "5")
    values = shown(capsys)
    assert values["rounds"] == {"value": 7, "source": f"addopts of {name}"}
    assert values["results_dir"] == {"value": "my runs", "source": f"addopts of {name}"}
    assert shown(capsys, "--rounds=8")["rounds"] == {"value": 8, "source": "--llmbench-rounds"}
    monkeypatch.setenv("PYTEST_ADDOPTS", "--llmbench-rounds=6")
    assert shown(capsys)["rounds"] == {"value": 6, "source": "PYTEST_ADDOPTS"}


@pytest.mark.parametrize("name", ["rounds", "context"])
def test_show_agrees_with_pytest_on_what_was_added(folder, pytester, monkeypatch, name):
    """The last of two wins, and the variable wins over the file."""
    pytester.makeini("[pytest]\naddopts = --llmbench-rounds=2 --llmbench-rounds 3 --llmbench-context=64")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--llmbench-context=128")
    pytester.makeconftest(f"def pytest_configure(config): print('CHOSEN', config.getoption('llmbench_{name}'))")
    arguments = argparse.Namespace(rootdir=None)
    chosen = project.resolved(arguments).origins[name].value
    pytester.runpytest_subprocess("--collect-only").stdout.fnmatch_lines([f"CHOSEN {chosen}"])


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("--llmbench-rounds 'x", "addopts of pytest.ini: cannot be split into words"),
        ("--llmbench-llama-server=/bin/true", "may not choose what is executed"),
    ],
)
def test_show_refuses_addopts_that_a_run_refuses(folder, capsys, added, message):
    """A file may not name a program to run by that way either."""
    (folder / "pytest.ini").write_text(f"[pytest]\naddopts = {added}\n")
    assert main(["config", "show"]) == ExitCode.USAGE
    assert message in capsys.readouterr().err


def test_show_fits_a_terminal_of_80_columns(folder):
    """A value is a line; only values are cut."""
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --llmbench-threads=2\n")
    lines = on_a_terminal("import sys\nfrom pytest_llmbench.cli import main\nsys.exit(main(['config', 'show']))")
    table = lines[lines.index("") + 1 :]
    assert max(map(len, table)) <= 80
    assert len(table) == 1 + len(OPTIONS) + 2 + 4 + 7 + 2 + 4 + 2, "options, models, matrix, alerts, cache, judges"
    assert any(re.fullmatch(r"threads +2 +addopts of pytest\.ini *", line) for line in table)
    assert any(re.search(r"sha256 +[0-9a-f]{20,}… +built in", line) for line in table)


def test_show_tells_where_facts_come_from(folder, capsys):
    """Models, servers and gates too: the user's line, the catalogue, or a default."""
    (folder / "llmbench.yaml").write_text(
        "servers:\n  lab: {url: 'http://x'}\nthresholds:\n  - {metric: ttft_s, max: 1}\n"
        "models:\n  smollm2-135m: {quants: {Q8_0: {source: /m.gguf}}}\n"
    )
    values = shown(capsys)
    assert values["servers.lab.url"] == {"value": "http://x", "source": "llmbench.yaml:2"}
    assert values["thresholds[0].max"]["source"] == "llmbench.yaml:4"
    assert values["thresholds[0].statistic"] == {"value": "p50", "source": "default"}
    assert values["models.smollm2-135m.quants.Q8_0.source"] == {"value": "path:/m.gguf", "source": "llmbench.yaml:6"}
    assert values["models.smollm2-135m.quants.Q4_1.source"]["source"] == "built in"


def test_show_prints_every_option_in_aligned_columns(capsys):
    """Plain text when piped: no colour, nothing cut."""
    assert main(["config", "show"]) == ExitCode.OK
    text = capsys.readouterr().out
    for option in OPTIONS:
        assert re.search(rf"^{option.name} +\S", text, re.MULTILINE)
    assert "\x1b" not in text
    assert "configuration file: none (`llmbench config init` writes an example)" in text


def test_show_refuses_a_wrong_file_with_its_line(folder, capsys):
    """The same message that a run would give."""
    (folder / "llmbench.yaml").write_text("defaults:\n  round: 9\n")
    assert main(["config", "show"]) == ExitCode.USAGE
    assert "llmbench.yaml:2: defaults.round: no such option; did you mean 'rounds'?" in capsys.readouterr().err


def test_init_writes_an_example_that_is_valid_and_changes_nothing(folder, capsys):
    """Everything in it is commented out."""
    assert main(["config", "init"]) == ExitCode.OK
    assert config.load(folder / "llmbench.yaml") == config.load(None)
    assert "wrote llmbench.yaml" in capsys.readouterr().out


def test_the_example_is_valid_with_every_line_uncommented():
    """Each part of it can be used as it stands."""
    lines = [re.sub(r"^# ?", "", line) for line in example().splitlines()]
    body = "\n".join(line for line in lines if re.match(r"( |\w+:$)", line))
    found = config.parse(body)
    assert found.models
    assert found.servers
    assert [gate.metric for gate in found.gates] == ["pass_rate", "ttft_s", "ttft_s", "decode_tps"]
    assert found.ratings
    assert found.grades
    assert set(found.defaults) == {option.name for option in OPTIONS if not option.refusal(in_yaml=True)}


def test_init_leaves_an_existing_file_alone(folder, capsys):
    """Nobody loses a configuration by asking for an example."""
    path = folder / "llmbench.yaml"
    path.write_text("defaults: {rounds: 1}\n")
    assert main(["config", "init"]) == ExitCode.USAGE
    assert path.read_text() == "defaults: {rounds: 1}\n"
    assert "exists and is left as it is" in capsys.readouterr().err


def test_init_tells_where_it_cannot_write(folder, capsys):
    """A missing folder is a mistake of the caller."""
    assert main(["config", "init", str(folder / "no" / "such" / "file.yaml")]) == ExitCode.USAGE
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


def test_schema_prints_the_schema(capsys):
    """For editors."""
    assert main(["config", "schema"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == config.json_schema()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\nllmbench_rounds = 7\n"),
        (".pytest.ini", "[pytest]\nllmbench_rounds = 7\n"),
        ("pytest.toml", "[pytest]\nllmbench_rounds = '7'\n"),
        ("pyproject.toml", "[tool.pytest.ini_options]\nllmbench_rounds = 7\n"),
        ("pyproject.toml", "[tool.pytest]\nllmbench_rounds = '7'\n"),
        ("tox.ini", "[pytest]\nllmbench_rounds = 7\n"),
        ("setup.cfg", "[tool:pytest]\nllmbench_rounds = 7\n"),
    ],
)
def test_every_file_that_pytest_reads_is_read(folder, name, text):
    """The verbs see the settings that a run sees, from any folder below."""
    (folder / "pytest.ini").unlink()
    (folder / name).write_text(text)
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    assert project.find(below) == project.Project(folder, name, {"rounds": "7"})


def test_the_project_is_the_one_that_pytest_finds(folder, pytester):
    """Same root directory, same ini file."""
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\nllmbench_rounds = 7")
    pytester.makeconftest(
        "def pytest_configure(config): print('ROOT', config.rootpath, config.getini('llmbench_rounds'))"
    )
    below = pytester.mkdir("below")
    found = project.find(below)
    result = pytester.runpytest_subprocess("--collect-only", below)
    result.stdout.fnmatch_lines([f"ROOT {found.rootdir} {found.ini['rounds']}"])


def test_a_file_without_a_section_for_pytest_is_passed_over(folder):
    """A pyproject.toml of the packager does not hide the tox.ini beside it."""
    (folder / "pytest.ini").unlink()
    (folder / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (folder / "tox.ini").write_text("[pytest]\nllmbench_rounds = 7\n")
    assert project.find(folder).ini_name == "tox.ini"
    (folder / "tox.ini").unlink()
    assert project.find(folder) == project.Project(folder)


@pytest.mark.parametrize(("name", "text"), [("pyproject.toml", "[tool"), ("tox.ini", "rounds = 7\n[pytest")])
def test_a_broken_ini_file_is_named(folder, name, text):
    """With the path and the parser's reason."""
    (folder / "pytest.ini").unlink()
    (folder / name).write_text(text)
    with pytest.raises(ConfigError, match=f"{re.escape(name)}: cannot be read"):
        project.find(folder)
