"""`hrpose-rt doctor`: what this machine has, and what to do about what it lacks."""

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hrpose_rt.cli import options

MARKS = {True: "[green]ok[/]", None: "[dim]-[/]", False: "[red]no[/]"}


def doctor(debug: options.Debug = False) -> None:
    """Say what there is and what to do about what there is not; exit status 1 if something is broken."""
    from hrpose_rt.doctor import examine

    findings = examine()
    table = Table("", "what", box=None)
    for head in ("found", "to do"):
        table.add_column(head, overflow="fold")  # where nobody can widen the terminal, nothing is cut off
    for finding in findings:
        table.add_row(MARKS[finding.good], finding.what, escape(finding.found), escape(finding.todo))
    Console().print(table)
    raise typer.Exit(int(any(finding.good is False for finding in findings)))
