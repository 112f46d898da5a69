"""What is printed where."""

from __future__ import annotations

from bertcompress.report.tables.blocks import Cell, Column, Paragraph, Section, Table, text_table


def test_a_table_keeps_the_columns_of_its_place() -> None:
    columns = (Column("a"), Column("b", where="page"), Column("c", text_title="see"))
    table = Table("t", columns, ((Cell("1"), Cell("2"), Cell("3")),))

    text, page = table.only("text"), table.only("page")

    assert [column.name for column in text.columns] == ["a", "see"]
    assert [cell.text for cell in text.rows[0]] == ["1", "3"]
    assert page == table


def test_a_section_keeps_the_blocks_of_its_place() -> None:
    both, page = Paragraph("both"), Paragraph("page", where="page")

    section = Section("s", "S", (both, page))

    assert section.only("text") == (both,)
    assert section.only("page") == (both, page)


def test_a_note_stands_in_brackets_and_the_page_s_own_does_not() -> None:
    assert Cell("5.1", "4.9 to 5.3").with_note == "5.1 (4.9 to 5.3)"
    assert Cell("5.1", page_note="batch 8").with_note == "5.1"


def test_plain_texts_become_cells() -> None:
    table = text_table("t", ("a", "b"), [("1", "2")], kind="words")

    assert table.columns == (Column("a"), Column("b"))
    assert table.rows == ((Cell("1"), Cell("2")),)
