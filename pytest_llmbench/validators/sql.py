"""SQL that a model wrote: it is right where it gives the same rows as the expected query, over the same tables.

Both are run by SQLite, in a process apart, over a copy in memory, reading only. Names of columns do not count; the
order of rows counts where the expected query says ORDER BY.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.records.score import Score
from pytest_llmbench.validators import apart
from pytest_llmbench.validators.fenced import code_of
from pytest_llmbench.validators.material import NOTHING_EXPECTED, Material
from pytest_llmbench.validators.scorer import Scorer, Validator, Where, keys_of, ran, unscored, verdict

LIMIT_S = 5.0
STEPS = 20_000_000
"""SQLite's instructions that a query may take: about a second."""
_SHOWN = 3
_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?(?:\*/|$)|\w+|[()]", re.DOTALL
)
_ENDINGS = (".sql", ".db", ".sqlite", ".sqlite3")

Result = Mapping[str, Any]


class TablesError(ValueError):
    """There are no tables to run queries over; the message says why."""


@dataclass(frozen=True, slots=True)
class Sql:
    """Runs the expected query and the reply's, and compares what they give."""

    script: str
    """SQL that makes the tables; empty where there is a database file."""
    database: str = ""
    query: str | None = None
    """What is expected; None: the sample's expected answer."""

    def score(self, material: Material) -> Score:
        """Whether both queries give the same rows."""
        wanted = self._wanted(material)
        if not wanted:
            return unscored(NOTHING_EXPECTED)
        written = code_of(material.answer).strip()
        if not written:
            return ran(verdict(passed=False, reason="the reply is empty"))
        truth, given = self._run([wanted, written])
        if "error" in truth:
            return Score("", state="error", reason=f"the expected query failed: {truth['error']}")
        if "error" in given:
            return ran(verdict(passed=False, reason=f"the query failed: {given['error']}"[:400], sql=written[:2000]))
        differs = difference(given, truth, ordered=is_ordered(wanted))
        return ran(verdict(not differs, differs or "the same rows", sql=written[:2000]))

    def defects(self, material: Material) -> list[str]:
        """An expected query that fails, gives no rows, or rows whose order it leaves open although the order counts."""
        wanted = self._wanted(material)
        if not wanted:
            return [NOTHING_EXPECTED]
        try:
            truth = self._run([wanted])[0]
        except TablesError as error:
            return [str(error)]
        if "error" in truth:
            return [f"the expected query fails: {truth['error']}"]
        if not truth["rows"]:
            return ["the expected query gives no rows: an empty result is right by accident too easily"]
        if self._leaves_open(wanted, truth):
            return ["the expected query leaves open which rows come, or in which order (ties): add columns to ORDER BY"]
        return []

    def _leaves_open(self, wanted: str, truth: Result) -> bool:
        try:
            backwards = self._run([wanted], reverse=True)[0]
        except TablesError:  # tables that cannot be turned around tell nothing
            return False
        return "error" not in backwards and bool(difference(backwards, truth, ordered=is_ordered(wanted)))

    def try_at(self, where: Where) -> None:
        """Make the tables once.

        Raises:
            ConfigError: they cannot be made.
        """
        try:
            made = self._run(["select count(*) from sqlite_master"])[0]
        except TablesError as error:
            raise where.error(str(error)) from error
        if "error" in made:
            raise where.error(f"the tables cannot be made: it {made['error']}")

    def _wanted(self, material: Material) -> str:
        return code_of(material.wanted if self.query is None else self.query).strip()

    def _run(self, queries: Sequence[str], *, reverse: bool = False) -> list[Result]:
        """What each gives; where one took the process with it, the others are run again by themselves."""
        try:
            return self._run_together(queries, reverse=reverse)
        except apart.ApartError as error:
            if not error.late:
                raise TablesError(f"the tables cannot be made: {error}") from error
            if len(queries) == 1:
                return [{"error": str(error)}]
        return [self._run([query], reverse=reverse)[0] for query in queries]

    def _run_together(self, queries: Sequence[str], *, reverse: bool) -> list[Result]:
        arguments = {
            "script": self.script,
            "database": self.database,
            "queries": list(queries),
            "steps": STEPS,
            "reverse": reverse,
        }
        return list(apart.run("cell_queries:query", arguments, LIMIT_S)["results"])


def difference(given: Result, wanted: Result, *, ordered: bool) -> str:
    """What is different between two results; empty where they are the same."""
    ours, theirs = list(_rows(wanted)), list(_rows(given))
    if len(given["columns"]) != len(wanted["columns"]):
        return f"{len(given['columns'])} columns, expected are {len(wanted['columns'])}"
    if len(ours) != len(theirs):
        return f"{len(theirs)} rows, expected are {len(ours)}"
    if sorted(ours) != sorted(theirs):
        other = [row for row, key in zip(given["rows"], theirs, strict=True) if key not in set(ours)]
        return f"other rows than expected, such as {str(other[:_SHOWN])[:300]}"
    return "the same rows in another order" if ordered and ours != theirs else ""


def is_ordered(sql: str) -> bool:
    """Whether a query says in which order its rows come: ORDER BY outside of all brackets."""
    depth, before = 0, ""
    for token in _TOKEN.finditer(sql):
        word = token[0].lower()
        if word.startswith(("--", "/*")):
            continue
        depth += (word == "(") - (word == ")")
        if word == "by" and before == "order" and depth == 0:
            return True
        before = word
    return False


def _rows(result: Result) -> Iterator[tuple[tuple[str, str], ...]]:
    """Rows that can be compared and sorted; whole numbers exactly, others to 12 digits, 1 and 1.0 being one."""
    for row in result["rows"]:
        yield tuple(map(_comparable, row))


def _comparable(value: Any) -> tuple[str, str]:
    if isinstance(value, float):
        near = value if value.is_integer() else float(f"{value:.12g}")
        value = int(near) if near.is_integer() else near
    return ("number" if isinstance(value, int | float) else type(value).__name__, str(value))


def _sql(argument: Any, where: Where) -> Scorer:
    keys = (
        {"tables": argument} if isinstance(argument, str) else keys_of(argument, where, {"tables": str, "query": str})
    )
    name = keys.get("tables", "")
    if not name.lower().endswith(_ENDINGS):
        raise where.error("needs its tables: a file of the folder", hint="sql: {tables: tables.sql}, or a .db file")
    here = where.at("tables") if isinstance(argument, dict) else where
    is_script = name.lower().endswith(".sql")
    scorer = Sql(
        script=here.text_of(name) if is_script else "",
        database="" if is_script else str(here.file(name).resolve()),
        query=keys.get("query"),
    )
    scorer.try_at(here)
    return scorer


TABLE = (
    Validator(
        "sql",
        "a query that gives the same rows as the expected one, run by SQLite over these tables",
        _sql,
        {"tables": "tables.sql"},
    ),
)
