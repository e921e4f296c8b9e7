"""A use case from its folder; nothing is asked, and no data are read yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pytest_llmbench import corruption, prompts, sampling
from pytest_llmbench.chunking.schema import of as chunking_of
from pytest_llmbench.config.strict_yaml import KeyPath
from pytest_llmbench.config.validating import validated
from pytest_llmbench.corruption import Damage
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.records import Sample
from pytest_llmbench.usecases import judged, older, page
from pytest_llmbench.usecases.data import GROUND_TRUTH, DeclaredData
from pytest_llmbench.usecases.front_matter import UseCaseDef
from pytest_llmbench.usecases.older_page import PREFIX
from pytest_llmbench.usecases.output import Output, output_of
from pytest_llmbench.usecases.page import PAGE, Page
from pytest_llmbench.usecases.usecase import UseCase
from pytest_llmbench.validators.declared import Declared, declared_all

_HINT = "`llmbench usecase new FOLDER` writes an example; docs/reference/use-case.md has every key"


def load(path: Path) -> UseCase:
    """The use case in a folder.

    Args:
        path: the folder, or its USE-CASE.md.

    Raises:
        ConfigError: the page cannot be read, or says something that cannot be; every mistake with file and line.
    """
    found = page.read(_page_at(path))
    return older.use_case(found) if found.front is None else _declared(found)


def folder_of(path: Path) -> Path:
    """The folder of a use case that is named by it or by its page; what its page says is not looked at.

    Raises:
        ConfigError: there is no page that can be read.
    """
    return page.read(_page_at(path)).file.parent


def _page_at(path: Path) -> Path:
    return path if path.name == PAGE and not path.is_dir() else path / PAGE


def is_page(file: Path) -> bool:
    """Whether a file of the page's name is meant as one: by its front matter, its title, or data beside it.

    Raises:
        ConfigError: it cannot be read.
    """
    found = page.read(file)
    is_titled = any(each.title.lower().startswith(PREFIX.lower().rstrip(":")) for each in found.sections)
    has_data = any((file.parent / name).exists() for name in ("data", GROUND_TRUTH))
    return found.front is not None or is_titled or has_data


def _declared(found: Page) -> UseCase:
    assert found.front is not None
    said = validated(UseCaseDef, found.front, hint=_HINT)
    data = DeclaredData(found, said.data)
    output = output_of(said.output, found)
    name = said.name or found.folder_name
    return UseCase(
        name=name,
        title=found.title or name,
        description=said.description.strip() or _first_paragraph(found),
        page=found,
        prompt=_prompt(said, found, output, lambda: (one.sample for one in data.placed())),
        output=output,
        models=tuple(said.models),
        validators=_validators(said, output, found),
        rubric=judged.rubric_of(said, found, name),
        judging=judged.judging_of(said),
        repeats=said.repeats,
        reducer=said.reducer,
        stop=tuple(said.stop),
        gates=tuple(said.gates),
        tags=tuple(said.tags),
        sampling=sampling.of(said.sampling) if said.sampling else sampling.Sampling(),
        chunking=chunking_of(said.chunking, found.file.parent, _locate(found, "chunking")),
        request=_request(said, output),
        corruption=_corruption(said, found),
        data=data,
        said=said.data,
    )


def _locate(found: Page, section: str) -> Callable[[KeyPath, str], ConfigError]:
    """Makes errors of keys below a section."""
    return lambda path, message: found.error((section, *path), message)


def _prompt(said: UseCaseDef, found: Page, output: Output, samples: Callable[[], Iterator[Sample]]) -> prompts.Prompt:
    where = _locate(found, "prompt")
    return prompts.of(said.prompt, found.file.parent, where, samples=samples, extra=output.variables)


def _validators(said: UseCaseDef, output: Output, found: Page) -> tuple[Declared, ...]:
    specs = said.validators or _suggested(said, output)
    return declared_all(specs, _locate(found, "validators"), found.file.parent) if specs else ()


def _corruption(said: UseCaseDef, found: Page) -> Damage:
    if said.corruption is None:
        return Damage()
    told = (found.front.data if found.front else {}).get("corruption")
    below = ("corruption",) if isinstance(told, list) else ("corruption", "kinds")

    def where(path: KeyPath, message: str) -> ConfigError:
        return found.error((*below, *path), message)

    kinds = corruption.declared_all(said.corruption.kinds, where, found.file.parent)
    return Damage(kinds, said.corruption.seed, tuple(said.corruption.columns))


def _suggested(said: UseCaseDef, output: Output) -> list[Any]:
    """What the form of the output suggests; where there is a rubric to judge by, only that the form is kept."""
    schema = ["json-schema"] if output.schema is not None else []
    if said.rubric is not None:
        return schema
    return [*schema, {"text": "exact", "json": "json-fields", "csv": "csv"}[output.kind]]


def _request(said: UseCaseDef, output: Output) -> dict[str, Any]:
    schema = {"name": "answer", "strict": True, "schema": output.schema}
    form = {"response_format": {"type": "json_schema", "json_schema": schema}} if output.enforced else {}
    return {**form, **judged.request_of(said.request)}


def _first_paragraph(found: Page) -> str:
    """The first lines of prose that are no heading."""
    paragraph: list[str] = []
    for line in found.prose.splitlines():
        if line.startswith("#") or not line.strip():
            if paragraph:
                break
            continue
        paragraph.append(line.strip())
    return " ".join(paragraph)
