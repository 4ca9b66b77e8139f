"""What the ledger keeps for others: released entries for the feeds, the last good version of each file.

What must stay true: an entry is released once, and its `released` never changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, select, update

from pipeline.errors import WrongUse
from pipeline.ledger import rows
from pipeline.ledger.room import Room, insert_new, put
from pipeline.ledger.schema import files
from pipeline.ledger.schema import releases as releases_table
from pipeline.model import Release, ReleaseMark

# Databases take only so many values in one statement; this is well within all of them.
IDS_AT_ONCE = 500


class Shelf(Room):
    """The ledger's side of feeds and hot reload."""

    def release(self, release: Release) -> bool:
        """Record that the entry became visible; False when it already was, and then nothing changes.

        Raises WrongUse for a campaign that was never adopted.
        """
        values = {
            "campaign": release.campaign,
            "entry": release.entry.id,
            "date": release.date,
            "released": release.released,
            "updated": release.updated,
            "snapshot": rows.snapshot(release.entry),
        }
        with self._database.writing() as connection:
            self._known(connection, release.campaign)
            new = insert_new(connection, releases_table, values)
            if new:
                self._append_about(
                    connection,
                    release.released,
                    "released",
                    campaign=release.campaign,
                    entry=release.entry.id,
                )
            return new

    def refresh(self, release: Release) -> None:
        """Replace the entry's snapshot and `updated`. Writes only what is new.

        Raises WrongUse for an entry that is not released.
        """
        c = releases_table.c
        this = (c.campaign == release.campaign, c.entry == release.entry.id)
        new = (rows.snapshot(release.entry), release.updated)
        with self._database.writing() as connection:
            found = connection.execute(
                select(c.snapshot, c.updated).where(*this).with_for_update()
            ).one_or_none()
            if found is None:
                raise WrongUse(f"{release.campaign}/{release.entry.id} is not released, nothing to refresh")
            if tuple(found) == new:
                return
            connection.execute(update(releases_table).where(*this).values(snapshot=new[0], updated=new[1]))
            self._append_about(
                connection, release.updated, "refreshed", campaign=release.campaign, entry=release.entry.id
            )

    def released(self, campaign: str) -> frozenset[str]:
        """The ids of the campaign's released entries."""
        c = releases_table.c
        with self._database.reading() as connection:
            return frozenset(connection.scalars(select(c.entry).where(c.campaign == campaign)).all())

    def releases(
        self, campaign: str, limit: int | None = None, *, entries: Collection[str] | None = None
    ) -> list[Release]:
        """The campaign's released entries, newest first; within an instant by date, then by id.

        `limit` takes the newest ones, `entries` those with one of these ids.
        """
        wanted = None if entries is None else sorted(entries)
        query = _newest_first(select(releases_table), campaign).limit(limit)
        with self._database.reading() as connection:
            if wanted is None:
                return [rows.release(row) for row in connection.execute(query).mappings()]
            found: list[Release] = []
            for start in range(0, len(wanted), IDS_AT_ONCE):
                some = query.where(releases_table.c.entry.in_(wanted[start : start + IDS_AT_ONCE]))
                found += [rows.release(row) for row in connection.execute(some).mappings()]
        found.sort(key=lambda one: one.entry.id)
        found.sort(key=lambda one: (one.released, one.date), reverse=True)
        return found[:limit]

    def release_marks(self, campaign: str) -> list[ReleaseMark]:
        """All of the campaign's releases without their entries, in the order of `releases`."""
        c = releases_table.c
        query = _newest_first(select(c.entry, c.date, c.released, c.updated, c.retracted), campaign)
        with self._database.reading() as connection:
            return [ReleaseMark(*row) for row in connection.execute(query).all()]

    def first_released(self) -> str | None:
        """The campaign of the very first release of all; None when nothing was released yet.

        Reads through all releases: for what is asked once and then remembered.
        """
        c = releases_table.c
        query = select(c.campaign).order_by(c.released, c.campaign).limit(1)
        with self._database.reading() as connection:
            return connection.execute(query).scalar()

    def good_files(self) -> dict[str, str]:
        """The last good text of every content and schedule file, by its path, in order of path."""
        with self._database.reading() as connection:
            found = connection.execute(select(files).order_by(files.c.path)).mappings().all()
        return {row["path"]: row["content"] for row in found}

    def remember_files(self, changed: Mapping[str, str], gone: Collection[str], now: datetime) -> None:
        """Keep these texts as the last good ones and forget the files that are gone."""
        if not changed and not gone:
            return
        with self._database.writing() as connection:
            for path, content in changed.items():
                put(connection, files, {"path": path, "content": content})
            for path in gone:
                connection.execute(delete(files).where(files.c.path == path))
            note = ", ".join([*sorted(changed), *(f"{path} (gone)" for path in sorted(gone))])
            self._append_about(connection, now, "files remembered", note=note)


def _newest_first(query: Select[Any], campaign: str) -> Select[Any]:
    c = releases_table.c
    return query.where(c.campaign == campaign).order_by(c.released.desc(), c.date.desc(), c.entry)
