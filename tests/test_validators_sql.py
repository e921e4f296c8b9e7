"""SQL of a model: the same rows as the expected query, run by SQLite, where it can do no harm."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scorers import defects, made, scored

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.validators import sql
from pytest_llmbench.validators.sql import difference, is_ordered

TABLES = """
create table item(id integer primary key, name text not null, price real, kind text);
insert into item values (1,'pen',1.5,'a'),(2,'book',12,'b'),(3,'lamp',30,'b'),(4,'mug',12,'a');
create table sale(
    item_id integer references item(id), day text, count integer, primary key (item_id, day)
) without rowid;
insert into sale values (1,'2026-01-01',3),(2,'2026-01-01',1),(2,'2026-01-02',5);
create view dear as select * from item where price > 10;
create index item_kind on item(kind);
"""
DEAR = "SELECT name FROM item WHERE price > 10"


@pytest.fixture
def folder(tmp_path):
    """A use case's folder with its tables, as a script and as a database."""
    (tmp_path / "tables.sql").write_text(TABLES)
    connection = sqlite3.connect(tmp_path / "tables.db")
    connection.executescript(TABLES)
    connection.close()
    return tmp_path


@pytest.mark.parametrize("tables", ["tables.sql", "tables.db"])
@pytest.mark.parametrize(
    ("reply", "expected", "passed"),
    [
        ("select name from dear", DEAR, True),
        ("```sql\nselect name as title from item where price >= 12 order by 1 desc;\n```", DEAR, True),
        ("Here:\n```\nselect name from dear\n```\nThis lists dear items.", DEAR, True),
        ("select name from item", DEAR, False),
        ("select name, price from dear", DEAR, False),
        ("select distinct price from dear", "select price from dear", False),
        ("select name from item order by name", "select name from item order by name desc", False),
        ("select count(*) from item", "select 4.0", True),
        ("select 1/3.0", "select 0.333333333333", True),
        ("select null", "select ''", False),
        ("select '1'", "select 1", False),
        ("with d as (select * from dear) select name from d", DEAR, True),
        ("select colour from item", DEAR, False),
        ("I cannot do that.", DEAR, False),
        ("", DEAR, False),
    ],
)
def test_a_query_is_right_where_it_gives_the_same_rows(folder, tables, reply, expected, passed):
    """Names of columns and the order of rows count only where the expected query says so."""
    found = scored({"sql": tables}, reply, expected, folder=folder)
    assert (found.state, found.passed, found.executed) == ("scored", passed, True)


@pytest.mark.parametrize(
    "attack",
    [
        "drop table item",
        "delete from item",
        "insert into item values (9, 'x', 1, 'a')",
        "update item set price = 0",
        "create table x(a)",
        "attach database '/tmp/llmbench-attack.db' as x",
        "vacuum into '/tmp/llmbench-attack.db'",
        "pragma user_version = 5",
        "select load_extension('x')",
        "select * from pragma_database_list",
        "select 1; drop table item",
        "begin; delete from item; commit",
    ],
)
def test_no_query_changes_or_reaches_anything(folder, attack):
    """It reads the tables; the next query meets them as they were."""
    for tables in ("tables.sql", "tables.db"):
        before = (folder / tables).read_bytes()
        assert scored({"sql": tables}, attack, DEAR, folder=folder).passed is False
        assert scored({"sql": tables}, DEAR, DEAR, folder=folder).passed
        assert (folder / tables).read_bytes() == before


@pytest.mark.parametrize(
    "endless",
    [
        "with recursive t(x) as (select 1 union all select x + 1 from t) select count(*) from t",
        "with recursive t(x) as (select 1 union all select x + 1 from t) select x from t",
        "with recursive t(y) as (select zeroblob(9999) union all select y from t) select y from t order by 1",
        "select hex(zeroblob(1000000000))",
        "select printf('%.*c', 100000000, 'x')",
        "select " + "(" * 5000 + "1" + ")" * 5000,
        "\ud800",
    ],
)
def test_a_query_that_takes_for_ever_or_all_memory_is_wrong(folder, monkeypatch, endless):
    """Within a second or so, and the run goes on."""
    monkeypatch.setattr(sql, "STEPS", 2_000_000)
    assert scored({"sql": "tables.sql"}, endless, DEAR, folder=folder).passed is False
    assert scored({"sql": "tables.sql"}, DEAR, DEAR, folder=folder).passed


@pytest.mark.parametrize("tables", ["tables.sql", "tables.db"])
@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("select colour from item", "the expected query fails: no such column: colour"),
        ("select name from item where price > 99", "the expected query gives no rows"),
        ("select name from item order by price", "the expected query leaves open"),
        ("select name from item where kind = 'b' limit 1", "the expected query leaves open"),
        ("select name from dear order by kind", "the expected query leaves open"),
        ("select count from sale order by item_id", "the expected query leaves open"),
        ("select name from item order by price, id", ""),
        ("select name, price from item", ""),
        ("select kind, count(*) from item group by kind order by kind", ""),
        (None, "the sample has no expected answer"),
    ],
)
def test_the_lint_runs_the_expected_query(folder, tables, expected, said):
    """A right reply could give ties in another order than ours, and would be called wrong."""
    found = defects({"sql": tables}, expected, folder=folder)
    assert [text[: len(said)] for text in found] == ([said] if said else [])


def test_an_expected_query_that_fails_is_an_error_and_no_wrong_reply(folder):
    """It is the author's."""
    assert scored({"sql": "tables.sql"}, DEAR, "select colour from item", folder=folder).state == "error"


@pytest.mark.parametrize(
    ("text", "ordered"),
    [
        ("select a from b order by a", True),
        ("select a from b ORDER\nBY a", True),
        ("select a from (select a from b order by a)", False),
        ("select a, row_number() over (order by a) from b", False),
        ("select 'order by' from b", False),
        ("select a from b -- order by a", False),
        ("select a from b /* order by a */ order /* x */ by a", True),
        ('select "order by" from b', False),
    ],
)
def test_only_the_outermost_order_by_orders_the_rows(text, ordered):
    """Not one in brackets, a text or a comment."""
    assert is_ordered(text) is ordered


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 2), st.none() | st.text(max_size=2)), max_size=6), data=st.data())
def test_rows_are_a_bag_unless_they_are_ordered(rows, data):
    """Twice is not once."""
    shuffled = data.draw(st.permutations(rows))
    ours = {"columns": ["a", "b"], "rows": [list(row) for row in rows]}
    theirs = {"columns": ["c", "d"], "rows": [list(row) for row in shuffled]}
    assert difference(theirs, ours, ordered=False) == ""
    assert bool(difference(theirs, ours, ordered=True)) is (shuffled != rows)
    assert difference({**theirs, "rows": [*theirs["rows"], [0, ""]]}, ours, ordered=False)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("nowhere.sql", "there is no file 'nowhere.sql'"),
        ("../tables.sql", "leads out of the folder"),
        ("notes.txt", "needs its tables"),
        ({"query": "select 1"}, "needs its tables"),
        ("broken.sql", 'the tables cannot be made: near "creat"'),
        ({"tables": "broken.sql"}, "validators[0].sql.tables: the tables cannot be made"),
        ("latin.sql", "cannot be read as UTF-8"),
        ("no.db", "the tables cannot be made"),
    ],
)
def test_tables_that_cannot_be_made_are_refused_at_load(folder, argument, said):
    """With the place, before any call."""
    (folder / "broken.sql").write_text("creat table x(a)")
    (folder / "latin.sql").write_bytes("-- caf\xe9".encode("latin-1"))
    (folder / "no.db").write_bytes(b"this is no database, whatever its name says")
    with pytest.raises(ConfigError) as refused:
        made({"sql": argument}, folder)
    assert said in str(refused.value)
