"""From a version of a file and a request to a response: validators, types, ranges, encodings, cache headers.

What must stay true: two different bodies or types never share an entity tag; `Vary` names every header that
the choice depended on; a feed's `Link` header says what the feed says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.datastructures import Headers

from pipeline.serve.conditions import Unsatisfiable, accepts, best_encoding, byte_range, holds_tag, http_date
from pipeline.serve.encoded import ENCODERS, SHORTEST
from pipeline.serve.files import Version
from pipeline.serve.kinds import HTML, XML

# A release comes once a day, and hubs and readers ask through caches: fifteen minutes late is the most.
FRESH = "public, max-age=900"
FOR_EVER = "public, max-age=31536000, immutable"
# Pictures of the feeds carry the digest of their bytes in their name: another picture has another name.
_NAMED_BY_DIGEST = re.compile(r".+-[0-9a-f]{8}-[0-9a-f]{8}\.[a-z]+")
_MEDIA = "media"

# A page may show its own pictures and style sheet, and nothing else; the landing page narrows this further.
_POLICY = (
    "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'self' 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_POLICY_SVG = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
# For readers that run in a browser. What gets them a 304, they may send only once they are told so.
ANYBODY = {"access-control-allow-origin": "*", "access-control-expose-headers": "ETag, Link"}
PREFLIGHT = {
    **ANYBODY,
    "access-control-allow-methods": "GET, HEAD",
    "access-control-allow-headers": "If-Modified-Since, If-None-Match, Range",
    "access-control-max-age": "86400",
}
SECURITY = {
    "content-security-policy": _POLICY,
    # Feeds and pictures are there to be shown by others' readers and pages.
    "cross-origin-resource-policy": "cross-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send: a status, headers, and which bytes of which encoding of the version.

    `span` is None when there is no body.
    """

    status: int
    headers: Mapping[str, str]
    encoding: str | None = None
    span: tuple[int, int] | None = None


def answer(version: Version, method: str, asked: Headers, now: datetime) -> Answer:
    """The response to a GET or HEAD for this version. `now` is UTC."""
    shown_as_page = version.kind.styled and _wants_page(asked.get("accept"))
    encoding = _encoding(version, method, asked)
    etag = _etag(version.digest, encoding, page=shown_as_page)
    headers = {
        "etag": etag,
        "cache-control": _cache_control(version),
        "content-type": XML if shown_as_page else version.kind.mime,
        "accept-ranges": "bytes",
        **ANYBODY,
        **_vary(version),
        **_last_modified(version, now),
        **_links(version),
    }
    if version.kind.mime.startswith("image/svg"):
        headers["content-security-policy"] = _POLICY_SVG
    status = _precondition(asked, etag, version.modified)
    if status is not None:
        return Answer(status, {name: headers[name] for name in headers if name in _KEPT_WITHOUT_BODY})
    return _with_body(version, method, asked, headers, encoding)


_KEPT_WITHOUT_BODY = frozenset(
    (
        *("etag", "cache-control", "vary", "last-modified", "link"),
        *("content-security-policy", *ANYBODY),
    )
)


def _with_body(
    version: Version, method: str, asked: Headers, headers: dict[str, str], encoding: str | None
) -> Answer:
    if encoding is not None:
        # The length is known once it has been made.
        return Answer(200, {**headers, "content-encoding": encoding}, encoding, (0, version.length))
    wanted = asked.get("range")
    if method == "GET" and wanted is not None and _range_applies(asked, headers):
        span = byte_range(wanted, version.length)
        if span is Unsatisfiable.YES:
            kept = {name: headers[name] for name in headers if name in _KEPT_WITHOUT_BODY}
            return Answer(416, {**kept, "content-range": f"bytes */{version.length}"})
        if isinstance(span, tuple):
            begins, ends = span
            headers["content-range"] = f"bytes {begins}-{ends - 1}/{version.length}"
            headers["content-length"] = str(ends - begins)
            return Answer(206, headers, None, span)
    headers["content-length"] = str(version.length)
    return Answer(200, headers, None, (0, version.length))


def _precondition(asked: Headers, etag: str, modified: int) -> int | None:
    """304, 412 or None, in the order of RFC 9110, section 13.2.2."""
    if (match := asked.get("if-match")) is not None:
        if not holds_tag(match, etag, weakly=False):
            return 412
    elif (
        unmodified := http_date(asked.get("if-unmodified-since", ""))
    ) is not None and modified > unmodified:
        return 412
    if (none_match := asked.get("if-none-match")) is not None:
        return 304 if holds_tag(none_match, etag, weakly=True) else None
    # Only for a date of ours: a client's own could be that of the second in which the file changed.
    return 304 if http_date(asked.get("if-modified-since", "")) == modified else None


def _range_applies(asked: Headers, headers: Mapping[str, str]) -> bool:
    condition = asked.get("if-range")
    if condition is None:
        return True
    return condition.strip() in {headers["etag"], headers.get("last-modified")}


def _encoding(version: Version, method: str, asked: Headers) -> str | None:
    """None also for a range: it is counted in the bytes as they are."""
    if version.body is None or version.length < SHORTEST or not version.kind.compresses:
        return None
    if method == "GET" and "range" in asked:
        return None
    return best_encoding(asked.get("accept-encoding"), ENCODERS)


def _wants_page(accept: str | None) -> bool:
    """Whether a browser asks, to show it: feed readers that name text/html name their own types as well."""
    if accept is None or "rss+xml" in accept or "atom+xml" in accept:
        return False
    return (accepts(accept, HTML.partition(";")[0]) or 0) > 0


def _etag(digest: str, encoding: str | None, *, page: bool) -> str:
    return f'"{digest[:32]}{"-page" if page else ""}{f"-{encoding}" if encoding else ""}"'


def _vary(version: Version) -> dict[str, str]:
    names = ["Accept"] if version.kind.styled else []
    if version.kind.compresses:
        names.append("Accept-Encoding")
    return {"vary": ", ".join(names)} if names else {}


def _last_modified(version: Version, now: datetime) -> dict[str, str]:
    """Not within the second of the change: whoever trusts the date would miss another change in it."""
    if version.modified >= int(now.timestamp()):
        return {}
    return {"last-modified": format_datetime(datetime.fromtimestamp(version.modified, UTC), usegmt=True)}


def _cache_control(version: Version) -> str:
    by_digest = _MEDIA in version.path[:-1] and _NAMED_BY_DIGEST.fullmatch(version.path[-1])
    return FOR_EVER if by_digest else FRESH


def _links(version: Version) -> dict[str, str]:
    pairs = [f'<{target}>; rel="{relation}"' for relation, target in version.kind.links]
    return {"link": ", ".join(pairs)} if pairs else {}
