"""`pipeline plan`: the calendar as it stands, or as it would be on another day."""

from __future__ import annotations

import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline import app
from pipeline.cli.options import as_json, print_json, project
from pipeline.errors import EXIT_FINE, EXIT_PROBLEMS
from pipeline.problems import as_text, has_errors
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.review import Review, View


_NOTHING_SENT = frozenset(("held", "missed", "cancelled", "deleted"))


@click.command("plan")
@click.argument("campaign", required=False)
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="The plan as it would be on that day.")
@click.option(
    "--ics", type=click.Path(dir_okay=False, path_type=Path), help="Also write the calendar to this file."
)
@click.option("--list", "as_list", is_flag=True, help="One line a day, in place of weeks.")
@as_json
@project
def plan_command(
    settings: Settings,
    quiet: bool,
    campaign: str | None,
    as_of: datetime | None,
    ics: Path | None,
    as_list: bool,
    json_output: bool,
) -> None:
    """Show which entry goes out on which day, and what changed since the plan was last shown."""
    day = as_of.date() if as_of else None
    with app.open_review(settings, make_ledger=True) as review:
        problems = review.problems(calendars=as_of is None)
        views = review.views(campaign, day)
        changes = {} if as_of else review.changes(views)
        if ics:
            review.write_ics(ics, views)
        documents = [review.document(view) for view in views]
    if json_output:
        print_json({"campaigns": [one | {"changes": changes.get(one["id"], [])} for one in documents]})
    else:
        for view, document in zip(views, documents, strict=True):
            _show(review, view, document, day, as_list=as_list)
            _show_changes(changes.get(document["id"], []))
    if problems and not quiet:
        click.echo(as_text(problems), err=True)
    sys.exit(EXIT_PROBLEMS if has_errors(problems) else EXIT_FINE)


def _show(review: Review, view: View, document: dict[str, Any], day: date | None, *, as_list: bool) -> None:
    from pipeline.cli.calendar import NARROWEST, print_weeks
    from pipeline.cli.tables import output
    from pipeline.month import shown_slot, weeks

    console = output()
    click.echo(document["title"] + ("  (over: nothing more is planned)" if document["over"] else ""))
    if as_list or console.width < NARROWEST:
        _show_list(document)
    else:
        today = day or review.today(view.campaign)
        titles = {name: entry.title for name, entry in review.entries.items()}
        event = view.campaign.event
        print_weeks(
            console, weeks(view.campaign, view.calendar, titles, today), event.name, over=document["over"]
        )
        slot = shown_slot(view.calendar, today)
        if slot is not None:
            row = next(row for row in document["slots"] if row["entry"] == slot.entry)
            _show_day(row, document, "Today" if slot.date == today else "Next", titles)
    for left in document["unplaced"]:
        click.echo(f"without a day: {left['entry']}: {left['reason']}")
    for price in document["prices"]:
        click.echo(f"{price['channel']}: {_posts(price)}: about ${Decimal(price['total']):.2f}")


def _posts(price: dict[str, Any]) -> str:
    return ", ".join(
        f"{kind['posts']} {'post' if kind['posts'] == 1 else 'posts'} "
        f"{'with' if kind['link'] else 'without'} a link at ${_dollars(kind['price'])}"
        for kind in price["kinds"]
    )


def _dollars(price: str) -> str:
    """At least two decimals, and no zero behind them."""
    whole, _, part = f"{Decimal(price):f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')}"


def _show_changes(changes: list[str]) -> None:
    if changes:
        click.echo("Changed since the plan was last shown:")
        for line in changes:
            click.echo(f"  {line}")


def _show_day(row: dict[str, Any], document: dict[str, Any], when: str, titles: dict[str, str]) -> None:
    """One day in full: each channel, when, and how long its text is."""
    from pipeline.cli.tables import local
    from pipeline.month import WEEKDAYS
    from pipeline.remembered import MONTHS

    day = date.fromisoformat(row["date"])
    words = f"{WEEKDAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]}, J-{row['days_left']}"
    click.echo(f"{when}: {words}: {titles.get(row['entry'], row['entry'])}{_standing(row, document)}")
    for channel in row["channels"]:
        at = local(channel["due"], document["timezone"])
        click.echo(f"  {at} {channel['channel']}{_length(channel)}{_state(channel, row, document)}")


def _show_list(document: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    from pipeline.cli.tables import local, print_table

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("day", "", "entry", "channels"):
        table.add_column(heading, overflow="fold")
    for slot in document["slots"]:
        channels = [
            f"{row['channel']} {local(row['due'], document['timezone'])}{_length(row)}"
            + _state(row, slot, document)
            for row in slot["channels"]
        ]
        entry = slot["entry"] + _standing(slot, document)
        table.add_row(slot["date"], f"J-{slot['days_left']}", entry, ", ".join(channels))
    print_table(table)


def _standing(slot: dict[str, Any], document: dict[str, Any]) -> str:
    return "" if slot["standing"] == "ahead" or document["over"] else f" [{slot['standing']}]"


def _state(row: dict[str, Any], slot: dict[str, Any], document: dict[str, Any]) -> str:
    """That this channel gets nothing, where the standing of the day does not say so."""
    told = row["state"] in _NOTHING_SENT and row["state"] != slot["standing"] and not document["over"]
    return f" [{row['state']}]" if told else ""


def _length(row: dict[str, Any]) -> str:
    if "problem" in row:
        return f" ({row['problem']})"
    if row["limit"] is None:
        return ""
    return f" {row['length']}/{row['limit']}{' shortened' if row['shortened'] else ''}"
