"""`llmbench models pull` and `list` of models from the hub and the web."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf_samples import noisy
from hub_server import Hub, used_hub
from terminals import as_written

from pytest_llmbench import config
from pytest_llmbench.cli import main
from pytest_llmbench.contexts import Identity
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.session import Session

DATA, NEW = noisy(64), noisy(64, seed=2)
PULL_TWO = "import sys\nfrom pytest_llmbench.cli import main\nsys.exit(main(['models', 'pull', 'mine', 'other']))"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A project with two models of a hub, and one that the hub does not have."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    quants = "{{quants: {{Q8_0: {{source: 'hf:org/repo/{}.gguf'}}}}}}"
    names = ("mine", "other", "gone")
    (tmp_path / "llmbench.yaml").write_text(
        "models:\n" + "".join(f"  {name}: {quants.format(name)}\n" for name in names)
    )
    monkeypatch.setenv("LLMBENCH_MODELS_DIR", str(tmp_path / "models"))
    with used_hub(monkeypatch) as hub:
        hub.repo("org/repo", {"mine.gguf": DATA, "other.gguf": DATA})
        yield hub


def test_pull_tells_what_it_fetched_and_pins_it(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Progress on standard error, the files on standard output in the order asked for."""
    assert main(["models", "pull", "other", "mine", "--jobs", "2"]) == ExitCode.OK
    said = capsys.readouterr()
    assert [line.split("  ")[0] for line in said.out.splitlines()] == ["other:Q8_0", "mine:Q8_0"]
    assert "downloading mine:Q8_0 100 % of 65.9 kB" in said.err
    assert sorted(json.loads((tmp_path / "llmbench.lock").read_text())["models"]) == ["mine:Q8_0", "other:Q8_0"]


def test_one_that_fails_does_not_stop_the_others(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named with its reason, a last line counts, and the exit code tells."""
    assert main(["models", "pull", "gone", "mine"]) == ExitCode.TESTS_FAILED
    said = capsys.readouterr()
    assert said.out.startswith("mine:Q8_0  ")
    assert "llmbench: error: gone:Q8_0: org/repo has no file gone.gguf at main\n  hint: " in said.err
    assert said.err.endswith("llmbench: error: 1 of 2 models could not be pulled\n")


def test_one_alone_that_fails_is_told_once(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    """As any other verb's error."""
    assert main(["models", "pull", "gone"]) == ExitCode.TESTS_FAILED
    assert capsys.readouterr().err.count("llmbench: error:") == 1


def test_update_moves_the_pin(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    """`list --json` tells what is pinned, by what, at which commit."""
    main(["models", "pull", "mine"])
    commit = hub.repos["org/repo"].commit({"mine.gguf": NEW})
    main(["models", "pull", "mine"])
    capsys.readouterr()
    for update, wanted in (([], False), (["--update"], True)):
        main(["models", "pull", "mine", *update])
        capsys.readouterr()
        main(["models", "list", "--json"])
        entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
        assert (entries["mine:Q8_0"]["revision"] == commit) is wanted
        assert entries["mine:Q8_0"]["pinned_by"] == "llmbench.lock"
    assert entries["smollm2-135m:Q4_1"]["pinned_by"] == "the built-in catalogue"
    assert (entries["other:Q8_0"]["pinned_by"], entries["other:Q8_0"]["revision"]) == (None, None)


@pytest.mark.parametrize("jobs", ["0", "-1", "many", "1.5"])
def test_a_number_of_jobs_that_is_none_is_refused(hub: Hub, capsys: pytest.CaptureFixture[str], jobs: str) -> None:
    """Before anything is fetched."""
    assert main(["models", "pull", "mine", f"--jobs={jobs}"]) == ExitCode.USAGE
    assert "is not a whole number from 1 on" in capsys.readouterr().err
    assert hub.seen == []


def test_a_terminal_gets_a_bar_for_each(hub: Hub) -> None:
    """Both are drawn, and the files are named below."""
    said = as_written(PULL_TWO)
    assert all(f"downloading {name}:Q8_0" in said for name in ("mine", "other"))
    assert "━" in said


def test_a_damaged_lock_is_a_usage_error(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is named, and what to do."""
    (tmp_path / "llmbench.lock").write_text("<<<<<<<")
    assert main(["models", "list"]) == ExitCode.USAGE
    assert "llmbench.lock: is no lock file of ours" in capsys.readouterr().err


def test_a_test_run_says_what_it_fetches(hub: Hub, tmp_path: Path) -> None:
    """Once, before gigabytes make it silent; the pin is written as by the verb."""
    said: list[str] = []
    for _ in range(2):
        session = Session(config.resolve({}, os.environ, {}, tmp_path), Identity("run", os.getpid()), said.append)
        assert session.local.file("mine").name == "mine:Q8_0"
    assert said == ["fetching the model mine:Q8_0 from hf:org/repo/mine.gguf"]
    assert "mine:Q8_0" in (tmp_path / "llmbench.lock").read_text()


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "in a worker"])
def test_the_terminal_shows_what_is_fetched_while_a_test_is_set_up(
    hub: Hub, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    """pytest captures all output by then, its own reporter's too, and what a worker's reporter writes nobody sees."""
    (tmp_path / "test_it.py").write_text("def test_it(llama_server):\n    llama_server('mine')\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *workers]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "llmbench: fetching the model mine:Q8_0 from hf:org/repo/mine.gguf" in (
        done.stderr if workers else done.stdout
    )
