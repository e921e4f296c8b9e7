"""What lies in the wheel, and what the Makefile says when it cannot go on."""

from __future__ import annotations

import email.message
import email.parser
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pytest_llmbench

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_llmbench"

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from this tree without fetching anything."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        folder,
        ROOT,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    """The wheel's core metadata."""
    return email.parser.Parser().parsestr(_dist_info(wheel, "METADATA"))


def test_the_wheel_holds_every_file_of_the_package(wheel):
    """Nothing that works in a clone is missing after an installation."""
    in_tree = {
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert in_tree - set(wheel.namelist()) == set()


@pytest.mark.parametrize(
    "pattern",
    [
        "py.typed",
        "data/chronicle.yaml",
        "data/models.yaml",
        "data/*.html.j2",
        "data/word_lists/*.txt",
        "data/vega/*.js",
        "data/vega/LICENSE",
        "data/tabulator/*.min.*",
        "data/tabulator/LICENSE",
        "store/migrations/**/*.py",
    ],
)
def test_the_wheel_holds_the_data_files_we_read_at_run_time(wheel, pattern):
    """They are named here one by one, so that a renamed one is noticed."""
    found = [str(path.relative_to(ROOT)) for path in PACKAGE.glob(pattern)]
    assert found
    assert set(found) <= set(wheel.namelist())


def test_the_wheel_holds_the_package_alone(wheel):
    """Tests, suites and documentation stay out of people's site-packages."""
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert top == {"pytest_llmbench", f"pytest_llmbench-{pytest_llmbench.__version__}.dist-info"}


def test_the_metadata_tells_licence_python_and_extras(metadata):
    """An index shows what the project promises."""
    assert metadata["Name"] == "pytest-llmbench"
    assert metadata["Version"] == pytest_llmbench.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra")) == {
        *("local", "fast", "gpu", "dev", "otel", "redis"),
        *("text", "embeddings", "schemas", "tokens", "documents", "video", "hub", "hypothesis", "pdf", "parquet"),
    }
    assert {"LICENSE", "NOTICE"} <= set(metadata.get_all("License-File"))


def test_engines_are_no_part_of_the_base_installation(metadata):
    """Who measures external servers installs no engine and no development tool."""
    base = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert any(line.startswith("pytest>=") for line in base)
    assert not [line for line in base if line.lower().startswith(("xllamacpp", "gguf", "ruff", "mypy", "playwright"))]


def test_the_wheel_ships_licence_and_notice(wheel):
    """The Apache License asks for both; the NOTICE names what we redistribute."""
    assert "Apache License" in _dist_info(wheel, "licenses/LICENSE")
    assert "Vega" in _dist_info(wheel, "licenses/NOTICE")


def test_installing_gives_the_plugin_and_the_command(wheel):
    """pytest finds the plugin, the shell finds `llmbench`."""
    entry_points = _dist_info(wheel, "entry_points.txt")
    assert "[pytest11]\nllmbench = pytest_llmbench.plugin" in entry_points
    assert "[console_scripts]\nllmbench = pytest_llmbench.cli:main" in entry_points


@needs_make
def test_make_alone_lists_its_targets():
    """A newcomer types `make` and sees what there is."""
    listed = _make().stdout
    for target in ("demo", "usecases-demo", "judge-demo", "test", "test-full", "lint", "docs", "benchmarks", "clean"):
        assert f"make {target} " in listed


@needs_make
def test_make_says_that_a_python_is_missing(tmp_path):
    """No stack trace, but what to install or name."""
    done = _make("demo", f"VENV={tmp_path}/venv", f"PYTHON={tmp_path}/python3")
    assert done.returncode == 2
    assert "not found: install Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


@needs_make
def test_make_says_that_a_python_is_too_old(tmp_path):
    """An old Python is refused before anything is made."""
    old = _script(tmp_path / "python3", 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi')
    done = _make("test", f"VENV={tmp_path}/venv", f"PYTHON={old}")
    assert done.returncode == 2
    assert "Python 3.9.2 is too old: Python 3.11 or newer is needed" in done.stderr
    assert not (tmp_path / "venv").exists()


@needs_make
def test_make_says_how_to_get_a_missing_venv_module(tmp_path):
    """Debian ships Python without it."""
    bare = _script(tmp_path / "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    done = _make("demo", f"VENV={tmp_path}/venv", f"PYTHON={bare}")
    assert done.returncode == 2
    assert "apt install python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def _dist_info(wheel: zipfile.ZipFile, name: str) -> str:
    return wheel.read(f"pytest_llmbench-{pytest_llmbench.__version__}.dist-info/{name}").decode()


def _make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # `make test` hands its own variables down to whatever it starts.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def _script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path
