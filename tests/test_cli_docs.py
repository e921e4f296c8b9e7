"""The reference pages are what the code's tables say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

GENERATOR = Path(__file__).parents[1] / "docs" / "generate.py"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("llmbench_docs_generate", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name",
    [
        "options.md",
        "configuration.md",
        "use-case.md",
        "validators.md",
        "cli.md",
        "metrics.md",
        "exit-codes.md",
        "gates.md",
        "chat.md",
        "prometheus.md",
        "traces.md",
        "llmbench.schema.json",
        "usecase.schema.json",
        "report.schema.json",
    ],
)
def test_a_reference_page_is_fresh(generator, name):
    """A changed table without its page fails here; `python docs/generate.py` mends it."""
    assert (generator.REFERENCE / name).read_text(encoding="utf-8") == generator.pages()[name]


def test_the_generator_writes_all_it_promises(generator, tmp_path, monkeypatch):
    """One call brings all pages up to date."""
    monkeypatch.setattr(generator, "REFERENCE", tmp_path / "reference")
    generator.main()
    assert {path.name for path in (tmp_path / "reference").iterdir()} == set(generator.pages())
