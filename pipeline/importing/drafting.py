"""From an entry of a feed to the text of a draft: front matter, and its HTML as Markdown. Pure.

What must stay true: whatever the feed holds, the texts are plain where they must be and within their limits,
no value leaves its line, and nothing is left of the HTML but what the list of tags below allows.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import unicodedata
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import quote, urljoin

import nh3
from bs4 import BeautifulSoup
from markdownify import MarkdownConverter

from pipeline.channels.text import shorter
from pipeline.importing.feed import FoundEntry, FoundImage
from pipeline.source.bidi import CONTROLS
from pipeline.source.text import REFUSED
from pipeline.source.values import language, web_address

MARK = "# imported: "  # of the line that says which entry of which feed a draft was made from
TITLE, SUMMARY, ALT, CREDIT, TAG = 120, 500, 1500, 300, 100  # characters
MOST_TAGS = 20
LONGEST_BODY = 200_000  # characters of HTML
LONGEST_ID = 300
_LOOKED_AT = 10_000  # characters of HTML that a title or summary is made from

_BLOCKS = re.compile(
    r"</?(p|div|br|hr|li|ul|ol|h[1-6]|t[rdh]|blockquote|figure|figcaption|pre)\b[^<>]*>", re.IGNORECASE
)
_MARKUP = re.compile(r"<[/!A-Za-z]|&#?[0-9A-Za-z]+;")
_UNUSABLE = re.compile(r'[\s<>"\\^`{|}]')
_TAGS = {
    "a", "b", "blockquote", "br", "code", "del", "div", "em", "figcaption", "figure", "h1", "h2", "h3", "h4",
    "h5", "h6", "hr", "i", "img", "li", "ol", "p", "pre", "s", "span", "strong", "sub", "sup", "table",
    "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href"}, "img": {"src", "alt", "width", "height"}, "ol": {"start"}}
_DROPPED_WHOLE = {"script", "style", "template", "noscript", "svg", "math", "iframe", "object", "title"}


@dataclass(frozen=True, slots=True)
class Draft:
    """What the front matter will say; None and empty where the feed has nothing usable."""

    source: str
    title: str
    summary: str
    url: str
    tags: tuple[str, ...]
    lang: str | None
    image: FoundImage | None
    html: str


def draft(found: FoundEntry) -> Draft | None:
    """What can be taken from the entry; None when it has no usable address, or neither title nor text."""
    body = _sanitised(found)
    told = plain(found.summary) or plain(body)
    title = _fitted(plain(found.title), TITLE) or _fitted(told, TITLE)
    url = _web(found.url)
    if not title or url is None:
        return None
    return Draft(
        source=_one_line(found.id),
        title=title,
        summary=_fitted(told, SUMMARY) or title,
        url=url,
        tags=_tags(found.tags),
        lang=_language(found.language),
        image=_image(found, url, body),
        html=body,
    )


def as_text(draft: Draft, picture: str | None) -> str:
    """The file. `picture` is the name of the downloaded picture beside it."""
    lines = ["---", f"{MARK}{draft.source}", *(f"{key}: {_yaml(value)}" for key, value in _required(draft))]
    if picture is not None and draft.image is not None:
        lines += _picture_lines(picture, draft.image)
    if draft.tags:
        lines.append(f"tags: {_yaml(list(draft.tags))}")
    if draft.lang:
        lines.append(f"lang: {_yaml(draft.lang)}")
    lines += ["# A draft: no campaign takes it. Delete the next line when it may go out.", "status: draft"]
    # A picture that waits for the editor stays in the body, where it was.
    lead = draft.image.url if picture and draft.image and plain(draft.image.alt) else None
    body = _markdown(draft.html, lead)
    return REFUSED.sub("", "\n".join([*lines, "---", "", body.strip(), ""]))


def _required(draft: Draft) -> list[tuple[str, str]]:
    return [("title", draft.title), ("summary", draft.summary), ("url", draft.url)]


def _picture_lines(name: str, image: FoundImage) -> list[str]:
    """Without a text for those who cannot see it, a picture waits for the editor."""
    alt = plain(image.alt)[:ALT].strip()
    lines = [f"image: {_yaml(name)}", f"image_alt: {_yaml(alt or '…')}"]
    credit = _fitted(plain(image.credit), CREDIT)
    lines += [f"image_credit: {_yaml(credit)}"] if credit else []
    if alt:
        return lines
    ask = "# The feed does not say what the picture shows. Write it as image_alt, then take the # away:"
    return [ask, *(f"# {line}" for line in lines)]


def _yaml(value: object) -> str:
    """JSON is YAML, and needs no care about what a plain scalar would mean."""
    return json.dumps(value, ensure_ascii=False)


def _one_line(identity: str) -> str:
    """The id as it stands in the file, always the same for the same entry, whatever its letters are."""
    return json.dumps(identity[:LONGEST_ID] if len(identity) <= LONGEST_ID else _digest(identity))


def _digest(identity: str) -> str:
    return "sha256:" + hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()


# --------------------------------------------------------------------------- texts


def plain(markup: str) -> str:
    """HTML, or text that was escaped once too often, as plain text in one line."""
    text = REFUSED.sub(" ", markup[:_LOOKED_AT])
    for _ in range(2):
        text = nh3.clean(_BLOCKS.sub(" ", text), tags=set(), clean_content_tags=_DROPPED_WHOLE)
        text = html.unescape(text)
        if not _MARKUP.search(text):
            break
    # A text that is cut may lose the end of what turns it around.
    text = CONTROLS.sub("", REFUSED.sub(" ", text))
    # What still looks like markup is meant to be read, so it is written as text that no rule takes for it.
    text = re.sub(r"<(?=[/!A-Za-z])", "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", text)
    text = re.sub(r"&(?=#?[0-9A-Za-z]+;)", "& ", text).replace("](", "] (")
    return " ".join(unicodedata.normalize("NFC", text).split())


def _fitted(text: str, limit: int) -> str:
    """The text, shortened to whole sentences, else to whole words."""
    if len(text) <= limit:
        return text
    known = text[: 4 * limit]
    return next((one for one in shorter(known) if len(one) <= limit), known[: limit - 1].rstrip() + "…")


def _tags(found: tuple[str, ...]) -> tuple[str, ...]:
    texts = (plain(tag)[:TAG].strip() for tag in found)
    once = {tag.casefold(): tag for tag in reversed([tag for tag in texts if tag])}
    return tuple(reversed(once.values()))[:MOST_TAGS]


def _language(found: str) -> str | None:
    try:
        return language(found)
    except ValueError:
        return None


def _web(url: str) -> str | None:
    """The address as front matter takes it, what must be encoded encoded; None when it is no web address."""
    try:
        return web_address(_UNUSABLE.sub(lambda sign: quote(sign.group()), REFUSED.sub("", url).strip()))
    except ValueError:
        return None


# --------------------------------------------------------------------------- body and picture


def _sanitised(found: FoundEntry) -> str:
    base = _web(found.url)
    return nh3.clean(
        REFUSED.sub("", found.html[:LONGEST_BODY]),
        tags=_TAGS,
        clean_content_tags=_DROPPED_WHOLE,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        url_relative=("rewrite_with_base", base) if base else "deny",
        link_rel=None,
    )


def _image(found: FoundEntry, url: str, body: str) -> FoundImage | None:
    """The entry's picture, or the first of its body; what the feed does not say of it the body may."""
    pictures = _Pictures()
    pictures.feed(body)
    image = found.image or next(iter(pictures.found), None)
    if image is None:
        return None
    try:
        address = _web(urljoin(url, image.url.strip()))
    except ValueError:
        address = None
    if address is None:
        return None
    alts = {one.url: one.alt for one in reversed(pictures.found)}
    return FoundImage(address, image.alt or alts.get(image.url.strip(), ""), image.credit)


class _Pictures(HTMLParser):
    """Collects the pictures of sanitised HTML, except those too small to be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[FoundImage] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        unseen = {given.get("width"), given.get("height")} & {"0", "1"}
        if tag == "img" and given.get("src") and not unseen:
            self.found.append(FoundImage(given["src"].strip(), given.get("alt", "").strip()))


def _markdown(markup: str, lead: str | None) -> str:
    """Sanitised HTML as Markdown, without the picture that has become the entry's own."""
    try:
        soup = BeautifulSoup(markup, "html.parser")
        for link in soup.find_all("a"):
            link["href"] = _bracketed(str(link.get("href") or ""))
        for picture in soup.find_all("img"):
            if lead is not None and _web(str(picture.get("src") or "")) == lead:
                picture.decompose()
                continue
            picture["src"] = _bracketed(str(picture.get("src") or ""))
            picture["alt"] = re.sub(r"([\\\[\]])", r"\\\1", " ".join(str(picture.get("alt") or "").split()))
        text = MarkdownConverter(heading_style="ATX", bullets="-", escape_misc=True).convert_soup(soup)
    except RecursionError:  # nested deeper than any page is
        return plain(markup)
    return re.sub(r"\n{3,}", "\n\n", str(text))


def _bracketed(url: str) -> str:
    """An address that cannot end its brackets before its own end."""
    return re.sub(r"[\s<>()\\]", lambda sign: quote(sign.group(), safe=""), url)
