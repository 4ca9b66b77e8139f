"""The page a campaign's readers land on: how to subscribe, and what has been released.

What must stay true: the page is complete in itself and asks nothing of any host but its own pictures; it
runs no script; whatever an editor typed is escaped; the same document always gives the same bytes. Feeds and
pictures are linked relative to the page, so it works from any host and folder. What other programs copy out
of it (canonical link, Open Graph, JSON-LD) is absolute, and is there when the address is known.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from html import escape
from urllib.parse import urljoin

from pipeline.feeds import landing_data
from pipeline.feeds.document import MEDIA_FOLDER, FeedDocument, FeedEntry, FeedImage
from pipeline.feeds.landing_pages import FRONT, Place, Shelf
from pipeline.feeds.landing_words import Words, bound, direction, words_of
from pipeline.feeds.text import clean
from pipeline.model import Event

STYLE = """\
:root{color-scheme:light dark;
--ground:#ffffff;--ink:#1b1b1f;--quiet:#55555e;--accent:#0a4fb3;--line:#c9c9d1;--wash:#eef3fb}
@media (prefers-color-scheme:dark){:root{
--ground:#131316;--ink:#ececf1;--quiet:#b3b3bf;--accent:#9cc0ff;--line:#44444f;--wash:#1c2433}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:1.0625rem/1.6 system-ui,sans-serif;
overflow-wrap:anywhere}
main{max-width:42rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:clamp(1.75rem,5vw,2.5rem);line-height:1.15;margin:0 0 .75rem;text-wrap:balance}
h2{font-size:1.25rem;line-height:1.3;margin:0 0 .5rem}
h3{font-size:1.375rem;line-height:1.25;margin:.25rem 0 .5rem}
p{margin:0 0 .75rem}
a{color:var(--accent);text-underline-offset:.15em}
a:focus-visible{outline:3px solid var(--accent);outline-offset:3px;border-radius:2px}
h3 a{color:inherit;text-decoration-thickness:1px}
h3 a:hover{color:var(--accent)}
.lead{font-size:1.1875rem;color:var(--quiet)}
.quiet,time,figcaption{color:var(--quiet);font-size:.9375rem}
time a{color:inherit}
.feeds{background:var(--wash);border-inline-start:.25rem solid var(--accent);border-radius:.25rem;
padding:1.25rem;margin:2rem 0 3rem}
.feeds ul{margin:0;padding:0;list-style:none}
.feeds li{margin:.5rem 0 0}
.feeds code{display:block;color:var(--quiet);font-size:.8125rem}
.shelves{padding:0;list-style:none}
.shelves li:has(:target){outline:3px solid var(--accent);outline-offset:.5rem;border-radius:.25rem}
.entries{list-style:none;margin:0;padding:0}
.entries>li{border-top:1px solid var(--line);padding:1.75rem 0}
article:target{outline:3px solid var(--accent);outline-offset:.75rem;border-radius:.25rem}
figure{margin:.75rem 0}
img{display:block;max-width:100%;max-height:32rem;height:auto;border-radius:.5rem}
@media print{:root{--ground:#ffffff;--ink:#000000;--quiet:#333333;--accent:#000000;--line:#999999}
main{max-width:none;padding:0}.feeds{border:1px solid var(--line)}
article{break-inside:avoid}h3 a::after{content:" (" attr(href) ")";font-size:.75rem;font-weight:400}}"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = "; ".join(
    (
        "default-src 'none'",
        "img-src 'self' data:",
        f"style-src 'sha256-{_STYLE_HASH}'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)


@dataclass(frozen=True, slots=True)
class FeedLink:
    """A feed as the page offers it. `href` is relative to the page."""

    title: str
    mime: str
    href: str


def page(
    document: FeedDocument,
    feeds: Sequence[FeedLink],
    *,
    zone: tzinfo = UTC,
    event: Event | None = None,
    place: Place = FRONT,
) -> bytes:
    """The page in HTML, UTF-8. Days are those of the `zone`; the feeds are offered in the given order.

    The `event` that the campaign counts down to is told to machines. A `place` in the archive makes it one of
    the archive's pages, which leads back to the front page instead of saying how to subscribe.
    """
    words = words_of(document.language)
    own = words.marked_in(document.language)
    home = address(document, place)
    is_front = place.number is None
    heading = words.entries if is_front else f"{words.archive}&nbsp;{place.number}"
    return f"""\
<!doctype html>
<html lang="{escape(document.language)}" dir="{direction(document.language)}">
<head>
{_head(document, feeds, home, event, place)}</head>
<body>
<main>
<header>
<h1 dir="auto">{_text(document.title, document.language)}</h1>
<p class="lead" dir="auto">{_text(document.description, document.language)}</p>
<p{own}>{_link(document.link, words.about)}</p>
</header>
{_subscribe(feeds, home, words, own) if is_front else _beside(place, words, own)}<section>
<h2{own}>{heading}</h2>
{_entries(document, words, zone, own, place)}</section>
{_shelves(place.shelves, words, zone, own) if is_front else _beside(place, words, own)}</main>
</body>
</html>
""".encode()


def address(document: FeedDocument, place: Place = FRONT) -> str | None:
    """Where the front page is served, or None when the campaign does not say; `place` is the document's."""
    return urljoin(document.rss_url, place.up or ".") if document.rss_url else None


def anchor(entry: FeedEntry) -> str:
    """The fragment of the page at which the entry stands: the end of its permanent id."""
    return entry.id.rpartition("/")[2]


# --------------------------------------------------------------------------- head


def _head(
    document: FeedDocument, feeds: Sequence[FeedLink], home: str | None, event: Event | None, place: Place
) -> str:
    data = landing_data.json_ld(document, home, lambda entry: place.permalink(anchor(entry)), event)
    own = home and home + place.below
    number = "" if place.number is None else f" ({place.number})"
    newest = next((entry.image for entry in document.entries if entry.image), None)
    lines = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        f"<title>{escape(document.title)}{number}</title>",
        _named("description", document.description),
        f'<link rel="canonical" href="{escape(own)}">' if own else "",
        '<link rel="icon" href="data:,">',  # else browsers ask for one that is not there
        *(
            f'<link rel="alternate" type="{_shown(feed.mime)}" title="{_shown(feed.title)}" '
            f'href="{place.up}{_shown(feed.href)}">'
            for feed in feeds
        ),
        *_cards(document, newest, own),
        f'<script type="application/ld+json">\n{data}\n</script>',
        f"<style>{STYLE}</style>",
    ]
    return "".join(f"{line}\n" for line in lines if line)


def _cards(document: FeedDocument, image: FeedImage | None, own: str | None) -> list[str]:
    """What a social network shows of a link to this page."""
    lines = [
        _property("og:type", "website"),
        _property("og:title", document.title),
        _property("og:description", document.description),
        _property("og:site_name", document.author),
        _named("twitter:card", "summary_large_image" if image else "summary"),
    ]
    if own:
        lines.append(_property("og:url", own))
    if image:
        lines += [
            _property("og:image", image.url),
            _property("og:image:type", image.mime),
            _property("og:image:alt", image.alt),
        ]
    return lines


def _named(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{escape(content)}">'


def _property(name: str, content: str) -> str:
    return f'<meta property="{name}" content="{escape(content)}">'


# --------------------------------------------------------------------------- body


def _subscribe(feeds: Sequence[FeedLink], home: str | None, words: Words, own: str) -> str:
    if not feeds:
        return ""
    lines = []
    for feed in feeds:
        # A reader wants the address; who does not know what a feed is would see only XML behind the link.
        copied = f"<code>{_shown(urljoin(home, feed.href))}</code>" if home else ""
        lines.append(
            f'<li><a href="{_shown(feed.href)}" type="{_shown(feed.mime)}">{_shown(feed.title)}</a>'
            f"{copied}</li>\n"
        )
    return (
        f'<section class="feeds">\n<h2{own}>{words.subscribe}</h2>\n<p{own}>{words.how}</p>\n'
        f"<ul>\n{''.join(lines)}</ul>\n</section>\n"
    )


def _beside(place: Place, words: Words, own: str) -> str:
    """From an archive page to those beside it and to the front page."""
    ways = (
        (FRONT.file, words.newest, ""),
        (place.newer, words.newer, ' rel="next"'),
        (place.older, words.older, ' rel="prev"'),
    )
    links = [f'<a href="{place.up}{file}"{rel}>{name}</a>' for file, name, rel in ways if file]
    return f"<nav{own}>\n<p>{' · '.join(links)}</p>\n</nav>\n"


def _shelves(shelves: Sequence[Shelf], words: Words, zone: tzinfo, own: str) -> str:
    """The archive pages; each bears the ids of its entries, so that old links still lead to them."""
    if not shelves:
        return ""
    lines = []
    for shelf in shelves:
        ids = "".join(f'<span id="{escape(entry)}"></span>' for entry in shelf.entries)
        days = f"{_day(shelf.first, words, zone)} – {_day(shelf.last, words, zone)}"
        lines.append(f'<li>{ids}<a href="{shelf.file}">{days}</a></li>\n')
    return f'<nav{own}>\n<h2>{words.older}</h2>\n<ul class="shelves">\n{"".join(lines)}</ul>\n</nav>\n'


def _entries(document: FeedDocument, words: Words, zone: tzinfo, own: str, place: Place) -> str:
    if not document.entries:
        return f'<p class="quiet"{own}>{words.nothing_yet}</p>\n' if place is FRONT else ""
    return (
        '<ol class="entries">\n'
        + "".join(_entry(document, e, words, zone, place) for e in document.entries)
        + "</ol>\n"
    )


def _entry(document: FeedDocument, entry: FeedEntry, words: Words, zone: tzinfo, stands: Place) -> str:
    fragment = escape(anchor(entry))
    day = _day(entry.published, words, zone)
    own = escape(stands.to(anchor(entry)))
    turned = words.turned_in(document.language)
    place = (
        f'<p class="quiet"{turned}>{words.place} <span dir="auto">{escape(entry.place)}</span></p>\n'
        if entry.place
        else ""
    )
    return (
        f'<li><article id="{fragment}"{_language(document, entry)}>\n'
        f'<a class="quiet" href="{own}" lang="{words.language}"{turned}>{day}</a>\n'
        f'<h3 dir="auto">{_link(entry.url, bound(entry.title, entry.language))}</h3>\n'
        f"{_figure(entry.image, stands)}"
        f'<p dir="auto">{_text(entry.summary, entry.language)}</p>\n{place}'
        f"</article></li>\n"
    )


def _language(document: FeedDocument, entry: FeedEntry) -> str:
    return f' lang="{escape(entry.language)}"' if entry.language != document.language else ""


def _day(instant: datetime, words: Words, zone: tzinfo) -> str:
    return f'<time datetime="{instant.isoformat()}">{words.day(instant.astimezone(zone).date())}</time>'


def _figure(image: FeedImage | None, stands: Place) -> str:
    if image is None:
        return ""
    source = f"{stands.up}{MEDIA_FOLDER}/{image.url.rpartition('/')[2]}"
    credit = f'<figcaption dir="auto">{escape(image.credit)}</figcaption>' if image.credit else ""
    return (
        f'<figure><img src="{escape(source)}" alt="{escape(image.alt)}" loading="lazy" decoding="async">'
        f"{credit}</figure>\n"
    )


def _link(target: str, text: str) -> str:
    """The text, to click if it leads to the web: a release older than today's checks may hold anything."""
    if not target.lower().startswith(("http://", "https://")):
        return escape(text)
    return f'<a href="{escape(target)}">{escape(text)}</a>'


def _text(text: str, language: str) -> str:
    return escape(bound(text, language))


def _shown(text: str) -> str:
    return escape(clean(text))
