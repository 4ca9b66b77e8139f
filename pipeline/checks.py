"""The rules that need more than one file: ids, names, calendars, and every text on every channel.

Pure apart from the channels it opens to measure texts, and those only compute. Whatever would stop a
post on its day is found here, days before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from pipeline import content, schedules
from pipeline.channels import known_networks, option_problems, suggest
from pipeline.channels.base import Channel, DoesNotFit
from pipeline.composing import EmptyText, TemplateProblem, compile_template, compose, hashtags, text_source
from pipeline.model import Campaign, ChannelConfig, Entry, Fit
from pipeline.planning import Plan, Reason
from pipeline.problems import Problem, Severity
from pipeline.source import Marks, Parsed, printable, walk

OpenChannel = Callable[[Campaign, ChannelConfig], Channel]

_PIN_CODES = {
    Reason.PIN_PAST: "E304",
    Reason.PIN_LATE: "E304",
    Reason.PIN_SKIPPED: "E304",
    Reason.PIN_TAKEN: "E305",
}


@dataclass(frozen=True, slots=True)
class Sources:
    """Every file of the project as it was read, by path."""

    entries: Mapping[str, Parsed[Entry]]
    campaigns: Mapping[str, Parsed[Campaign]]

    def problems(self) -> Iterator[Problem]:
        """What is wrong within single files."""
        for entry in self.entries.values():
            yield from entry.problems
        for campaign in self.campaigns.values():
            yield from campaign.problems

    def by_entry_id(self) -> dict[str, Parsed[Entry]]:
        """The readable entries; of two with one id, the first by path."""
        found: dict[str, Parsed[Entry]] = {}
        for parsed in self.entries.values():
            if parsed.value is not None:
                found.setdefault(parsed.value.id, parsed)
        return found

    def by_campaign_id(self) -> dict[str, Parsed[Campaign]]:
        """The readable campaigns; of two with one id, the first by path."""
        found: dict[str, Parsed[Campaign]] = {}
        for parsed in self.campaigns.values():
            if parsed.value is not None:
                found.setdefault(parsed.value.id, parsed)
        return found


# --------------------------------------------------------------------------- identities and names


def identity_problems(sources: Sources) -> Iterator[Problem]:
    """E301 and E309: one id, one file."""
    first: dict[str, str] = {}
    for path, parsed in sources.entries.items():
        if parsed.value is None:
            continue
        other = first.setdefault(parsed.value.id, path)
        if other != path:
            yield _problem(
                path,
                parsed.marks.at("id"),
                "E301",
                f"the id `{parsed.value.id}` is already that of {other}",
                "Give this entry an `id` of its own; the id of an entry already released must stay.",
            )
    claimed: dict[str, str] = {}
    for path, campaign in sources.campaigns.items():
        if campaign.value is None:
            continue
        other = claimed.setdefault(campaign.value.id, path)
        if other != path:
            message = f"the campaign `{campaign.value.id}` is already that of {other}"
            yield _problem(path, (1, 1), "E309", message, "Rename or delete one of the two files.")


def name_problems(sources: Sources) -> Iterator[Problem]:
    """E302, W301, W303: what the files call each other."""
    entries = sources.by_entry_id()
    broken = {path for path, parsed in sources.entries.items() if parsed.value is None}
    addressed: set[str] = set()
    for path, parsed in sources.campaigns.items():
        campaign = parsed.value
        if campaign is None:
            continue
        addressed |= {name for channel in campaign.channels for name in (channel.id, channel.network)}
        for index, name in enumerate(campaign.entries or ()):
            place = parsed.marks.at("entries", index)
            if name in entries:
                entry = entries[name].value
                if entry is not None and entry.draft:
                    message = f"the entry `{name}` is still a draft and will not go out"
                    hint = f"Set `status: ready` in {entry.path}, or take it off the list."
                    yield _problem(path, place, "W301", message, hint)
            elif not any(p.endswith(f"/{name}.md") for p in broken):  # a broken file is its own problem
                yield _problem(
                    path, place, "E302", f"there is no entry `{name}`", _did_you_mean(name, entries)
                )
    complete = all(parsed.value is not None for parsed in sources.campaigns.values())
    if complete and sources.campaigns:
        yield from _unaddressed(entries, addressed)


def _unaddressed(entries: Mapping[str, Parsed[Entry]], addressed: set[str]) -> Iterator[Problem]:
    for parsed in entries.values():
        if parsed.value is None:
            continue
        for name in parsed.value.posts:
            if name not in addressed:
                message = f"no campaign has a channel or network `{name}`: this text is never used"
                hint = _did_you_mean(name, addressed)
                yield _problem(parsed.value.path, parsed.marks.at("posts", name), "W303", message, hint)


def tag_problems(sources: Sources) -> Iterator[Problem]:
    """W304: a tag that makes no hashtag."""
    for parsed in sources.entries.values():
        if parsed.value is None:
            continue
        for index, tag in enumerate(parsed.value.tags):
            if not hashtags((tag,)):
                message = f"the tag `{tag}` makes no hashtag: it has no letter"
                place = parsed.marks.at("tags", index)
                yield _problem(parsed.value.path, place, "W304", message, "Networks ignore such hashtags.")


def channel_problems(parsed: Parsed[Campaign]) -> Iterator[Problem]:
    """E306 and E308: networks and options this version knows."""
    campaign = parsed.value
    if campaign is None:
        return
    for channel in campaign.channels:
        if channel.network not in known_networks():
            close = suggest(channel.network)
            hint = f"Did you mean `{close}`? " if close else ""
            hint += f"Known networks: {', '.join(sorted(known_networks()))}."
            place = parsed.marks.at("channels", channel.id, "network")
            message = f"the network `{channel.network}` is not known to this version"
            yield _problem(campaign.path, place, "E306", message, hint)
            continue
        for key, message in option_problems(channel):
            code = "E308" if key in channel.options else "E101"
            yield _problem(campaign.path, parsed.marks.at("channels", channel.id, key), code, message)


def unread_problems(root: Path) -> Iterator[Problem]:
    """W306: what was meant as an entry or a campaign, and is not read because of its name or place."""
    for path in walk(root, content.FOLDER, _NEARLY_MARKDOWN, deep=True):
        if (root / path).is_file() and _has_front_matter(root / path):
            yield _unread(path, "an entry", f"Rename it to `{_plain_name(path)}.md`.")
    for path in walk(root, schedules.FOLDER, (".yaml.txt", ".yml.txt"), deep=True):
        yield _unread(path, "a campaign", f"Rename it to `{_plain_name(path)}.yaml`.")
    read = set(schedules.scan(root))
    for path in walk(root, schedules.FOLDER, (".yaml", ".yml"), deep=True):
        if path not in read:
            yield _unread(path, "a campaign", f"Move it to `{schedules.FOLDER}/{PurePosixPath(path).name}`.")


_NEARLY_MARKDOWN = (".txt", ".text", ".markdown", ".mdown", ".mkd", ".mdx")
_ENDINGS = re.compile(r"(\.(md|ya?ml|te?xt|markdown|mdown|mkd|mdx))+$", re.IGNORECASE)


def _has_front_matter(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(8).removeprefix(b"\xef\xbb\xbf").startswith(b"---")
    except OSError:
        return False


def _unread(path: str, what: str, hint: str) -> Problem:
    return _problem(printable(path), (1, 1), "W306", f"this looks like {what}, but is not read", hint)


def _plain_name(path: str) -> str:
    """`projet` for `content/projet.md.txt`."""
    return printable(_ENDINGS.sub("", PurePosixPath(path).name))


# --------------------------------------------------------------------------- calendar


def calendar_problems(sources: Sources, parsed: Parsed[Campaign], calendar: Plan) -> Iterator[Problem]:
    """E303, E304, E305: entries that have no day."""
    campaign = parsed.value
    if campaign is None:
        return
    entries = sources.by_entry_id()
    for left in calendar.unplaced:
        if left.reason is Reason.NO_DAY or left.entry not in entries:
            continue
        entry = entries[left.entry]
        if entry.value is not None:
            message = f"in the campaign `{campaign.id}`, {left.reason}"
            hint = "Choose another day in `date`, or remove it."
            place = entry.marks.value("date")
            yield _problem(entry.value.path, place, _PIN_CODES[left.reason], message, hint)
    names = [*calendar.late, *(left.entry for left in calendar.unplaced if left.reason is Reason.NO_DAY)]
    if names:
        message = f"more entries than days until {campaign.posting.until}: no day for {', '.join(names)}"
        hint = "Withdraw entries, move `until` or the event, or skip fewer days."
        if calendar.late:
            hint += " If they went out already, check with the ledger that knows it (--ledger)."
        place = parsed.marks.at("entries") if campaign.entries is not None else (1, 1)
        yield _problem(campaign.path, place, "E303", message, hint)


# --------------------------------------------------------------------------- what readers have already


def authority_problem(parsed: Parsed[Campaign], frozen: str | None) -> Iterator[Problem]:
    """W302: the ids of the feeds go on with the authority of the first release, whatever the file says."""
    campaign = parsed.value
    if campaign is None or frozen in (None, campaign.authority):
        return
    message = f"the authority is `{campaign.authority}` here, and `{frozen}` since the first release"
    hint = f"Write `authority: {frozen}`: the feeds keep it, so that no old entry shows as new."
    yield _problem(campaign.path, parsed.marks.at("authority"), "W302", message, hint)


# --------------------------------------------------------------------------- texts


def text_problems(
    sources: Sources, parsed: Parsed[Campaign], calendar: Plan, open_channel: OpenChannel
) -> list[Problem]:
    """E401 to E404, W305: every template, filled in for every entry and fitted on every channel."""
    campaign = parsed.value
    if campaign is None:
        return []
    entries = sources.by_entry_id()
    found: dict[Problem, None] = dict.fromkeys(_template_problems(parsed))
    days = {slot.entry: slot.date for slot in calendar.slots}
    for channel in campaign.channels:
        if channel.network not in known_networks() or option_problems(channel):
            continue
        way = open_channel(campaign, channel)
        for name in sorted(calendar.members):
            entry = entries[name]
            if entry.value is None:
                continue
            try:
                fit = way.fit(compose(entry.value, campaign, channel, days.get(name, campaign.posting.until)))
                found |= dict.fromkeys(_doubted(fit, entry.value, entry.marks, parsed, channel))
            except TemplateProblem as error:
                found[_template_problem(error, entry.value, entry.marks, parsed, channel)] = None
            except DoesNotFit as error:
                found[_too_long(error, entry.value, entry.marks, campaign, channel)] = None
    return list(found)


def _template_problems(parsed: Parsed[Campaign]) -> Iterator[Problem]:
    """Templates that cannot be parsed, whether or not an entry uses them."""
    campaign = parsed.value
    if campaign is None:
        return
    templates = {("text",): campaign.text} | {("texts", name): text for name, text in campaign.texts.items()}
    for keys, source in templates.items():
        try:
            compile_template(source)
        except TemplateProblem as error:
            place = parsed.marks.inside(error.line, *keys) if error.line else parsed.marks.value(*keys)
            yield _problem(campaign.path, place, "E401", error.message, error.hint or _TEMPLATE_HINT)


_TEMPLATE_HINT = "Templates are Jinja2; the words they may use are listed in content/README.md."


def _template_problem(
    error: TemplateProblem, entry: Entry, marks: Marks, parsed: Parsed[Campaign], channel: ChannelConfig
) -> Problem:
    campaign = parsed.value
    assert campaign is not None
    source, origin = text_source(entry, campaign, channel)
    marks = marks if origin.path == entry.path else parsed.marks
    place = marks.inside(error.line, *origin.keys) if error.line else marks.value(*origin.keys)
    filled = "E404" if isinstance(error, EmptyText) else "E402"
    code = filled if _compiles(source) else "E401"
    return _problem(origin.path, place, code, error.message, error.hint or _TEMPLATE_HINT)


def _compiles(source: str) -> bool:
    try:
        compile_template(source)
    except TemplateProblem:
        return False
    return True


def _too_long(
    error: DoesNotFit, entry: Entry, marks: Marks, campaign: Campaign, channel: ChannelConfig
) -> Problem:
    _, origin = text_source(entry, campaign, channel)
    message = (
        f"the post on `{channel.id}` ({channel.network}) in the campaign `{campaign.id}` is too long: {error}"
    )
    if origin.path == entry.path:
        return _problem(entry.path, marks.value(*origin.keys), "E403", message, "Shorten this text.")
    hint = f"Shorten the title or the tags, or give the entry a text of its own under `posts: {channel.id}:`."
    return _problem(entry.path, marks.at("title"), "E403", message, hint)


def _doubted(
    fit: Fit, entry: Entry, marks: Marks, parsed: Parsed[Campaign], channel: ChannelConfig
) -> Iterator[Problem]:
    campaign = parsed.value
    assert campaign is not None
    _, origin = text_source(entry, campaign, channel)
    place = (marks if origin.path == entry.path else parsed.marks).value(*origin.keys)
    for doubt in fit.doubts:
        message = f"the post of `{entry.id}` on `{channel.id}` will probably be refused: {doubt}"
        yield _problem(origin.path, place, "W305", message)


# --------------------------------------------------------------------------- pictures


def picture_problems(sources: Sources, root: Path) -> Iterator[Problem]:
    """E203: every picture, decoded. Takes its time, and loads the image library if there is a picture."""
    for parsed in sources.entries.values():
        entry = parsed.value
        if entry is None or entry.image is None or any(p.code in _NO_PICTURE for p in parsed.problems):
            continue
        from pipeline.channels import media  # noqa: PLC0415 - as the docstring says

        if fault := media.problem(root, entry.image):
            yield _problem(entry.path, parsed.marks.at("image"), "E203", fault)


_NO_PICTURE = frozenset({"E202", "E203"})


# --------------------------------------------------------------------------- helpers


def _problem(path: str, place: tuple[int, int], code: str, message: str, hint: str = "") -> Problem:
    severity = Severity.WARNING if code.startswith("W") else Severity.ERROR
    return Problem(path, *place, code, message, hint, severity)


def _did_you_mean(name: str, known: Mapping[str, object] | set[str]) -> str:
    close = get_close_matches(name.removesuffix(".md"), list(known), n=1, cutoff=0.6)
    return f"Did you mean `{close[0]}`?" if close else ""
