"""`hrpose-rt doctor`: what this machine has, and what to do about what it lacks."""

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hrpose_rt.cli import options

MARKS = {True: "[green]ok[/]", None: "[dim]-[/]", False: "[red]no[/]"}


def doctor(debug: options.Debug = False) -> None:
    """Say what there is and what to do about what there is not; exit status 1 if something is broken."""
    from hrpose_rt.doctor import run_checks

    checks = run_checks()
    table = Table("", "what", box=None)
    for head in ("found", "to do"):
        table.add_column(head, overflow="fold")  # where nobody can widen the terminal, nothing is cut off
    for check in checks:
        table.add_row(MARKS[check.ok], check.name, escape(check.result), escape(check.fix))
    Console().print(table)
    raise typer.Exit(int(any(check.ok is False for check in checks)))
