"""A post of the outbox as a web page: made from the rendition's body alone, so it can be made again any time.

The page asks nothing of any other host, and everything an editor typed is escaped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from pathlib import PurePosixPath
from typing import Any

import regex

from pipeline.channels.text import HASHTAG, LINK

_LINK_OR_TAG = regex.compile(f"(?P<link>{LINK.pattern})|(?P<tag>{HASHTAG.pattern})", regex.IGNORECASE)
_SUFFIX = regex.compile(r"\.[a-z0-9]{1,5}")

_POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'"

_STYLE = """\
:root{color-scheme:light dark}
body{margin:0;font:1.125rem/1.6 system-ui,sans-serif;background:Canvas;color:CanvasText}
main{max-width:36rem;margin:3rem auto;padding:0 1.25rem}
article{border:1px solid #8886;border-radius:1rem;padding:1.5rem;overflow-wrap:anywhere}
header,footer,figcaption{font-size:.875rem;opacity:.8}
h1{font-size:1.25rem;line-height:1.3;margin:.25rem 0 1rem}
p{margin:0 0 1rem}
.tag{font-weight:600}
figure{margin:0 0 1rem}
img{display:block;max-width:100%;height:auto;border-radius:.5rem}
a:focus-visible{outline:3px solid;outline-offset:2px}
@media (prefers-contrast:more){header,footer,figcaption{opacity:1}}"""


@dataclass(frozen=True, slots=True)
class OutboxPost:
    """What the body of an outbox rendition says."""

    campaign: str
    entry: str
    channel: str
    date: str
    title: str
    text: str
    url: str
    lang: str
    key: str
    image: dict[str, str | None] | None

    @property
    def stem(self) -> str:
        """The name, without suffix, of every file of the post."""
        return f"{self.date}-{self.entry}"

    @property
    def media_name(self) -> str | None:
        """The name of the picture's copy in `media/`."""
        if self.image is None:
            return None
        suffix = PurePosixPath(str(self.image["path"])).suffix.lower()
        return self.stem + (suffix if _SUFFIX.fullmatch(suffix) else "")


def read_post(body: bytes) -> OutboxPost:
    """Read a body. Raises ValueError when it is not one."""
    try:
        document: Any = json.loads(body)
        image = document["image"]
        names = ("campaign", "entry", "channel", "date", "title", "text", "url", "lang", "key")
        texts = {name: document[name] for name in names}
        if image is not None:
            image = {name: image[name] for name in ("path", "alt", "credit")}
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"this is not a post of an outbox: {error!r}") from error
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("this is not a post of an outbox: a field is not text")
    return OutboxPost(**texts, image=image)


def page(body: bytes) -> bytes:
    """The HTML page of a body. Raises ValueError when it is not one."""
    post = read_post(body)
    title = escape(post.title)
    paragraphs = "\n".join(f'<p dir="auto">{_marked_up(part)}</p>' for part in post.text.split("\n\n"))
    place = " · ".join(escape(name) for name in (post.campaign, post.channel))
    return f"""\
<!doctype html>
<html lang="{escape(post.lang)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{title}</title>
<link rel="alternate" type="application/json" href="{escape(post.stem)}.json">
<style>
{_STYLE}
</style>
</head>
<body>
<main>
<article>
<header><time datetime="{escape(post.date)}">{escape(post.date)}</time> · {place}</header>
<h1 dir="auto">{title}</h1>
{paragraphs}
{_figure(post)}<footer>{_marked_up(post.url)}</footer>
</article>
</main>
</body>
</html>
""".encode()


def _marked_up(text: str) -> str:
    """Escaped text with its links to click and its hashtags marked."""
    pieces = []
    done = 0
    for match in _LINK_OR_TAG.finditer(text):
        pieces.append(escape(text[done : match.start()]))
        shown = escape(match.group())
        if match.group("tag"):
            pieces.append(f'<span class="tag">{shown}</span>')
        elif match.group().lower().startswith(("http://", "https://")):
            pieces.append(f'<a href="{shown}">{shown}</a>')
        else:
            pieces.append(shown)
        done = match.end()
    pieces.append(escape(text[done:]))
    return "".join(pieces).replace("\n", "<br>\n")


def _figure(post: OutboxPost) -> str:
    if post.image is None:
        return ""
    caption = post.image["credit"]
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    source = escape(f"media/{post.media_name}")
    return f'<figure><img src="{source}" alt="{escape(post.image["alt"] or "")}">{below}</figure>\n'
