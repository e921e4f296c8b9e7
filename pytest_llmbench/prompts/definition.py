"""The prompt that a use case's front matter means, read from its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pytest_llmbench.config.confined import file_inside
from pytest_llmbench.config.strict_yaml import KeyPath
from pytest_llmbench.datasets import Columns, stream
from pytest_llmbench.errors import ConfigError, UsageError
from pytest_llmbench.prompts.examples import Examples, Pool
from pytest_llmbench.prompts.prompt import AS_IT_IS, STAY_WITHIN, Prompt, Variant
from pytest_llmbench.prompts.schema import ExampleDef, ExamplesDef, PromptDef, TextDef, VariantDef
from pytest_llmbench.prompts.template import Template
from pytest_llmbench.questions.rows import Place, whole_text
from pytest_llmbench.records import Sample

Where = Callable[[KeyPath, str], ConfigError]
"""Makes the error that says where a key stands, of its path within the section and a message."""
Samples = Callable[[], Iterable[Sample]]


def of(
    definition: PromptDef,
    folder: Path,
    where: Where,
    extra: Mapping[str, Any] | None = None,
    samples: Samples = tuple,
) -> Prompt:
    """The prompt that a use case's front matter says.

    Args:
        definition: the section.
        folder: the use case's; files are read from inside it.
        where: makes errors with file and line, of a key path within the section.
        extra: values for further variables, such as `schema`.
        samples: gives the use case's own samples, for `pool: data`; called when examples are first chosen.

    Raises:
        UsageError: a file is not there or leads out of the folder, or a template cannot be used; with file and line.
    """
    read_by = _Reader(folder, where, {**(extra or {}), **definition.variables})
    template = read_by.template(definition, (), AS_IT_IS)
    system = read_by.system(definition, (), STAY_WITHIN)
    prompt = Prompt(
        template=template,
        system=system,
        variables=read_by.variables,
        examples=read_by.examples(definition.examples, samples),
        variants={name: read_by.variant(name, each, template, system) for name, each in definition.variants.items()},
        mode=definition.mode,
    )
    _check_examples(prompt, where)
    return prompt


class _Reader:
    """Reads a section's parts."""

    def __init__(self, folder: Path, where: Where, variables: Mapping[str, Any]) -> None:
        self.variables = variables
        self._folder = folder
        self._where = where

    def template(self, said: TextDef, path: KeyPath, otherwise: Template) -> Template:
        if said.file is not None:
            return self._checked(self._from_file(said.file, (*path, "file")))
        if said.template is None:
            return otherwise
        return self._checked(Template(said.template, self._refusal((*path, "template"))))

    def system(self, said: TextDef, path: KeyPath, otherwise: Template) -> Template:
        if said.system is None:
            return otherwise
        return self._honest(Template(said.system, self._refusal((*path, "system"))))

    def variant(self, name: str, said: VariantDef, template: Template, system: Template) -> Variant:
        path: KeyPath = ("variants", name)
        if said.template is None and said.file is None and said.system is None:
            raise self._where(
                path, "says nothing that the prompt does not: give it a template, a file or a system text"
            )
        return Variant(
            template=self.template(said, path, template),
            system=self.system(said, path, system),
            models=tuple(said.models),
        )

    def examples(self, said: ExamplesDef | None, samples: Samples) -> Examples | None:
        if said is None:
            return None
        pool = self._pool(said, samples)
        refused = partial(self._where, ("examples", "by"))
        return Examples(pool=pool, count=said.count, choose=said.choose, by=said.by, refused=refused)

    def _pool(self, said: ExamplesDef, samples: Samples) -> Pool:
        if said.items:
            written = _written(said.items)
            return Pool(lambda: written)
        if said.pool is None or said.pool == "data":
            return Pool(samples, is_data=True)
        file = self._file(said.pool, ("examples", "pool"))
        return Pool(lambda: (sample for _, sample in stream(file, Columns())))

    def _checked(self, template: Template) -> Template:
        if template.names <= self.variables.keys():
            error = template.error("every sample would be asked the same: no variable of a sample stands in it")
            error.hint = "put {{input}} where the sample's own text belongs"
            raise error
        return self._honest(template)

    def _honest(self, template: Template) -> Template:
        if "expected" in template.names:
            raise template.error("{{expected}} would tell the model the answer", "expected")
        return template

    def _from_file(self, text: str, path: KeyPath) -> Template:
        file = self._file(text, path)
        content = whole_text(file).rstrip("\n")
        return Template(content, lambda message, line: Place(file, line + 1).error(message))

    def _file(self, text: str, path: KeyPath) -> Path:
        try:
            return file_inside(self._folder, text)
        except ValueError as error:
            raise self._where(path, str(error)) from None

    def _refusal(self, path: KeyPath) -> Callable[[str, int], UsageError]:
        def refused(message: str, line: int) -> UsageError:
            return self._where(path, f"line {line + 1} of the text: {message}" if line else message)

        return refused


def _check_examples(prompt: Prompt, where: Where) -> None:
    """See that the examples that were written for this prompt fill it; the use case's own samples are checked as such.

    Raises:
        UsageError: one does not, or there is none where the text wants some.
    """
    texts = (prompt.template, prompt.system, *(t for v in prompt.variants.values() for t in (v.template, v.system)))
    if prompt.examples is None:
        if wanting := next((text for text in texts if "examples" in text.names), None):
            raise wanting.error("there are no {{examples}}: say which under `examples:`", "examples")
    elif not prompt.examples.pool.is_data:
        if not prompt.examples.pool.samples:
            raise where(("examples",), "none of them has an expected answer")
        for example in prompt.examples.pool.samples:
            _check_example(prompt, example, where)


def _check_example(prompt: Prompt, example: Sample, where: Where) -> None:
    assert prompt.examples is not None
    prompt.examples.check(example, is_example=True)
    try:
        replace(prompt, examples=None).check(example)
    except UsageError as error:
        raise where(("examples",), f"example {example.id} does not fill the prompt: {error.message}") from None


def _written(items: list[ExampleDef]) -> list[Sample]:
    return [Sample(str(number), each.input, each.expected, each.columns) for number, each in enumerate(items, 1)]
