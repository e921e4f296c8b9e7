"""`llmbench config import`: the older pair of files as one llmbench.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pytest_llmbench import config
from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.options import BY_NAME

MODELS = """\
models:
  - name: Llama-3.2-1B Instruct
    size: 1B
    repo: someone/Llama-3.2-1B-Instruct-GGUF
    base_filename: Llama-3.2-1B-Instruct
    license: llama3.2
    files:
      Q4_K_M: Llama-3.2-1B-Instruct-Q4_K_M.gguf
      Q8_0: {filename: Llama-3.2-1B-Instruct-Q8_0.gguf, size_gb: 1.3}
  - name: tiny
    repo: someone/tiny-GGUF
    base_filename: tiny-0.1b
    quants: [Q4_0, Q5_K_M]
  - name: mine
    files: {Q4_1: files/mine.gguf}
"""
CONFIG = """\
output_dir: results
llama_server: /opt/llama/llama-server
benchmark:
  n_ctx: 8192
  repetitions: 6
  profiles: {interactive: true, long-context: true, batch: false, marathon: true}
  min_tps: 3
port: 8080
"""


@pytest.fixture(autouse=True)
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the pair in it."""
    (tmp_path / "models.yaml").write_text(MODELS)
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_pair_becomes_one_file_that_is_valid(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Models by their repositories, files told or made of the base name; settings under the names of today."""
    assert main(["config", "import"]) == ExitCode.OK
    made = yaml.safe_load((there / "llmbench.yaml").read_text())
    quants = {
        name: {quant: each["source"] for quant, each in model["quants"].items()}
        for name, model in made["models"].items()
    }
    assert quants == {
        "llama-3.2-1b-instruct": {
            "Q4_K_M": "hf:someone/Llama-3.2-1B-Instruct-GGUF/Llama-3.2-1B-Instruct-Q4_K_M.gguf",
            "Q8_0": "hf:someone/Llama-3.2-1B-Instruct-GGUF/Llama-3.2-1B-Instruct-Q8_0.gguf",
        },
        "tiny": {
            "Q4_0": "hf:someone/tiny-GGUF/tiny-0.1b-Q4_0.gguf",
            "Q5_K_M": "hf:someone/tiny-GGUF/tiny-0.1b-Q5_K_M.gguf",
        },
        "mine": {"Q4_1": "files/mine.gguf"},
    }
    assert made["defaults"] == {"results_dir": "results", "context": 8192, "rounds": 6}
    assert made["matrix"] == {
        "models": ["llama-3.2-1b-instruct", "tiny", "mine"],
        "profiles": ["interactive", "long_context"],
        "limits": {"decode_tps": 3},
    }
    assert config.load(there / "llmbench.yaml").models.keys() >= quants.keys()
    assert "wrote llmbench.yaml: 3 models in 5 files" in capsys.readouterr().out


def test_what_is_not_taken_over_is_told_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is dropped in silence; a program to run is refused as in any file of a project."""
    main(["config", "import"])
    told = [line for line in capsys.readouterr().out.splitlines() if "was not taken over" in line]
    assert told == [
        "models.yaml:6: models[0].license was not taken over: no model of llmbench.yaml has it",
        f"config.yaml:2: llama_server was not taken over: {BY_NAME['llama_server'].refusal(in_yaml=True)}",
        "config.yaml:6: benchmark.profiles was not taken over: no profile is called 'marathon'",
        "config.yaml:8: port was not taken over: no setting of today is called so",
    ]


def test_paths_are_as_seen_from_the_new_file(there: Path) -> None:
    """A file beside models.yaml is found from another folder, too."""
    (there / "new").mkdir()
    main(["config", "import", "-o", "new/llmbench.yaml"])
    made = yaml.safe_load((there / "new/llmbench.yaml").read_text())
    assert made["models"]["mine"]["quants"]["Q4_1"]["source"] == "../files/mine.gguf"


def test_models_alone_will_do_and_a_list_at_the_top_too(there: Path) -> None:
    """Without config.yaml the matrix is all models by the usual profiles."""
    (there / "config.yaml").unlink()
    (there / "models.yaml").write_text("- {name: a, repo: o/r, files: {Q4_0: [a-1-of-2.gguf, a-2-of-2.gguf]}}\n")
    assert main(["config", "import"]) == ExitCode.OK
    made = yaml.safe_load((there / "llmbench.yaml").read_text())
    assert made == {
        "models": {"a": {"quants": {"Q4_0": {"source": "hf:o/r/a-1-of-2.gguf"}}}},
        "matrix": {"models": ["a"]},
    }


def test_an_existing_file_is_left_as_it_is(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody's settings are overwritten."""
    (there / "llmbench.yaml").write_text("models: {}\n")
    assert main(["config", "import"]) == ExitCode.USAGE
    assert "llmbench.yaml exists and is left as it is" in capsys.readouterr().err
    assert (there / "llmbench.yaml").read_text() == "models: {}\n"


@pytest.mark.parametrize(
    ("models", "problem"),
    [
        ("models: []", "models.yaml:1: models: no models are listed"),
        ("models:\n- {name: a, repo: o/r}", "models.yaml:2: models[0]: no files are told"),
        ("models:\n- {name: a, repo: o/r, quants: [Q4_0]}", "quantizations without files need a base_filename"),
        ("models:\n- {repo: o/r, files: {Q4_0: a.gguf}}", "models.yaml:2: models[0]: no model can be called None"),
        ("models:\n- {name: a, files: {Q: a.gguf}}\n- {name: A, files: {Q: b.gguf}}", "models[1]: a stands here twice"),
        ("models:\n- {name: a, repo: 'o/../r', files: {Q4_0: a.gguf}}", "models[0].files.Q4_0: Q4_0: "),
    ],
)
def test_what_no_file_can_be_made_of_is_told_and_nothing_is_written(
    there: Path, models: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With file and line."""
    (there / "models.yaml").write_text(models)
    assert main(["config", "import"]) == ExitCode.USAGE
    assert problem in capsys.readouterr().err
    assert not (there / "llmbench.yaml").exists()
