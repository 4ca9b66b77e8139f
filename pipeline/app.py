"""The composition root: settings become wired objects here, and nowhere else.

Each function imports the parts it wires, so that a command loads only what it uses: `check` neither the
dispatcher nor, as long as there is none, the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.channels import NETWORKS, open_channel
from pipeline.channels.base import Channel, Surroundings
from pipeline.clock import Clock, SystemClock, VirtualClock
from pipeline.errors import WrongUse
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.dispatch import OpenChannel, Probe
    from pipeline.ledger import Ledger
    from pipeline.model import Campaign, ChannelConfig
    from pipeline.rehearsal import Rehearsal
    from pipeline.review import Review
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
    from pipeline.dispatch import no_probe
    from pipeline.ledger import open_ledger

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


def rehearse_project(
    settings: Settings,
    out: Path,
    *,
    campaign: str | None = None,
    watch: Callable[[TickReport], None] = lambda _: None,
    channels: OpenChannel | None = None,
) -> Rehearsal:
    """Rehearse one campaign, or all of them, writing feeds and outbox under `out`, which is emptied first.

    `channels` opens the stand-ins that take the networks' place; by default the embedded networks alone.
    Raises WrongUse when there is nothing to rehearse.
    """
    from pipeline.dispatch import Dispatcher
    from pipeline.ledger import open_ledger
    from pipeline.library import LibraryReader
    from pipeline.rehearsal import first_instant, prepare, rehearse
    from pipeline.tick import Pipeline

    channels = channels or _embedded_networks(settings, out)
    with open_ledger(MEMORY, now=SystemClock().now()) as ledger:
        reader = LibraryReader(settings.root, ledger, channels, only=campaign)
        library = reader.read(SystemClock().now())
        start = first_instant(library.campaigns.values(), library.entries)
        if start is None:
            raise WrongUse("there is nothing to rehearse: no campaign has a ready entry")
        prepare(out)
        clock = VirtualClock(start)
        dispatcher = Dispatcher(ledger, clock, channels, workers=0)
        pipeline = Pipeline(
            root=settings.root, public=out, ledger=ledger, clock=clock, reader=reader, dispatcher=dispatcher
        )
        return rehearse(pipeline, clock, watch)


def _networks(settings: Settings, clock: Clock) -> OpenChannel:
    """The real ones."""
    surroundings = Surroundings(settings.root, settings.public, settings.credential, clock.now)
    return lambda campaign, config: open_channel(campaign, config, surroundings)


def _embedded_networks(settings: Settings, public: Path) -> OpenChannel:
    """Those that speak to nobody. A rehearsal posts nothing, so any other is refused."""
    surroundings = Surroundings(settings.root, public, lambda _channel, _name: None, SystemClock().now)

    def open_embedded(campaign: Campaign, config: ChannelConfig) -> Channel:
        network = NETWORKS.get(config.network)
        if network is not None and not network.embedded:
            raise WrongUse(
                f"{campaign.path}: channel {config.id}: {config.network} has no stand-in to rehearse with",
                hint="Take the channel out of the campaign, then rehearse.",
            )
        return open_channel(campaign, config, surroundings)

    return open_embedded


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
    from pipeline.tick import Pipeline

    return Pipeline(
        root=settings.root,
        public=settings.public,
        ledger=ledger,
        clock=clock,
        reader=LibraryReader(settings.root, ledger, channels),
        dispatcher=Dispatcher(ledger, clock, channels, workers=workers, probe=probe),
        probe=probe,
    )
