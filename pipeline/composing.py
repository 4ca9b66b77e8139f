"""An entry and a campaign become the text for one channel: option cascade, template, hashtags.

Pure: no I/O, no clock, no chance; the same input gives the same text. A template is what an editor typed,
so it may be wrong in any way and must never hang, crash or fill the memory: `sandbox` sees to that, and
every way in which it fails is a TemplateProblem.
"""

from __future__ import annotations

import re
import traceback
import unicodedata
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit

import jinja2
import regex
from jinja2 import meta, nodes

from pipeline.braces import explain
from pipeline.days import days_left
from pipeline.model import Campaign, ChannelConfig, Entry, Post, Utm
from pipeline.sandbox import LONGEST, Sandbox, did_you_mean, fence


class TemplateProblem(Exception):
    """A template cannot be parsed or filled in. `line` counts from 1 inside the template; None: not known."""

    def __init__(self, message: str, line: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.hint = hint  # what to do, where it is about braces


class EmptyText(TemplateProblem):
    """The template could be filled in, but nothing is left to post."""


# --------------------------------------------------------------------------- which text


@dataclass(frozen=True, slots=True)
class Origin:
    """The file (relative to the root) and the keys in it that a text comes from."""

    path: str
    keys: tuple[str, ...]


def text_source(entry: Entry, campaign: Campaign, channel: ChannelConfig) -> tuple[str, Origin]:
    """The template for a channel, and where it stands. The most particular one wins.

    From general to particular: the campaign's text, its text for the network, its text for the channel,
    the entry's own text for the network, the entry's own text for the channel.
    """
    for name in (channel.id, channel.network):
        if name in entry.posts:
            return entry.posts[name], Origin(entry.path, ("posts", name))
    for name in (channel.id, channel.network):
        if name in campaign.texts:
            return campaign.texts[name], Origin(campaign.path, ("texts", name))
    return campaign.text, Origin(campaign.path, ("text",))


# --------------------------------------------------------------------------- what a template may say


@dataclass(frozen=True, slots=True)
class EntryWords:
    """`entry` in a template. What the editor left out is an empty text, never None."""

    id: str
    title: str
    summary: str
    url: str
    tags: tuple[str, ...]
    place: str
    lang: str
    image_alt: str


@dataclass(frozen=True, slots=True)
class EventWords:
    """`event` in a template. `starts` and `date` are local to the event."""

    name: str
    place: str
    url: str
    starts: datetime
    date: date


@dataclass(frozen=True, slots=True)
class CampaignWords:
    """`campaign` in a template."""

    id: str
    title: str
    description: str
    link: str
    language: str


_WORDS: dict[str, frozenset[str]] = {
    "entry": frozenset(field.name for field in fields(EntryWords)),
    "event": frozenset(field.name for field in fields(EventWords)),
    "campaign": frozenset(field.name for field in fields(CampaignWords)),
    "days_left": frozenset(),
    "date": frozenset(),
    "hashtags": frozenset(),
}

_SANDBOX = Sandbox(
    readable={EntryWords: _WORDS["entry"], EventWords: _WORDS["event"], CampaignWords: _WORDS["campaign"]}
)


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template. `unknown` is the first word in it that no campaign can fill in, if there is one."""

    source: str
    compiled: jinja2.Template
    unknown: TemplateProblem | None

    def fill(self, words: dict[str, object]) -> str:
        """The tidied text. Raises TemplateProblem when it cannot be made, EmptyText when nothing is left."""
        if self.unknown is not None:
            raise TemplateProblem(self.unknown.message, self.unknown.line)
        text = tidy(_run(self.compiled, words))
        if not text:
            raise EmptyText("the text is empty once it is filled in")
        return text


@lru_cache(maxsize=1024)
def compile_template(source: str) -> Template:
    """Parse a template. Raises TemplateProblem with the line for anything that is not allowed in one."""
    if len(source) > LONGEST:
        raise TemplateProblem(f"the template has {len(source)} characters; {LONGEST} are the most")
    try:
        tree = _parsed(source)
        fence(tree, _SANDBOX.allowed_filters)
        unknown = _unknown_word(tree)
        _SANDBOX.bound(tree)
        return Template(source, _SANDBOX.from_string(tree), unknown)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateProblem(error.message or "the template cannot be parsed", error.lineno) from error
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise TemplateProblem("the template is nested too deeply") from error
    except (ValueError, OverflowError) as error:  # a number of thousands of digits
        raise TemplateProblem(f"the template holds a value that cannot be read: {error}") from error


def _parsed(source: str) -> nodes.Template:
    try:
        return _SANDBOX.parse(source)
    except jinja2.TemplateSyntaxError as error:
        fault = explain(source, error.message or "the template cannot be parsed", error.lineno)
        raise TemplateProblem(fault.message, fault.line, fault.hint) from error


def _unknown_word(tree: nodes.Template) -> TemplateProblem | None:
    """The first word that is neither ours nor set by the template, also in branches that are not taken."""
    given = meta.find_undeclared_variables(tree)
    found: list[tuple[int, str]] = []
    found.extend(
        (name.lineno, f"`{name.name}` is not known{did_you_mean(name.name, _WORDS)}")
        for name in tree.find_all(nodes.Name)
        if name.name in given and name.name not in _WORDS
    )
    for part in tree.find_all(nodes.Getattr):
        if isinstance(part.node, nodes.Name) and part.node.name in given:
            known = _WORDS.get(part.node.name)
            if known and part.attr not in known:
                hint = did_you_mean(part.attr, known, prefix=f"{part.node.name}.")
                found.append((part.lineno, f"`{part.node.name}.{part.attr}` is not known{hint}"))
    return TemplateProblem(min(found)[1], min(found)[0]) if found else None


def _run(template: jinja2.Template, words: dict[str, object]) -> str:
    """The raw text. It stops as soon as it is longer than any post could be."""
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate(words):
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST:
                break
    except jinja2.TemplateError as error:
        raise TemplateProblem(error.message or "the template cannot be filled in", _line_of(error)) from error
    except Exception as error:  # whatever an expression can raise: division by zero, wrong types, …
        raise TemplateProblem(f"the template cannot be filled in: {error}", _line_of(error)) from error
    if length > LONGEST:
        raise TemplateProblem(f"the text is longer than {LONGEST} characters")
    return "".join(pieces)


def _line_of(error: BaseException) -> int | None:
    """The line of the template that raised: Jinja2 rewrites the traceback so that it stands there."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"
    ]
    return lines[-1] if lines else None


# --------------------------------------------------------------------------- composing


def compose(
    entry: Entry, campaign: Campaign, channel: ChannelConfig, day: date, *, sent_on: date | None = None
) -> Post:
    """The post of an entry on a channel for the slot of the local `day`.

    `sent_on` is the local day on which it really goes out, when that is another: the countdown never lies.
    Raises TemplateProblem when the template cannot be parsed or filled in, or gives an absurdly long text,
    and EmptyText when it gives none. `Post.text` raises the same for a summary with which that happens.
    """
    source, _ = text_source(entry, campaign, channel)
    template = compile_template(source)
    if campaign.utm is not None:
        entry = replace(entry, url=told_apart(entry.url, campaign.utm, channel.network))
    tags = hashtags(entry.tags)
    today = sent_on or day
    left = days_left(campaign, today)
    words: dict[str, object] = {
        "event": _event_words(campaign),
        "campaign": CampaignWords(
            campaign.id, campaign.title, campaign.description, campaign.link, campaign.language
        ),
        "days_left": left,
        "date": today,
        "hashtags": " ".join(tags),
    }

    def text(summary: str) -> str:
        return template.fill({**words, "entry": _entry_words(entry, campaign, summary)})

    text(entry.summary)
    return Post(
        campaign=campaign.id,
        entry=entry.id,
        channel=channel.id,
        network=channel.network,
        date=day,
        days_left=left,
        title=entry.title,
        summary=entry.summary,
        url=entry.url,
        lang=entry.lang or campaign.language,
        hashtags=tags,
        text=text,
        image=entry.image,
    )


def told_apart(address: str, utm: Utm, network: str) -> str:
    """The address with the parameters that say where it was found; those it has already stay as they are."""
    parts = urlsplit(address)
    named = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    wanted = {
        "utm_source": utm.source or network,
        "utm_medium": utm.medium,
        "utm_campaign": utm.campaign,
    }
    added = urlencode({name: value for name, value in wanted.items() if name not in named})
    return parts._replace(query="&".join(filter(None, (parts.query, added)))).geturl()


def _entry_words(entry: Entry, campaign: Campaign, summary: str) -> EntryWords:
    return EntryWords(
        id=entry.id,
        title=entry.title,
        summary=summary,
        url=entry.url,
        tags=entry.tags,
        place=entry.place or "",
        lang=entry.lang or campaign.language,
        image_alt=entry.image.alt if entry.image else "",
    )


def _event_words(campaign: Campaign) -> EventWords:
    event = campaign.event
    return EventWords(
        name=event.name,
        place=event.place or "",
        url=event.url or "",
        starts=event.starts.astimezone(event.zone),
        date=event.day,
    )


_LINE_ENDS = re.compile("\r\n?|\u2028|\u2029")
_BLANK_LINES = re.compile("\n{3,}")
_UNSENDABLE = regex.compile(r"[^\P{Cc}\n]|\p{Cs}")


def tidy(text: str) -> str:
    """NFC; no control characters but the newline, no space at a line's end, no more than one blank line."""
    text = _LINE_ENDS.sub("\n", text).replace("\t", " ")
    text = unicodedata.normalize("NFC", _UNSENDABLE.sub("", text))
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", text).strip()


# --------------------------------------------------------------------------- hashtags

# Letters, their marks and digits make a word. An emoji's variation selector and enclosing marks belong to no
# word. Persian and the scripts of India need the invisible joiners inside a word; elsewhere they are litter.
_LITTER = regex.compile(
    r"[\uFE0E\uFE0F\p{Me}]|(?<![^\p{Latin}\p{Greek}\p{Cyrillic}\p{Common}])[\u200C\u200D]+"
)
_WORD = regex.compile(r"[\p{L}\p{Nd}][\p{L}\p{M}\p{Nd}]*(?:(?<=[\p{L}\p{M}])[\u200C\u200D][\p{L}\p{M}]+)*")
_HAS_LETTER = regex.compile(r"\p{L}")
_INNER_CAPITAL = regex.compile(r"(?<=.)\p{Lu}")


def hashtags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """One hashtag a tag, in order, each once: `zéro déchet` → `#ZéroDéchet`.

    Every word starts with a capital, so that screen readers tell the words apart; capitals an editor typed
    stay. A tag without a letter makes no hashtag.
    """
    found: dict[str, str] = {}
    for tag in tags:
        hashtag = _hashtag(tag)
        if hashtag:
            found.setdefault(hashtag.casefold(), hashtag)
    return tuple(found.values())


def _hashtag(tag: str) -> str | None:
    words = _WORD.findall(_LITTER.sub("", unicodedata.normalize("NFC", tag)))
    joined = "".join(_capitalised(word, first=index == 0) for index, word in enumerate(words))
    if not _HAS_LETTER.search(joined):
        return None
    return "#" + unicodedata.normalize("NFC", joined)


def _capitalised(word: str, *, first: bool) -> str:
    """`iPhone` at the start stays as its maker writes it; after another word it needs its capital."""
    if first and _INNER_CAPITAL.search(word):
        return word
    return word[0].title() + word[1:]
