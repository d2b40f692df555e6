"""How commands print: tables in a terminal, plain lines in a pipe, JSON where a script wants it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click


def in_terminal() -> bool:
    """Whether a person reads what is printed."""
    return sys.stdout.isatty()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], dim: Sequence[bool] = ()) -> None:
    """A table in a terminal, with the rows where ``dim`` is true in the background; else a line per row, tab-separated.

    Nothing that is printed can steer a terminal.
    """
    if not in_terminal():
        for row in rows:
            click.echo("\t".join(map(printable, row)))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for number, row in enumerate(rows):
        cells = [Text(printable(cell), overflow="fold") for cell in row]
        table.add_row(*cells, style="dim" if number < len(dim) and dim[number] else None)
    Console().print(table)


def print_json(value: object) -> None:
    """One line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=False))


def printable(text: str) -> str:
    """``text`` on one line, with escapes for whatever a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
