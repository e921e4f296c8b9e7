"""Everything public is documented, and what the documentation says can be done."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

import pytest_llmbench
from pytest_llmbench import config, plugin
from pytest_llmbench.cli.verbs import VERBS
from pytest_llmbench.config import strict_yaml
from pytest_llmbench.config.own import OwnConfig
from pytest_llmbench.config.validating import validated
from pytest_llmbench.errors import Category, ExitCode
from pytest_llmbench.evaluations.calibration_file import CalibrationDef
from pytest_llmbench.fixtures import NAMES
from pytest_llmbench.judges.choosing import of_text
from pytest_llmbench.judges.rubric_reading import read
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.options import OPTIONS
from pytest_llmbench.records import Outcome
from pytest_llmbench.usecases.front_matter import UseCaseDef

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINKING = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"))]
MARKERS = [re.match(r"\w+", line).group() for line in plugin.MARKERS]


def page_name(path: Path) -> str:
    """How a page is called in a test's id."""
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def text() -> str:
    """All of the documentation."""
    return "\n".join(path.read_text(encoding="utf-8") for path in PAGES)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_documented_under_all_its_names(text, option):
    """A reader finds the flag, the variable and, where a file may set it, the ini key."""
    names = [option.flag, option.short_flag]
    names += [] if option.cli_only else [option.env]
    names += [option.ini] if option.in_project_files else []
    assert [name for name in names if not _has_word(text, name)] == []


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_is_documented_with_its_definition(text, metric):
    """A number in a report can be looked up."""
    assert f"`{metric.name}`" in text
    assert metric.definition.replace("|", "\\|") in text


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name)
def test_every_exit_code_is_documented(text, code):
    """A red build can be looked up."""
    assert re.search(rf"^\| *`?{int(code)}`? *\|", text, re.MULTILINE)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_is_documented(text, outcome):
    """A reader knows what each count in a report counts."""
    assert f"| `{outcome}` |" in text


@pytest.mark.parametrize("category", Category)
def test_every_error_category_is_documented(text, category):
    """An infra error's category can be looked up."""
    assert f"`{category}`" in text


@pytest.mark.parametrize("name", [*sorted(NAMES), *MARKERS])
def test_every_fixture_and_marker_is_documented(text, name):
    """What a test can ask for stands in the reference."""
    assert f"`{name}`" in text


@pytest.mark.parametrize("name", [name for name in pytest_llmbench.__all__ if not name.startswith("_")])
def test_every_public_name_is_documented(text, name):
    """What may be imported is named; all else may change."""
    assert _has_word(text, name)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_is_documented(text, verb):
    """What can be typed is written down."""
    assert f"llmbench {verb.name}" in text


def test_every_fixture_explains_itself():
    """`pytest --fixtures` is the manual."""
    command = [sys.executable, "-m", "pytest", "--fixtures", "-q", "--no-header", "-p", "no:cacheprovider", DOCS]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False).stdout
    for name in NAMES:
        assert re.search(rf"^{name}( \[\w+ scope\])? -- .*\n    \S", shown, re.MULTILINE), name
    assert "no docstring available" not in shown.partition("pytest_llmbench")[2]


@pytest.mark.parametrize("page", LINKING, ids=page_name)
def test_links_to_files_and_headings_resolve(page):
    """No reader of the repository follows a link into nothing; mkdocs checks the site by itself."""
    for link in re.findall(r"\]\(([^)\s]+)\)", _without_code(page.read_text(encoding="utf-8"))):
        path, _, anchor = unquote(link).partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("page", LINKING, ids=page_name)
def test_flags_in_the_documentation_exist(page):
    """A flag that was renamed is renamed in the texts, too."""
    known = {option.flag for option in OPTIONS}
    short = {option.short_flag for option in OPTIONS} | {
        name for verb in VERBS for a in verb.arguments for name in a.names
    }
    written = page.read_text(encoding="utf-8")
    assert set(re.findall(r"--llmbench(?:-\w+)+", written)) - known == set()
    typed = " ".join(re.findall(r"^\s*(?:\$|- run:) llmbench .*$", written, re.MULTILINE))
    assert set(re.findall(r"(?<!\S)--[a-z][\w-]*", typed)) - short == set()


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_examples_of_the_configuration_are_valid(page):
    """Each llmbench.yaml in the documentation can be copied as it is; one with a key_command into the user's own."""
    sections = tuple(f"{name}:" for name in config.LlmbenchConfig.model_fields)
    for block in _blocks(page, "yaml"):
        if block.startswith(sections):
            shape = OwnConfig if "key_command:" in block else config.LlmbenchConfig
            assert isinstance(validated(shape, strict_yaml.parse(block, page_name(page))), shape)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_examples_of_use_cases_are_valid(page):
    """Each page of a use case in the documentation, and each part of its front matter, can be copied as it is."""
    others = {"name", *config.LlmbenchConfig.model_fields}  # a workflow of GitHub begins with a name, too
    keys = tuple(f"{name}:" for name in UseCaseDef.model_fields if name not in others)
    pages = [block for block in _blocks(page, "markdown") if "\n## Criteria\n" not in block]
    fronts = [block.split("---\n")[1] for block in pages if block.startswith("---\n")]
    for front in [*fronts, *(block for block in _blocks(page, "yaml") if block.startswith(keys))]:
        assert isinstance(validated(UseCaseDef, strict_yaml.parse(front, page_name(page))), UseCaseDef)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_examples_of_rubrics_are_valid(page):
    """Each rubric in the documentation can be copied into a file of its own, or stands in a page as it is."""
    for block in _blocks(page, "markdown"):
        if "\n## Criteria\n" in block:
            assert len(read(block, page_name(page)).criteria) > 1
    for block in _blocks(page, "yaml"):
        if block.startswith("rubric:"):
            said = validated(UseCaseDef, strict_yaml.parse(block, page_name(page))).rubric
            assert said
            assert said.file or said.criteria or of_text(said.text, page_name(page)).criteria


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_examples_of_calibrations_are_valid(page):
    """Each calibration file in the documentation can be copied as it is."""
    for block in _blocks(page, "yaml"):
        if block.startswith("labels:"):
            assert validated(CalibrationDef, strict_yaml.parse(block, page_name(page))).labels


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_examples_in_python_compile(page):
    """Each test in the documentation can be copied as it is."""
    for block in _blocks(page, "python"):
        assert ast.parse(block, page_name(page)).body


def test_every_test_that_the_reliability_page_names_exists():
    """A promise without its test is none."""
    page = (DOCS / "explanation" / "reliability.md").read_text(encoding="utf-8")
    file, missing = "", []
    for named, test in re.findall(r"`(test_\w+\.py)?(?:::(\w+))?`", page):
        file = named or file
        if file and not _has_word((ROOT / "tests" / file).read_text(encoding="utf-8"), test or "def"):
            missing.append(f"{file}::{test}")
    assert page.count("`test_") > 100
    assert missing == []


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def _blocks(page: Path, language: str) -> Iterator[str]:
    yield from re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
