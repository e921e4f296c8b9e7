"""What a use case may say under `prompt:`; every mistake is told with its place before anything is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from pytest_llmbench.config import strict_yaml
from pytest_llmbench.config.validating import validated
from pytest_llmbench.errors import ConfigError, UsageError
from pytest_llmbench.prompts import Prompt, PromptDef, of
from pytest_llmbench.records import Sample
from pytest_llmbench.usecases.front_matter import UseCaseDef


def prompt(folder: Path, text: str, **more) -> Prompt:
    """The prompt that a section in YAML means."""
    document = strict_yaml.parse(text, "USE-CASE.md")
    where = lambda path, message: ConfigError(f"USE-CASE.md:{document.line(path)}: {message}")  # noqa: E731
    return of(validated(PromptDef, document), folder, where, **more)


def told(folder: Path, text: str) -> str:
    """The error of a section that is refused."""
    with pytest.raises(UsageError) as refused:
        prompt(folder, text)
    return str(refused.value)


def asked(prompt: Prompt, sample: Sample, model: str = "") -> list[str]:
    """The contents of what is asked."""
    return [message["content"] for message in prompt.messages(sample, model)]


def test_all_that_can_be_said_of_a_prompt(tmp_path):
    """Template and system text with variables, written examples, variants."""
    found = prompt(
        tmp_path,
        """
        template: "{{firm}}: {{input}}"
        system: You work for {{firm}}.
        variables: {firm: ACME}
        examples:
          - {input: Hello, expected: greeting}
        variants:
          terse: {system: "", models: ["small/*"]}
        mode: optimized
        """,
    )
    sample = Sample("a", "Where is it?")
    assert asked(found, sample) == ["You work for ACME.", "ACME: Hello", "greeting", "ACME: Where is it?"]
    assert asked(found, sample, "small/one") == ["ACME: Hello", "greeting", "ACME: Where is it?"]


def test_nothing_said_is_the_input_under_the_default_system_text(tmp_path):
    """The shortest use case says nothing of its prompt."""
    assert prompt(tmp_path, "") == Prompt()


def test_a_template_may_stand_in_a_file(tmp_path):
    """Its mistakes are told with its own lines."""
    (tmp_path / "ask.txt").write_text("\ufeffRead this:\n\n{{input}}\n", encoding="utf-8")
    found = prompt(tmp_path, "{file: ask.txt, system: ''}")
    assert asked(found, Sample("a", "x")) == ["Read this:\n\nx"]
    (tmp_path / "ask.txt").write_text("Read this:\n\n{{input}} {{nothing}}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"ask\.txt:3: the sample 'a' has no value for \{\{nothing\}\}"):
        prompt(tmp_path, "file: ask.txt").check(Sample("a", "x"))


def test_examples_may_come_from_a_file_or_the_samples(tmp_path):
    """Of any kind of rows; the columns fill the template's variables."""
    rows = [{"input": f"text {n}", "expected": n, "lang": "en"} for n in range(3)]
    (tmp_path / "solved.jsonl").write_text("\n".join(map(json.dumps, rows)))
    text = "{template: '{{input}} ({{lang}})', system: '', examples: {pool: solved.jsonl, count: 1}}"
    sample = Sample("a", "a text", metadata={"lang": "de"})
    assert asked(prompt(tmp_path, text), sample) == ["text 0 (en)", "0", "a text (de)"]
    own = [Sample("a", "a text", 7), Sample("b", "b text", 8)]
    found = prompt(tmp_path, "{system: '', examples: {count: 2}}", samples=lambda: own)
    assert asked(found, own[0]) == ["b text", "8", "a text"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("template: Answer!", "USE-CASE.md:1: every sample would be asked the same"),
        ("template: '{{input}} is {{expected}}'", "{{expected}} would tell the model the answer"),
        ("system: '{{expected}}'", "{{expected}} would tell the model the answer"),
        ("{template: '{{input}}', file: x.txt}", "file: the template stands here or in a file, not both"),
        ("templat: x", "templat: unknown key; did you mean 'template'?"),
        ("variables: {input: x}", "'input' cannot be a variable of yours"),
        ("variables: {'a b': x}", "a name is letters, digits"),
        ("mode: best", "'best' is not allowed (allowed: 'fair', 'optimized')"),
        ("\nvariants:\n  base: {system: x}", "USE-CASE.md:2: variants: 'base' is what the prompt itself is called"),
        ("\nvariants:\n  terse: {models: [a]}", "USE-CASE.md:3: says nothing that the prompt does not"),
        ("\nvariants:\n  terse:\n    template: Hi", "USE-CASE.md:4: every sample would be asked the same"),
        ("file: nope.txt", "there is no file 'nope.txt' in the folder"),
        ("file: ../outside.txt", "leads out of the folder"),
        ("file: /etc/passwd", "not relative"),
        ("examples: {pool: ../x.jsonl}", "leads out of the folder"),
        ("examples: {pool: nope.jsonl}", "there is no file 'nope.jsonl'"),
        ("examples: {choose: each}", "examples.by: belongs to `choose: same` and `choose: each`"),
        ("examples: {by: kind}", "examples.by: belongs to"),
        ("examples: {choose: same, by: expected.queue}", "would tell it; use `choose: each`"),
        ("examples: {pool: data, items: [{expected: x}]}", "written out here or come from a pool, not both"),
        ("examples: {count: 0}", "examples.count"),
        ("template: '{{input}} {{examples}}'", "there are no {{examples}}: say which under `examples:`"),
        ("system: '{{examples}}'", "there are no {{examples}}"),
        (
            "examples:\n  choose: each\n  by: kind\n  items: [{input: x, expected: y}]",
            "USE-CASE.md:3: the sample '1' has no field 'kind'",
        ),
        ("examples: [{input: x}]", "expected: is missing"),
        ("\nexamples:\n  - {expected: x}", "USE-CASE.md:2: example 1 does not fill the prompt: "),
        (
            "{template: '{{kind}}', examples: [{expected: x}]}",
            "example 1 does not fill the prompt: USE-CASE.md:1: the sample '1' has no value",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path, text, said):
    """File and line, what is wrong there, and what is allowed."""
    message = told(tmp_path, text)
    assert said in message
    assert message.startswith("USE-CASE.md:")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    """A stranger's use case reads no file of ours."""
    (tmp_path / "secret.txt").write_text("{{input}}")
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "ask.txt").symlink_to(tmp_path / "secret.txt")
    assert "link that leads out of the folder" in told(folder, "file: ask.txt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"one\n\xff {{input}}", ":2: not UTF-8"),
        (b"x" * 600_000 + b"\n" + b"x" * 600_000, "longer than 1000000"),
        (b"no variable", ":1: every sample would be asked the same"),
    ],
)
def test_a_template_file_that_cannot_be_used_is_told_with_its_line(tmp_path, content, said):
    """A file of strangers is read within bounds."""
    (tmp_path / "ask.txt").write_bytes(content)
    assert said in told(tmp_path, "file: ask.txt")


def test_an_examples_file_without_answers_is_told(tmp_path):
    """There would be nothing to show."""
    (tmp_path / "solved.jsonl").write_text('{"input": "x"}\n')
    assert "none of them has an expected answer" in told(tmp_path, "examples: {pool: solved.jsonl}")


def test_a_field_to_choose_by_that_a_sample_lacks_is_told_before_any_call(tmp_path):
    """With the place of the declaration; for `each` only examples need it."""
    same = prompt(tmp_path, "examples:\n  choose: same\n  by: kind", samples=list)
    with pytest.raises(UsageError, match=r"USE-CASE.md:3: the sample 'a' has no field 'kind'"):
        same.check(Sample("a", "x"))
    each = prompt(tmp_path, "{examples: {choose: each, by: kind}}", samples=list)
    each.check(Sample("open", "x"))
    with pytest.raises(UsageError, match="has no field 'kind'"):
        each.check(Sample("solved", "x", "y"))


def test_the_json_schema_takes_what_the_loader_takes(tmp_path):
    """Editors check front matter with it."""
    schema = PromptDef.model_json_schema()
    for text in ("{}", "examples: [{input: a, expected: b}]", "examples: {count: 2}", "variants: {x: {system: ''}}"):
        data = strict_yaml.parse(text, "x").data
        jsonschema.validate(data, schema)
        prompt(tmp_path, text)
    for data in ({"templat": "x"}, {"examples": [{"input": "a"}]}, {"mode": "best"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(data, schema)


@pytest.mark.parametrize("page", ["write-and-compare-prompts.md", "choose-samples.md"])
def test_the_documentations_examples_can_be_copied(page):
    """Each block is a front matter as it stands."""
    text = (Path(__file__).parents[1] / "docs" / "how-to" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 1
    for block in blocks:
        assert validated(UseCaseDef, strict_yaml.parse(block, page))
