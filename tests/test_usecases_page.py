"""The page of a use case: what its front matter may say, and how each mistake is told with file and line."""

from __future__ import annotations

import pytest
from usecase_folders import ROW, folder, refusal, written

from pytest_llmbench import usecases
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.judges.shipped import shipped
from pytest_llmbench.prompts import DEFAULT_SYSTEM

FULL = """\
name: triage
description: Which queue a ticket goes to.
prompt:
  template: "Product: {{product}}\\n\\n{{input}}"
  variables: {product: Acme}
output: {schema: {type: object, required: [queue], properties: {queue: {enum: [billing, sales]}}}}
models: [demo/perfect, smollm2-135m:Q4_1]
validators:
  - json-schema
  - {exact: billing, field: queue, weight: 2, name: queue}
rubric: The queue is the right one.
panel: [demo/perfect, demo/echo]
repeats: 3
reducer: pass@2
gates:
  - {metric: ttft_s, max: 2}
tags: [support, short]
sampling: {limit: 1, seed: 7}
chunking: {by: paragraph}
data: {files: data/*.jsonl, slices: [product]}
request: {max_tokens: 50, seed: 1, body: {top_p: 0.9}}"""


def test_a_page_says_everything_about_a_use_case(tmp_path):
    """Each key of the front matter arrives; what the prose says is title and description where the keys do not."""
    case = usecases.load(folder(tmp_path, FULL, prose="# Tickets\n\nProse.\n"))
    assert (case.name, case.title, case.description) == ("triage", "Tickets", "Which queue a ticket goes to.")
    assert (case.models, case.judges) == (("demo/perfect", "smollm2-135m:Q4_1"), ("demo/perfect", "demo/echo"))
    assert (case.repeats, case.reducer, case.tags) == (3, "pass@2", ("support", "short"))
    assert [validator.name for validator in case.validators] == ["json-schema", "queue"]
    assert [gate.metric for gate in case.gates] == ["ttft_s"]
    assert case.request == {"max_tokens": 50, "seed": 1, "temperature": 0.0, "stream": True, "top_p": 0.9}
    assert (case.sampling.limit, case.sampling.seed, case.chunking.by) == (1, 7, "paragraph")
    assert case.output.kind == "json"
    [sample] = case.samples()
    assert case.prompt.messages(sample)[-1]["content"] == "Product: Acme\n\nMy card was charged twice"


def test_a_page_may_leave_everything_out(tmp_path):
    """The folder's name, the first paragraph, the input as it is, and a comparison with the expected answer."""
    case = usecases.load(folder(tmp_path / "tickets", "", prose="# Tickets\n\nThey come\nby mail.\n\nMore.\n"))
    assert (case.name, case.description) == ("tickets", "They come by mail.")
    [sample] = case.samples()
    system, user = case.prompt.messages(sample)
    assert (system["content"], user["content"]) == (DEFAULT_SYSTEM, "My card was charged twice")
    assert [(score.name, score.passed) for score in case.scores(sample, "billing")] == [("exact", True)]


def test_a_folder_with_any_name_is_a_use_case_with_a_plain_one(tmp_path):
    """Names stand in test ids and file names, so blanks and accents do not."""
    assert usecases.load(folder(tmp_path / "Été 2024: tickets (new)")).name == "Ete-2024-tickets-new"
    assert usecases.load(folder(tmp_path / "日本")).name == "use-case"


@pytest.mark.parametrize(
    ("front", "line", "said"),
    [
        ("promt: x", 2, "promt: unknown key; did you mean 'prompt'?"),
        ("name: a\nname: b", 3, "name: the key stands twice, first on line 2"),
        ("a: &x [1]\nb: *x", 2, "anchors (&) and aliases (*) are not allowed"),
        ("name: !!python/object:os.system x", 2, "tags (!) are not allowed"),
        ("name: [", 3, "is not YAML"),
        ("- a\n- b", 2, "the file must be a mapping"),
        ("repeats: 0", 2, "repeats: "),
        ("repeats: three", 2, "repeats: must be a whole number"),
        ("reducer: average", 2, "reducer: 'average' is no reducer"),
        ("reducer: pass@5\nrepeats: 3", 2, "reducer: pass@5 needs 5 repeats or more, not 3"),
        ("judge: demo/perfect", 2, "judge: needs a rubric to go by"),
        ("rubric: x\njudge: a/b\npanel: [a/b, a/c]", 4, "panel: there is a judge already"),
        ("rubric: x\npanel: [a/b]", 3, "panel: a panel is two models or more"),
        ("rubric: {text: x, file: y}", 2, "rubric.file: all is in the file: text cannot stand beside it"),
        ("rubric: {name: x}", 2, "rubric.criteria: the rubric has no criteria"),
        ("rubric: politness", 2, "rubric: there is no rubric 'politness'; did you mean 'politeness'?"),
        ("rubric: rubric.md", 2, "rubric: 'rubric.md' is the name of a file"),
        (
            "rubric:\n  criteria:\n  - {id: a, text: b}\n  - {id: a, text: c}",
            5,
            "rubric.criteria[1].id: 'a' is the id of",
        ),
        ("rubric:\n  criteria:\n  - {id: a, text: b, kind: grade}", 4, "is a grade without anchors"),
        ("rubric: |\n  # A\n  ## Criteria\n  - **a** (wait 2): b", 2, "rubric:3: 'wait 2' means nothing here"),
        ("rubric: x\njudge: {model: a/b, bindng: true}", 3, "judge.bindng: unknown key; did you mean 'binding'?"),
        ("rubric: x\npanel: {models: [a/b, c/d], vote: most}", 3, "panel.vote: 'most' is not allowed"),
        ("rubric: {file: ../secret.txt}", 2, "rubric.file: '../secret.txt' leads out of the folder"),
        ("models: [a/b, a/b]", 2, "models: 'a/b' is empty, not printable, or stands there twice"),
        ("output: {kind: text, schema: {}}", 2, "output.schema: a schema is for json, not for text"),
        ("output: {columns: [a, a]}", 2, "output.columns: a column stands there twice"),
        ("output: xml", 2, "output.kind: 'xml' is not allowed (allowed: 'text', 'json', 'csv')"),
        ("output:\n  schema:\n    type: objekt", 4, "output.schema.type: is no JSON Schema"),
        ("output:\n  schema:\n    $ref: http://x/y", 4, "which lies outside"),
        ("output: {schema: s.json}", 2, "output.schema: there is no file 's.json'"),
        ("output:\n  schema: {$ref: '#'}", 3, "output.schema: the schema is nested too deeply, or refers to itself"),
        ("output: {schema: /etc/passwd}", 2, "output.schema: '/etc/passwd' is not relative"),
        ("validators:\n  - exakt", 3, "did you mean 'exact'?"),
        ("validators:\n  - exact\n  - regex: '('", 4, "validators[1]"),
        ("gates:\n  - {metric: ttft_s}", 3, "gates[0]: needs exactly one of min, max and regression"),
        ("data: {files: ../other}", 2, "data.files: '../other' leads out of the folder"),
        ("data: {files: '../*.jsonl'}", 2, "leads out of the folder"),
        ("data: {files: C:/x}", 2, "is not relative"),
        ("data: {files: nothing}", 2, "data.files: there is no 'nothing' in the folder of the use case"),
        ("data: data/*.csv", 2, "data.files: no file fits 'data/*.csv'"),
        ("prompt: 'Hello {{name}}: {{input}}'", 2, "no value for {{name}}"),
        ("prompt: {file: prompt.md}", 2, "prompt.file"),
        ("prompt: 'Answer this.'", 2, "no variable of a sample stands in it"),
        ("request: {body: {model: x}}", 2, "request.body: model cannot stand here"),
        ("request: {max_tokens: -1}", 2, "request.max_tokens"),
        ("sampling: {limit: none}", 2, "sampling.limit: must be a whole number"),
        ("chunking: {by: page}", 2, "chunking.by: 'page' is not allowed"),
        ("chunking: {tokenizer: t.json}", 2, "chunking.tokenizer: there is no file 't.json'"),
    ],
)
def test_a_mistake_in_the_front_matter_is_told_with_its_line(tmp_path, front, line, said):
    """Nothing is asked of a use case that cannot mean what it says; the reader is sent to the line."""
    told = refusal(folder(tmp_path, front))
    assert f"USE-CASE.md:{line}: " in told
    assert said in told


def test_every_mistake_is_told_at_once(tmp_path):
    """A page with three mistakes needs one look, not three."""
    told = refusal(folder(tmp_path, "repeats: 0\nreducer: most\ntags: [a, a]"))
    assert [line.split(": ")[1] for line in told.splitlines()[:3]] == ["repeats", "reducer", "tags"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"---\nname: a\n", "USE-CASE.md:1: the front matter has no end"),
        (b"# Tickets\n", "USE-CASE.md:1: there is neither a front matter"),
        (b"", "USE-CASE.md:1: there is neither a front matter"),
        (b"---\nname: a\n---\n\xff\xfe\n", "USE-CASE.md:4: is not UTF-8 text"),
        (b"---\n" + b"# x\n" * 300_000 + b"---\n", "is larger than 1,000,000 bytes"),
        (b"---\nname: a\x07\n---\n", "USE-CASE.md:2: is not YAML"),
        (b"---\n" + b"[" * 100 + b"\n---\n", "nested deeper than 20 levels"),
    ],
)
def test_a_page_that_is_none_is_refused(tmp_path, content, said):
    """No end, no front matter, no UTF-8, too large, control characters, a tower of brackets."""
    assert said in refusal(written(tmp_path, {"USE-CASE.md": content, "data/a.jsonl": ROW}))


def test_a_folder_without_a_page_says_how_to_begin(tmp_path):
    """The hint names the verb."""
    with pytest.raises(ConfigError, match="no such file") as error:
        usecases.load(tmp_path)
    assert "llmbench usecase new" in error.value.hint


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path):
    """An editor of another system writes the same page."""
    page = "\ufeff---\r\nname: a\r\nrepeats: x\r\n---\r\n# T\r\n"
    assert "USE-CASE.md:3: repeats" in refusal(written(tmp_path, {"USE-CASE.md": page, "data/a.jsonl": ROW}))


def test_rules_of_three_dashes_in_the_prose_end_nothing(tmp_path):
    """Only the first line after the beginning closes the front matter; a heading inside a fence is code."""
    case = usecases.load(folder(tmp_path, "name: a", prose="```\n# no heading\n```\n\n---\n# Title\n"))
    assert case.title == "Title"


def test_a_schema_and_a_rubric_may_stand_in_files(tmp_path):
    """Paths start at the folder; the schema's own mistakes name its file."""
    front = "output: {schema: answer.json}\nrubric: {file: rubric.md}\njudge: demo/perfect"
    where = folder(
        tmp_path, front, {"data/a.jsonl": ROW, "answer.json": '{"type": "object"}', "rubric.md": "Be right.\n"}
    )
    case = usecases.load(where)
    assert case.output.schema == {"type": "object"}
    assert case.rubric
    assert [(one.id, one.text, one.kind) for one in case.rubric.criteria] == [("rubric", "Be right.", "yes-no")]
    assert case.rubric.name == "rubric"
    assert [validator.name for validator in case.validators] == ["json-schema"]
    (where / "answer.json").write_text('{"type": "objekt"}')
    assert "answer.json: type: is no JSON Schema" in refusal(where)


def test_a_schema_may_be_enforced_by_the_server(tmp_path):
    """The request says so in the form that all providers are asked in."""
    case = usecases.load(folder(tmp_path, "output: {schema: {type: object}, enforced: true}"))
    assert case.request["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    """A symbolic link is as good as a path with two dots."""
    (tmp_path / "secret.json").write_text('{"type": "object"}')
    where = folder(tmp_path / "case", "output: {schema: s.json}")
    (where / "s.json").symlink_to(tmp_path / "secret.json")
    assert "is a link that leads out of the folder" in refusal(where)


def test_the_content_hash_follows_the_content(tmp_path):
    """Data, page and schema count; tests beside them and hidden files do not."""
    case = usecases.load(folder(tmp_path, "name: a"))
    before = case.content_hash
    written(tmp_path, {"test_more.py": "x = 1\n", ".cache/x": "y"})
    assert case.content_hash == before
    written(tmp_path, {"data/a.jsonl": ROW.replace("twice", "thrice")})
    assert case.content_hash != before


def test_the_material_of_a_validator_knows_source_labels_and_schema(tmp_path):
    """The document to stay within is the column that is named so; else what the user asked."""
    row = '{"id": 1, "question": "How much?", "context": "It cost 5 euros.", "expected": {"price": 5}, "tags": "a, b"}'
    front = "prompt: '{{question}}'\noutput: json\ndata: {source: context, slices: [question]}\ntags: [shop]"
    case = usecases.load(folder(tmp_path, front, {"data/a.jsonl": row}))
    [sample] = case.samples()
    material = case.material(sample, "{}")
    assert (material.source, material.input_text, material.labels) == (
        "It cost 5 euros.",
        "How much?",
        {"source": "context"},
    )
    assert material.folder == tmp_path
    assert case.tags_of(sample) == ("shop", "a", "b")
    assert case.slices_of(sample) == {"question": "How much?"}


def test_numbers_of_the_front_matter_stay_what_they_look_like(tmp_path):
    """YAML 1.2: a time is no number, and 1.10 in quotes keeps its zero."""
    case = usecases.load(
        folder(tmp_path, "prompt: {template: '{{input}} {{v}} {{t}}', variables: {v: '1.10', t: 12:30}}")
    )
    [sample] = case.samples()
    assert case.prompt.messages(sample)[-1]["content"].endswith("1.10 12:30")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("s.yaml", "type: object\n", ""),
        ("s.yaml", "type: object\ntype: array\n", "s.yaml:2: type: the key stands twice"),
        ("s.json", "{\n1}", "s.json:2: not JSON"),
        ("s.json", "[1]", "s.json: a JSON Schema is a mapping"),
    ],
)
def test_a_schema_may_be_yaml_and_its_own_mistakes_are_told(tmp_path, name, content, said):
    """Whatever is wrong with the file is told with the file's name."""
    where = folder(tmp_path, f"output: {{schema: {name}}}", {"data/a.jsonl": ROW, name: content})
    if said:
        assert said in refusal(where)
    else:
        assert usecases.load(where).output.schema == {"type": "object"}


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ("output: {kind: text, columns: [a]}", "columns are for csv, not for text"),
        ("output: {schema: {}, columns: [a]}", "there is a schema already"),
        ("output: {enforced: true}", "output.enforced: needs a schema"),
        ("rubric: {file: nothing.md}\njudge: demo/perfect", "rubric.file: "),
        ("data: {files: 'data/[', each: row}", "data.files: no file fits"),
        ("data: {files: data/a.jsonl, source: passage}", "there is no column 'passage'"),
        ("data: {ground_truth: answers}", "data.ground_truth: there is no 'answers'"),
    ],
)
def test_keys_that_do_not_go_together_are_told(tmp_path, front, said):
    """A form without its schema, a rubric without its file, a column that no row has."""
    assert said in refusal(folder(tmp_path, front))


JUDGED = """\
name: desk
rubric: politeness
judge: demo/perfect"""


def test_a_rubric_may_be_a_shipped_one_or_stand_in_the_page(tmp_path):
    """By its name; or written out, where it is called as the use case is."""
    assert usecases.load(folder(tmp_path / "a", JUDGED)).rubric == shipped("politeness")
    inline = "{pass_at: 0.7, scale: {1: bad, 2: good}, criteria: [{id: tone, text: Kind.}]}"
    rubric = usecases.load(folder(tmp_path / "b", JUDGED.replace("politeness", inline))).rubric
    assert rubric
    assert (rubric.name, rubric.pass_at, rubric.criteria[0].scale) == ("desk", 0.7, {1: "bad", 2: "good"})
    written_out = "|\n  # Desk\n  ## Criteria\n  - **tone** (must): Kind."
    rubric = usecases.load(folder(tmp_path / "c", JUDGED.replace("politeness", written_out))).rubric
    assert rubric
    assert (rubric.name, rubric.title, rubric.criteria[0].must) == ("desk", "Desk", True)


def test_a_mistake_in_the_file_of_a_rubric_is_told_with_its_own_line(tmp_path):
    """The reader is sent to the file, not to the page that names it."""
    front = JUDGED.replace("politeness", "{file: r.yaml}")
    where = folder(tmp_path, front, {"data/a.jsonl": ROW, "r.yaml": "criteria:\n- {id: a, text: x, weight: -1}\n"})
    assert "r.yaml:2: criteria[0].weight: must be a number above 0" in refusal(where)


def test_a_judge_or_a_panel_says_how_it_is_asked(tmp_path):
    """A name alone is asked at temperature 0, and binds nothing before it was calibrated."""
    plain = usecases.load(folder(tmp_path / "a", JUDGED)).judging
    assert plain
    assert (plain.models, plain.vote, plain.binding) == (("demo/perfect",), "majority", False)
    assert plain.request["temperature"] == 0
    said = "judge: {model: demo/perfect, binding: true, request: {max_tokens: 300, body: {top_k: 1}}}"
    judge = usecases.load(folder(tmp_path / "b", JUDGED.replace("judge: demo/perfect", said))).judging
    assert judge
    assert (judge.binding, judge.request["max_tokens"], judge.request["top_k"]) == (True, 300, 1)
    said = "panel: {models: [demo/perfect, demo/echo], vote: veto}"
    panel = usecases.load(folder(tmp_path / "c", JUDGED.replace("judge: demo/perfect", said))).judging
    assert panel
    assert (panel.models, panel.vote) == (("demo/perfect", "demo/echo"), "veto")


def test_a_rubric_alone_judges_nobody_and_is_no_error(tmp_path):
    """`--judge` may name one; until then the lint says that nothing scores a reply."""
    case = usecases.load(folder(tmp_path, "rubric: politeness"))
    assert (case.judging, case.judges, case.validators) == (None, (), ())
    assert "there is a rubric and nobody judges by it" in str(next(usecases.lint(case)))
