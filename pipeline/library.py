"""The project's files, read; and, for a campaign that is under way, their last good versions.

A broken edit never stops a campaign: the ledger keeps the last good text of every file, the pipeline goes
on with that, and the problem is shown in `status` until somebody mends the file. A deleted file is not a
broken one: deleting withdraws the entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline import checks, content, outgrown, schedules
from pipeline.belonging import refuse_stranger
from pipeline.checks import OpenChannel, Sources
from pipeline.errors import BrokenEnvironment
from pipeline.model import Campaign, Entry, State
from pipeline.planning import Plan, plan
from pipeline.problems import Problem, Severity, has_errors
from pipeline.renamed import renamed_problems
from pipeline.source import Marks, Parsed, read_text
from pipeline.source.stamps import Stamp, stamps

if TYPE_CHECKING:
    from pipeline.ledger import Ledger  # `check` without a ledger loads no database library

T = TypeVar("T")

FOLDERS = (content.FOLDER, schedules.FOLDER)
OPEN = frozenset({State.PLANNED, State.SENDING, State.UNKNOWN})  # something may still be sent


@dataclass(frozen=True, slots=True)
class Library:
    """What the pipeline works with: entries and campaigns by id, and what is wrong in the files.

    `stale` are the paths whose last good version is used in place of what they hold now; `unfit` says, by id,
    why nothing goes out of an entry that has only its day; `unread` are the ids of campaigns that are there
    and of which not even a last good version can be read; `pictures` are the stamps of other files.
    """

    entries: Mapping[str, Entry]
    campaigns: Mapping[str, Campaign]
    problems: tuple[Problem, ...]
    stale: frozenset[str] = frozenset()
    pictures: Mapping[str, Stamp] = field(default_factory=dict)
    unfit: Mapping[str, str] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()

    def entries_of(self, campaign: Campaign) -> tuple[Entry, ...]:
        """The entries, drafts too, that the campaign's plan and feeds are made of."""
        names = sorted(self.entries) if campaign.entries is None else campaign.entries
        return tuple(self.entries[name] for name in names if name in self.entries)

    def refuse_unfit(self, entry: Entry) -> None:
        """Raises Outgrown, a TemplateProblem, for an entry of which nothing may go out."""
        if entry.id in self.unfit:
            raise outgrown.Outgrown(self.unfit[entry.id])


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it was last read."""

    stamp: Stamp | None
    text: str | None
    parsed: Parsed[Entry] | Parsed[Campaign]

    @property
    def has_picture(self) -> bool:
        """Whether what it says may change with a picture: one that is missing makes an entry unusable."""
        return self.parsed.value is None or getattr(self.parsed.value, "image", None) is not None


@dataclass(frozen=True, slots=True)
class _Judged:
    """What was found about a campaign's channels and texts, and what it was found in."""

    looked_at: tuple[object, ...]
    problems: tuple[Problem, ...]


def read_sources(root: Path) -> Sources:
    """Every file as it is now, strictly: for `check`, `plan` and `preview`."""
    entries = {path: content.read_entry(root, path) for path in content.scan(root)}
    campaigns = {path: schedules.read_campaign(root, path) for path in schedules.scan(root)}
    return Sources(entries, campaigns)


def cross_problems(sources: Sources, open_channel: OpenChannel) -> list[Problem]:
    """What is wrong between files, apart from calendars, which need to know what already happened."""
    entries = _values(sources.by_entry_id())
    found = _shared_problems(sources)
    for parsed in sources.campaigns.values():
        found += _campaign_problems(sources, entries, parsed, open_channel)
    return found


def _shared_problems(sources: Sources) -> list[Problem]:
    return [
        *checks.identity_problems(sources),
        *checks.name_problems(sources),
        *checks.tag_problems(sources),
    ]


def _campaign_problems(
    sources: Sources, entries: Mapping[str, Entry], parsed: Parsed[Campaign], open_channel: OpenChannel
) -> list[Problem]:
    found = list(checks.channel_problems(parsed))
    if parsed.value is not None:
        whole = plan(parsed.value, entries, {}, parsed.value.event.starts)
        found += checks.text_problems(sources, parsed, whole, open_channel)
    return found


def recorded_plan(
    ledger: Ledger | None, campaign: Campaign, entries: Mapping[str, Entry], now: datetime
) -> Plan:
    """The campaign's plan at `now`, over what the ledger knows of it; None: there is no ledger yet."""
    if ledger is None:
        return plan(campaign, entries, {}, now)
    return plan(campaign, entries, ledger.slots(campaign.id), now)


class LibraryReader:
    """Reads the library again whenever a file has changed. Used by one thread."""

    def __init__(
        self, root: Path, ledger: Ledger, open_channel: OpenChannel, *, only: str | None = None
    ) -> None:
        """`only` leaves out every campaign but that one."""
        self._root = root
        self._ledger = ledger
        self._open_channel = open_channel
        self._only = only
        self._seen: dict[str, Stamp] = {}
        self._files: dict[str, _File] = {}
        self._pictures: dict[str, Stamp] = {}
        self._judged: dict[str, _Judged] = {}
        self._library: Library | None = None

    def changed(self) -> bool:
        """Whether any file was added, removed or written since the last `read`.

        Raises BrokenEnvironment when content/ or schedules/ is gone.
        """
        return self._library is None or self._look() != self._seen

    def read(self, now: datetime) -> Library:
        """The library as it is now; the same object as before while no file has changed.

        Raises BrokenEnvironment when content/ or schedules/ is gone, or looks as if it were not mounted;
        LedgerGone, the first time, when the ledger is another project's.
        """
        seen = self._look()
        if self._library is None or seen != self._seen:
            self._library = self._load(seen, now)
            self._seen = seen
        return self._library

    def _look(self) -> dict[str, Stamp]:
        """The stamp of every file: cheap enough for every few seconds, also with thousands of files."""
        seen: dict[str, Stamp] = {}
        for folder in FOLDERS:
            if not (self._root / folder).is_dir():
                # An unmounted disk must not read as "every entry was withdrawn".
                raise BrokenEnvironment(
                    f"the folder {self._root / folder} is gone",
                    hint="Nothing was changed; put it back, or give --root.",
                )
            seen.update(stamps(str(self._root), folder))
        return seen

    def _load(self, seen: Mapping[str, Stamp], now: datetime) -> Library:
        good = self._ledger.good_files()
        self._refuse_unmounted(seen, good)
        paths = [*content.scan(self._root), *schedules.scan(self._root)]
        # What stands in a folder that cannot be listed is unknown, and not gone.
        closed = tuple(f"{path}/" for path in paths if (self._root / path).is_dir())
        hidden = {path for path in good if closed and path.startswith(closed)}
        self._read_files(paths, seen)
        sources = self._sources()
        if self._library is None:
            self._refuse_stranger(sources, good)  # before anything is remembered or withdrawn
        judged = self._judge(sources)
        renamed = renamed_problems(sources, self._ledger, now)
        problems = [
            *renamed,
            *sources.problems(),
            *_shared_problems(sources),
            *(p for per in judged.values() for p in per),
        ]
        broken = {p.path for p in problems if p.severity is Severity.ERROR}
        broken.update(self._unfit_edits(judged, good))
        stale = {path for path in broken if path in good and path in self._files} | hidden
        fine = {path: file.text for path, file in self._files.items() if path not in broken}
        self._ledger.remember_files(
            {path: text for path, text in fine.items() if text is not None and good.get(path) != text},
            [path for path in good if path not in self._files and path not in hidden],
            now,
        )
        waiting = {problem.path for problem in renamed}
        usable = Sources(
            {path: e for path, e in sources.entries.items() if path not in waiting}, sources.campaigns
        )
        last_good = {path: good[path] for path in stale - waiting}
        return self._library_of(usable, last_good, tuple(sorted(set(problems))))

    def _refuse_unmounted(self, seen: Mapping[str, Stamp], good: Mapping[str, str]) -> None:
        """Raises BrokenEnvironment when a folder that held several files holds nothing at all.

        That is what a mount point looks like; whoever deletes files deletes them one by one, or says so.
        """
        for folder in FOLDERS:
            start = f"{folder}/"
            known = sum(path.startswith(start) for path in good)
            if known > 1 and not any(path.startswith(start) for path in seen):
                raise BrokenEnvironment(
                    f"{self._root / folder} is empty, and held {known} files: is its disk mounted?",
                    hint="Nothing was changed. If all of them were meant to go, leave a README.md in it.",
                )

    def _refuse_stranger(self, sources: Sources, good: Mapping[str, str]) -> None:
        """Raises LedgerGone when the ledger is another project's."""
        ours = _values(sources.by_campaign_id())

        def authorities() -> dict[str, tuple[str | None, str | None]]:
            known = {one.id: one.authority for one in self._ledger.campaigns()}
            return {name: (known[name], ours[name].authority) for name in known.keys() & ours.keys()}

        def open_campaigns() -> set[str]:
            return {one.key.campaign for one in self._ledger.deliveries(states=OPEN)}

        here = {path: file.text for path, file in self._files.items()}
        refuse_stranger(self._root, here, good, authorities=authorities, open_campaigns=open_campaigns)

    # ----------------------------------------------------------------- reading

    def _read_files(self, paths: Iterable[str], seen: Mapping[str, Stamp]) -> None:
        listed = set(paths)
        pictures = {path: stamp for path, stamp in seen.items() if path not in listed}
        same_pictures = pictures == self._pictures
        files = {}
        for path in sorted(listed):
            known, stamp = self._files.get(path), seen.get(path)
            if known and stamp and known.stamp == stamp and (same_pictures or not known.has_picture):
                files[path] = known
            else:
                files[path] = self._read_file(path, stamp)
        self._files, self._pictures = files, pictures

    def _read_file(self, path: str, stamp: Stamp | None) -> _File:
        text, problems = read_text(self._root, path)
        if text is None:
            return _File(stamp, None, Parsed(None, tuple(problems), Marks()))
        if _is_entry(path):
            return _File(stamp, text, content.entry_of(self._root, path, text))
        return _File(stamp, text, schedules.parse_campaign(path, text))

    def _sources(self) -> Sources:
        entries = {}
        campaigns = {}
        for path, file in self._files.items():
            if _is_entry(path):
                entries[path] = file.parsed
            elif self._only is None or Path(path).stem == self._only:
                campaigns[path] = file.parsed
        return Sources(entries, campaigns)  # type: ignore[arg-type]

    # ----------------------------------------------------------------- judging

    def _judge(self, sources: Sources) -> dict[str, tuple[Problem, ...]]:
        """What is wrong with each campaign's channels and texts; only what has changed is looked at again."""
        parsed_entries = sources.by_entry_id()
        entries = _values(parsed_entries)
        every = tuple(sorted(parsed_entries))
        judged = {}
        for path, parsed in sources.campaigns.items():
            names = parsed.value.entries if parsed.value and parsed.value.entries is not None else every
            looked_at = (parsed, *(parsed_entries.get(name) for name in names))
            known = self._judged.get(path)
            if known is None or known.looked_at != looked_at:
                found = _campaign_problems(sources, entries, parsed, self._open_channel)
                known = _Judged(looked_at, tuple(found))
            judged[path] = known
        self._judged = judged
        return {path: known.problems for path, known in judged.items()}

    def _unfit_edits(
        self, judged: Mapping[str, tuple[Problem, ...]], good: Mapping[str, str]
    ) -> Iterator[str]:
        """Campaign files whose last edit does not go with the entries.

        A longer template may make a title too long that was fine before: then it is the edit that waits.
        """
        for path, problems in judged.items():
            if path in good and good[path] != self._files[path].text and has_errors(problems):
                yield path

    def _library_of(
        self, sources: Sources, last_good: Mapping[str, str], problems: tuple[Problem, ...]
    ) -> Library:
        entries = dict(sources.entries)
        campaigns = dict(sources.campaigns)
        for path, text in last_good.items():
            if _is_entry(path):
                entries[path] = self._last_good_entry(path, text)
            elif self._only is None or path in campaigns:
                campaigns[path] = schedules.parse_campaign(path, text)
        # Of two files with one id the good one goes first, so that a copy cannot displace its original.
        order = sorted(entries, key=lambda path: (path not in last_good, path))
        usable = Sources({path: entries[path] for path in order}, campaigns)
        found = usable.by_entry_id()
        known = _values(usable.by_campaign_id())
        return Library(
            entries=_values(found),
            campaigns=known,
            problems=problems,
            stale=frozenset(last_good),
            pictures=self._pictures,
            unfit={name: outgrown.why(one) for name, one in found.items() if has_errors(one.problems)},
            unread=frozenset(Path(path).stem for path in campaigns) - known.keys(),
        )

    def _last_good_entry(self, path: str, text: str) -> Parsed[Entry]:
        """As it was, also when its picture has vanished: that may stop a post, but not take away its day."""
        parsed = content.parse_entry(path, text)
        if parsed.value is None:
            return outgrown.stand_in(path, text)
        return replace(parsed, value=content.place_image(self._root, parsed.value))


def _values(parsed: Mapping[str, Parsed[T]]) -> dict[str, T]:
    return {name: one.value for name, one in parsed.items() if one.value is not None}


def _is_entry(path: str) -> bool:
    return path.startswith(f"{content.FOLDER}/")
