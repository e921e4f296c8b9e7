"""A name never leads out of the folder it belongs to."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
import store_samples as samples

from pytest_llmbench import config, reports
from pytest_llmbench.cli import main
from pytest_llmbench.errors import ConfigError, ExitCode, LlmbenchError
from pytest_llmbench.models import names as model_names
from pytest_llmbench.models.model_store import ModelStore
from pytest_llmbench.store import Store

ESCAPES = (
    "..",
    ".",
    "",
    "../x",
    "../../x",
    "a/../../x",
    "a/..",
    "/tmp/x",
    "//host/share",
    "~/x",
    "~root/x",
    "..\\x",
    "C:\\x",
    "\\\\host\\share",
    "%2e%2e/x",
    "..;/x",
    "x\x00y",
    "x\ny",
    "x/y",
    "．．/x",
    "\u2025/x",
    "-rf",
    ".hidden",
    "x" * 300,
)
"""What traversals of other projects looked like, and their encodings."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project two folders down, and we stand in it."""
    folder = tmp_path / "home" / "project"
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(folder)
    return folder


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _database_with(project: Path, run_id: str) -> None:
    """A results database of somebody else, whose one run has this id."""
    path = project / ".llmbench" / "results.db"
    if not path.exists():
        with contextlib.closing(Store.open(path)) as store:
            store.ensure_run(samples.run("honest", "2025-01-01T00:00:00+00:00"))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE runs SET id = ?", (run_id,))
        connection.commit()
    for kept in ("reports/honest", "logs/honest"):
        (path.parent / kept).mkdir(parents=True, exist_ok=True)
        (path.parent / kept / "precious.txt").write_text("x")


def _changed(project: Path, before: set[str]) -> set[str]:
    """What appeared or went, in the project and around it."""
    found = _files(project.parents[1]) ^ before
    return {path for path in found if "__pycache__" not in path and not Path(path).name.startswith("results.db")}


@pytest.mark.parametrize("verb", ["report last", "runs rm --yes last", "runs show last"])
def test_a_run_id_of_somebody_elses_database_is_no_path(project: Path, verb: str) -> None:
    """Reports, logs and removal go by the run's id: nothing appears, nothing goes."""
    for run_id in ESCAPES:
        _database_with(project, run_id)
        before = _files(project.parents[1])
        assert main(verb.split()) == ExitCode.USAGE, run_id
        assert _changed(project, before) == set(), run_id


@pytest.mark.parametrize("run_id", ["..", "../../x", "a/..", "/tmp/x"])
def test_a_run_with_such_an_id_is_not_resumed(project: Path, run_id: str) -> None:
    """Its logs and reports would be written there."""
    _database_with(project, run_id)
    (project / "test_x.py").write_text("def test_x(bench): pass\n")
    before = _files(project.parents[1])
    plugins_out = ["-p", "no:cacheprovider", "-p", "no:benchmark"]
    assert pytest.main(["--llmbench-resume", "last", *plugins_out, str(project)]) == ExitCode.USAGE
    assert _changed(project, before) == set()


@pytest.mark.parametrize("name", [escape for escape in ESCAPES if escape])
@pytest.mark.parametrize(
    "place", ["models:\n  {}: {{quants: {{Q8_0: {{source: 'path:x.gguf'}}}}}}", "servers:\n  {}: {{url: 'http://x'}}"]
)
def test_a_name_in_the_configuration_is_no_path(name: str, place: str) -> None:
    """Models and servers are named by a strict pattern, before anything is made of the name."""
    quoted = '"' + name.encode("unicode_escape").decode().replace("\\\\", "\\\\").replace('"', '\\"') + '"'
    with pytest.raises(ConfigError):
        config.parse(place.format(quoted))


@pytest.mark.parametrize("name", [escape for escape in ESCAPES if escape])
def test_a_quantization_in_the_configuration_is_no_path(name: str) -> None:
    quoted = '"' + name.encode("unicode_escape").decode() + '"'
    with pytest.raises(ConfigError):
        config.parse(f"models:\n  m: {{quants: {{{quoted}: {{source: 'path:x.gguf'}}}}}}")


@pytest.mark.parametrize("name", ESCAPES)
def test_an_unknown_model_name_makes_no_file(project: Path, name: str) -> None:
    """Whether it looks like a path or not."""
    store = ModelStore(project / "models", config.load(None).models, offline=True)
    before = _files(project.parents[1])
    with pytest.raises(LlmbenchError):
        store.ensure(f"{name}:Q4_1")
    assert {path for path in _files(project.parents[1]) - before if "models" not in Path(path).parts} == set()


@pytest.mark.parametrize(
    "name", ["../../x.gguf", "/tmp/..gguf", "./a b\x1b[2J.gguf", "~/x.gguf", "..gguf", "\\..\\x.gguf"]
)
def test_the_name_made_of_a_files_path_is_one_plain_word(name: str) -> None:
    """Folders and logs are named with it."""
    made = model_names.model_of(name)
    assert made == "".join(char for char in made if char.isalnum() or char in "-._")
    assert made.strip(".")


@pytest.mark.parametrize(
    "source",
    [
        "hf:org/repo/../../x.gguf",
        "hf:../repo/x.gguf",
        "hf:org/repo/..\\x.gguf",
        "hf:org/repo//x.gguf",
        "hf:org/repo/x.gguf@../../main",
        "hf:org/repo/\x00x.gguf",
        "ollama:../../x",
        "ollama:a/../x",
        "pypi:../x",
        "pypi:pkg/../x.gguf",
        "pypi:--index-url=http://evil.example",
        "pypi:pkg --index-url http://evil.example",
        "pypi:pkg @ http://evil.example/x.whl",
        "https://me:word@host/x.gguf",
        "file:///etc/passwd",
        "ftp://host/x.gguf",
        "git+https://host/x.gguf",
    ],
)
def test_a_source_does_not_lead_elsewhere(source: str) -> None:
    """Nor does it carry an option for a program."""
    with pytest.raises(ConfigError):
        config.parse(f"models:\n  m: {{quants: {{Q8_0: {{source: {source!r}}}}}}}")


def test_a_report_replaces_a_link_and_does_not_follow_it(tmp_path: Path) -> None:
    """What it pointed to stays as it was."""
    precious = tmp_path / "precious.txt"
    precious.write_text("x")
    link = tmp_path / "report.json"
    link.symlink_to(precious)
    reports.write(samples.run("r", "2025-01-01T00:00:00+00:00"), "json", link)
    assert precious.read_text() == "x"
    assert not link.is_symlink()


def test_removing_a_run_does_not_follow_a_link(project: Path) -> None:
    """A folder of reports that is a link to elsewhere leaves what is there alone."""
    path = project / ".llmbench" / "results.db"
    with contextlib.closing(Store.open(path)) as store:
        store.ensure_run(samples.run("r1", "2025-01-01T00:00:00+00:00"))
    elsewhere = project.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.txt").write_text("x")
    (path.parent / "reports").mkdir()
    (path.parent / "reports" / "r1").symlink_to(elsewhere)
    assert main(["runs", "rm", "--yes", "r1"]) == ExitCode.OK
    assert (elsewhere / "precious.txt").exists()
