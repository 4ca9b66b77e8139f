"""The composition root: settings become wired objects here, and nowhere else.

Each function imports the parts it wires, so that a command loads only what it uses: `check` neither the
dispatcher nor, as long as there is none, the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.channels import open_channel
from pipeline.channels.base import Surroundings
from pipeline.clock import Clock, SystemClock, VirtualClock
from pipeline.errors import PipelineError, WrongUse
from pipeline.keeping import FileKeep
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.channels.base import Identity
    from pipeline.connecting import Person
    from pipeline.dispatch import OpenChannel
    from pipeline.doctor import Report
    from pipeline.ledger import Ledger
    from pipeline.problems import Problem
    from pipeline.rehearsal import Rehearsal
    from pipeline.review import Review
    from pipeline.sending import Probe
    from pipeline.serve import Serving
    from pipeline.storyboard import Drawn, Preface, Script
    from pipeline.tick import Pipeline, TickReport

MEMORY = "sqlite://"


@contextmanager
def open_pipeline(
    settings: Settings,
    *,
    clock: Clock | None = None,
    workers: int = 8,
    probe: Probe | None = None,
) -> Iterator[Pipeline]:
    """The project's pipeline over its own ledger and the real networks.

    Raises LedgerGone when the ledger this checkout worked with is gone or empty.
    """
    from pipeline.belonging import Whereabouts
    from pipeline.ledger import open_ledger
    from pipeline.sending import no_probe

    clock = clock or SystemClock()
    probe = probe or no_probe
    channels = _networks(settings, clock)
    whereabouts = Whereabouts(settings.state, settings.ledger)
    if not settings.ledger_exists:
        whereabouts.refuse_lost(None)
    with open_ledger(settings.ledger, now=clock.now(), probe=probe) as ledger:

        def remember() -> None:
            whereabouts.remember([campaign.id for campaign in ledger.campaigns()])

        whereabouts.refuse_lost([campaign.id for campaign in ledger.campaigns()])
        remember()
        pipeline = _wire(settings, ledger, clock, channels, workers=workers, probe=probe)
        pipeline.adopted = remember
        yield pipeline


@contextmanager
def open_review(
    settings: Settings, *, use_ledger: bool = True, make_ledger: bool = False
) -> Iterator[Review]:
    """The project for a reviewer. Without a ledger, or with `use_ledger` off, nothing has happened yet.

    `make_ledger` makes one if there is none, so that the plan shown can be remembered.
    """
    from pipeline.review import Review

    now = SystemClock().now()
    channels = _networks(settings, SystemClock())
    if use_ledger and (make_ledger or settings.ledger_exists):
        from pipeline.ledger import open_ledger

        with open_ledger(settings.ledger, now=now) as ledger:
            yield Review(settings.root, channels, now, ledger)
    else:
        yield Review(settings.root, channels, now, None)


def open_any_ledger(settings: Settings) -> Ledger:
    """The project's ledger, made if there is none."""
    from pipeline.ledger import open_ledger

    return open_ledger(settings.ledger, now=SystemClock().now())


def open_existing_ledger(settings: Settings) -> Ledger:
    """The project's ledger. Raises WrongUse when there is none yet."""
    if not settings.ledger_exists:
        raise WrongUse(f"there is no ledger yet at {settings.ledger}", hint="`pipeline tick` makes it.")
    return open_any_ledger(settings)


def import_ledger(settings: Settings, file: Path) -> int:
    """Read an export into the project's empty ledger, in place of a lost one; the number of rows.

    Whatever the project's files say may have been sent since becomes `unknown`. Raises WrongUse and
    LedgerError as `Ledger.import_` does, LedgerGone for the export of another project.
    """
    from pipeline.ledger import open_ledger
    from pipeline.restoring import restore

    clock = SystemClock()
    now = clock.now()
    with open_ledger(MEMORY, now=now) as draft, open_any_ledger(settings) as ledger:
        return restore(
            settings.root,
            lambda: file.open(encoding="utf-8"),
            into=ledger,
            draft=draft,
            open_channel=_networks(settings, clock),
            now=now,
        )


def adopt_ledger(settings: Settings) -> None:
    """Make the ledger this project's, whatever it held before, and forget the one that is lost."""
    from pipeline.belonging import Whereabouts

    Whereabouts(settings.state, settings.ledger).forget()
    if settings.ledger_exists:
        with open_any_ledger(settings) as ledger:
            ledger.remember_files({}, ledger.good_files().keys(), SystemClock().now())


@contextmanager
def open_server(settings: Settings, where: str, pipeline: Pipeline | None = None) -> Iterator[Serving]:
    """Within: `public/` is served at `where` (HOST:PORT), with the health of the pipeline that runs here.

    Without one, the ledger is looked at if there is any. Raises WrongUse and BrokenEnvironment.
    """
    from pipeline.serve import Watch, parse, serving

    def ledger() -> Ledger | None:
        if pipeline is not None:
            return pipeline.ledger
        return open_any_ledger(settings) if settings.ledger_exists else None

    watch = Watch(SystemClock(), ledger, daemon=pipeline is not None)
    with serving(settings.public, parse(where), watch) as server:
        yield server


@contextmanager
def show_folder(folder: Path) -> Iterator[Serving]:
    """Within: a folder that a rehearsal wrote is served on this machine alone, at a port that is free.

    Raises BrokenEnvironment.
    """
    from pipeline.serve import Address, Watch, serving

    with serving(folder, Address("127.0.0.1", 0), Watch(SystemClock(), lambda: None, daemon=False)) as server:
        yield server


def rehearse_project(
    settings: Settings,
    out: Path,
    *,
    campaign: str | None = None,
    faults: str = "calm",
    seed: int = 1,
    watch: Callable[[TickReport], None] = lambda _: None,
    preface: Preface | None = None,
) -> Rehearsal:
    """Rehearse one campaign, or all of them, writing feeds and outbox under `out`, which is emptied first.

    Stand-ins take the networks' place; `faults` names the profile of what goes wrong, or its file, and `seed`
    all that is left to chance in it. A storyboard of it is written there too. Raises WrongUse when there is
    nothing to rehearse, UnusableChannel before anything is played.
    """
    from pipeline import storyboard
    from pipeline.channels import usable
    from pipeline.dispatch import Dispatcher
    from pipeline.ledger import open_ledger
    from pipeline.rehearsal import MovedReader, Networks, Run, Weather, load, prepare, set_scene
    from pipeline.tick import Pipeline

    profile = load(faults)
    preface = preface or storyboard.Preface()
    before = storyboard.before(out, preface.against)
    clock = VirtualClock(datetime(1970, 1, 1, tzinfo=UTC))  # until the campaign says when it begins
    weather = Weather(profile, seed, clock)
    with (
        open_ledger(MEMORY, now=clock.now()) as ledger,
        Networks(settings.root, out, clock, weather) as networks,
    ):
        reader = MovedReader(settings.root, ledger, networks.open, only=campaign)
        for one in reader.read(clock.now()).campaigns.values():
            for channel in one.channels:
                usable(one, channel)
        clock.sleep_until(set_scene(reader, profile, weather, clock.now()))
        prepare(out)

        def begin() -> Pipeline:
            dispatcher = Dispatcher(ledger, clock, networks.open, workers=0, probe=weather.probe)
            return Pipeline(
                root=settings.root,
                public=out,
                ledger=ledger,
                clock=clock,
                reader=reader,
                dispatcher=dispatcher,
                probe=weather.probe,
            )

        result = Run(begin, clock, networks, weather).play(watch)
        script = _played(result, preface.problems, f"{faults}, seed {seed}")
        storyboard.save(storyboard.draw(script, settings.root, networks.open, before), out)
        return result


def preview_project(
    settings: Settings, out: Path, *, campaign: str | None = None, against: Path | None = None
) -> tuple[Drawn, list[Problem]]:
    """Write a storyboard of one campaign, or of all, under `out`: what is out already, and what is planned.

    It shows what is new since the storyboard whose record is `against`, by default the last one in `out`.
    The problems of the files come along. Raises WrongUse when `out` holds anything else.
    """
    from pipeline import storyboard

    storyboard.refuse_foreign(out)
    before = storyboard.before(out, against)
    with open_review(settings) as review:
        problems = review.problems()
        stories = [
            storyboard.planned(
                view.campaign,
                view.calendar.slots,
                review.entries,
                review.deliveries(view.campaign.id),
                [f"{left.entry} has no day: {left.reason}" for left in view.calendar.unplaced],
                review.releases(view.campaign.id),
            )
            for view in review.views(campaign)
        ]
        script = storyboard.Script(tuple(stories), review.entries, tuple(problems))
    drawn = storyboard.draw(script, settings.root, _networks(settings, SystemClock()), before)
    storyboard.save(drawn, out)
    return drawn, problems


def _played(result: Rehearsal, problems: tuple[Problem, ...], conditions: str) -> Script:
    """A rehearsal as a storyboard is told it."""
    from pipeline import storyboard

    deliveries = [replace(one, receipt=None) for one in result.deliveries]
    moments = tuple(
        storyboard.Moment(one.at, str(one.kind), one.campaign, one.entry, one.channel, one.text)
        for one in result.timeline
    )
    return storyboard.Script(
        stories=tuple(storyboard.played(one, deliveries, result.releases) for one in result.campaigns),
        entries=result.entries,
        problems=problems,
        alarms=tuple(
            f"{tally.channel}: {tally.twice} went out twice, {tally.lost} were lost"
            for tally in result.tallies
            if tally.twice or tally.lost
        ),
        moments=moments,
        played=conditions,
    )


def connect_channel(settings: Settings, name: str, campaign: str | None, person: Person) -> Identity | None:
    """Lead a person to credentials for a channel; whose they are, None when none are needed.

    Raises PipelineError when it comes to nothing; then nothing was changed.
    """
    from pipeline.connecting import connect, find

    with open_review(settings, use_ledger=False) as review:
        target = find(review.campaigns.values(), name, campaign)
    return connect(settings, SystemClock(), target, person)


def online_problems(settings: Settings, review: Review, *, clock: Clock | None = None) -> list[Problem]:
    """What the networks say that will fail, as problems of the campaigns' files."""
    from pipeline import doctor

    clock = clock or SystemClock()
    calendars = [(view.campaign, view.calendar) for view in review.views()]
    facts = doctor.gather(settings, calendars, _networks(settings, clock), clock.now, online=True)
    return doctor.problems(facts, review.marks, clock.now())


def examine(settings: Settings, *, online: bool, clock: Clock | None = None) -> Report:
    """What is found of the installation, the ledger, the files and the channels. Nothing is posted."""
    from pipeline import doctor

    clock = clock or SystemClock()
    now = clock.now()
    found = doctor.look_around(settings, lambda: open_pipeline(settings, clock=clock, workers=0), now)
    try:
        with open_review(settings, use_ledger=doctor.ledger_is_sound(found)) as review:
            problems = review.problems()
            calendars = [(view.campaign, view.calendar) for view in review.views()]
    except PipelineError as error:
        return doctor.Report(now, (*found, doctor.broken("files", error)))
    facts = doctor.gather(settings, calendars, _networks(settings, clock), clock.now, online=online)
    found += [doctor.content_finding(problems), *doctor.findings(facts, now)]
    return doctor.Report(now, tuple(found), tuple(facts))


def _networks(settings: Settings, clock: Clock) -> OpenChannel:
    """The real ones."""
    surroundings = Surroundings(
        settings.root,
        settings.public,
        settings.credential,
        clock.now,
        keep=lambda channel_id: FileKeep(settings.state / "channels", channel_id),
        pause=lambda span: clock.sleep_until(clock.now() + span),
    )
    return lambda campaign, config: open_channel(campaign, config, surroundings)


def _wire(
    settings: Settings,
    ledger: Ledger,
    clock: Clock,
    channels: OpenChannel,
    *,
    workers: int,
    probe: Probe,
) -> Pipeline:
    from pipeline.dispatch import Dispatcher
    from pipeline.library import LibraryReader
    from pipeline.pinging import Pinger
    from pipeline.tick import Pipeline

    pipeline = Pipeline(
        root=settings.root,
        public=settings.public,
        ledger=ledger,
        clock=clock,
        reader=LibraryReader(settings.root, ledger, channels),
        dispatcher=Dispatcher(ledger, clock, channels, workers=workers, probe=probe),
        probe=probe,
    )
    pipeline.pinger = Pinger(ledger, clock, settings.public, delay=settings.ping_delay, probe=probe)
    return pipeline
