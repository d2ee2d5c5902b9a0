"""Cells of files that people open in spreadsheets: nothing in them is ever computed (R42), and they come back as they went."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def neutral(cell: str) -> str:
    """The cell as a spreadsheet shows it instead of computing it: text that could begin a formula gets an apostrophe (R42)."""
    return f"'{cell}" if cell.lstrip("'").startswith(_FORMULA) else cell


def plain(cell: str) -> str:
    """The text that neutral() was given."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell
