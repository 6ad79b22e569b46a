"""docs/google-seq2seq.md has every table as the program has it."""

from __future__ import annotations

import re
from pathlib import Path

from seqloom.compat.google_seq2seq.page import FAMILIES, FLAGS, filled, table

PAGE = (Path(__file__).parents[3] / "docs" / "google-seq2seq.md").read_text("utf8")


def test_the_page_has_every_table() -> None:
    assert sorted(re.findall(r"<!-- table: (\w+) -->", PAGE)) == sorted([*FAMILIES, *FLAGS])


def test_every_table_is_as_the_program_has_it() -> None:
    """`python -m seqloom.compat.google_seq2seq.page docs/google-seq2seq.md` writes them anew."""
    assert filled(PAGE) == PAGE


def test_a_table_that_is_not_is_written_anew() -> None:
    page = "before\n<!-- table: bridges -->\n| old |\n<!-- end -->\nafter\n"
    assert filled(page) == f"before\n<!-- table: bridges -->\n{table('bridges')}\n<!-- end -->\nafter\n"
    assert "| `InitialStateBridge` | `DenseBridge` |" in filled(page)
