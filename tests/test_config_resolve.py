"""Where choices come from: llmbench.yaml is found, all sources are merged, and each value knows its source."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmbench import config
from pytest_llmbench.errors import ConfigError


@pytest.fixture
def rootdir(tmp_path, monkeypatch) -> Path:
    """An empty project, with the current directory elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    root = tmp_path / "project"
    root.mkdir()
    return root


def test_the_file_in_the_root_directory_is_found(rootdir):
    """Nobody has to name it."""
    (rootdir / "llmbench.yaml").write_text("defaults:\n  rounds: 7\n")
    found = config.resolve({}, {}, {}, rootdir)
    assert found.settings.rounds == 7
    assert found.origins["rounds"].source.endswith("llmbench.yaml:2")
    assert found.config_path == rootdir / "llmbench.yaml"


def test_without_a_file_there_are_defaults_and_the_catalogue(rootdir):
    """A project needs no configuration."""
    found = config.resolve({}, {}, {}, rootdir)
    assert found.config_path is None
    assert "smollm2-135m" in found.config.models
    assert {origin.source for origin in found.origins.values()} == {"default"}


def test_the_order_of_sources(rootdir):
    """Flag before environment before ini before llmbench.yaml before default."""
    (rootdir / "llmbench.yaml").write_text("defaults: {rounds: 1, context: 1, threads: 1, gpu_layers: 1}\n")
    found = config.resolve(
        {"rounds": "4"},
        {"LLMBENCH_ROUNDS": "3", "LLMBENCH_CONTEXT": "3"},
        {"rounds": "2", "context": "2", "threads": "2"},
        rootdir,
        ini_name="pyproject.toml",
    )
    settings = found.settings
    assert (settings.rounds, settings.context, settings.threads, settings.gpu_layers) == (4, 3, 2, 1)
    assert found.origins["rounds"].source == "--llmbench-rounds"
    assert found.origins["context"].source == "LLMBENCH_CONTEXT"
    assert found.origins["threads"].source == "pyproject.toml"
    assert found.origins["gpu_layers"].source.endswith("llmbench.yaml:1")
    assert found.origins["output_tokens"].source == "default"


def test_a_named_file_takes_the_place_of_the_usual_one(rootdir):
    """From the ini file its path starts at the root directory; from the environment, at the current one."""
    (rootdir / "llmbench.yaml").write_text("defaults: {rounds: 1}\n")
    (rootdir / "other.yaml").write_text("defaults: {rounds: 2}\n")
    Path("mine.yaml").write_text("defaults: {rounds: 3}\n")
    assert config.resolve({}, {}, {"config": "other.yaml"}, rootdir).settings.rounds == 2
    assert config.resolve({}, {"LLMBENCH_CONFIG": "mine.yaml"}, {}, rootdir).settings.rounds == 3
    assert config.resolve({"config": "mine.yaml"}, {}, {}, rootdir).settings.rounds == 3


def test_a_named_file_that_is_missing_is_an_error(rootdir):
    """A typo does not silently run with defaults."""
    with pytest.raises(ConfigError, match=r"nope\.yaml: no such file"):
        config.resolve({"config": "nope.yaml"}, {}, {}, rootdir)


def test_folders_from_files_start_at_the_root_directory(rootdir):
    """The results of a project land in one place, wherever pytest was started."""
    (rootdir / "llmbench.yaml").write_text("defaults: {results_dir: out, models_dir: models}\n")
    found = config.resolve({}, {}, {}, rootdir)
    assert (found.results_dir, found.models_dir) == (rootdir / "out", rootdir / "models")
    assert config.resolve({}, {}, {"results_dir": "b"}, rootdir).results_dir == rootdir / "b"


def test_folders_that_are_typed_start_at_the_current_directory(rootdir):
    """As every command does with a path it is given."""
    assert config.resolve({"results_dir": "out"}, {}, {}, rootdir).results_dir == Path.cwd() / "out"
    assert config.resolve({}, {"LLMBENCH_RESULTS_DIR": "/x/y"}, {}, rootdir).results_dir == Path("/x/y")


def test_results_stay_in_the_project_by_default(rootdir):
    """And models in the user's cache, which the model store knows."""
    found = config.resolve({}, {}, {}, rootdir)
    assert found.results_dir == rootdir / ".llmbench"
    assert found.models_dir is None


def test_an_unknown_home_directory_is_an_error_of_the_caller(rootdir):
    """`~nobody` ends in a message, not in a traceback."""
    with pytest.raises(ConfigError, match="~no-such-user-here"):
        _ = config.resolve({"results_dir": "~no-such-user-here/x"}, {}, {}, rootdir).results_dir
