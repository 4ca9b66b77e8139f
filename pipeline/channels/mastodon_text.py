"""How servers with the Mastodon API count a text, and how the text they show is known again.

What must stay true: no server counts more than is counted here. Where it cannot be seen from outside what a
server takes for a link, both readings are paid for: a link's flat rate, and its characters.

Mastodon counts graphemes, each link as a flat number and a mention without its server (twitter-text's
rules, with paths in any script). GoToSocial counts code points and Pleroma graphemes, links in full.
"""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser

import regex

from pipeline.channels.text import code_points, graphemes

# --------------------------------------------------------------------------- counting

_SCHEME = regex.compile(r"(?:https?|dat|dweb|ipfs|ipns|ssb|gopher|gemini)://", regex.IGNORECASE)
_WORD = regex.compile(r"\S+")
_SHORTEST = len("ssb://a.fr")  # what a server counts at the flat rate has at least so many characters
_LONGEST = 4_096

# A link that every version recognises, or the beginning of a longer one, which costs no more. Hosts in other
# scripts than Latin and unlisted top-level domains are recognised by some versions only.
_HOST = regex.compile(
    r"https?://(?P<host>(?:[\p{Latin}0-9](?:[\p{Latin}0-9-]{0,61}[\p{Latin}0-9])?+\.)++(?P<last>[a-z]{2,13}+))"
    r"(?![\p{L}\p{M}\p{N}@+_-]|\.[\p{L}\p{N}])(?::[0-9]++)?+",
    regex.IGNORECASE,
)
_PATH = regex.compile(r"/(?:[^\s<>()?]*[^\s<>()?!*\"'「」;:=,.$%\[\]~&|@])?+")
_QUERY = regex.compile(
    r"\?[\p{Latin}\p{M}0-9!?*'();:&=+$/%#\[\]_.,~|@^-]*[\p{Latin}\p{M}0-9_&=#/-]", regex.IGNORECASE
)
_SWALLOWS = regex.compile(
    r"[A-Za-z0-9@\uFF20$#\uFF03\uFFFE\uFEFF\uFFFF]\Z|\."
)  # before a link, it may be part of another

_MENTION = regex.compile(
    r"(?<![^\s(])@(?P<name>[a-z0-9_]++)@[a-z0-9]++(?:[.-][a-z0-9]++)*+(?=[\s),;!?]|\Z)", regex.IGNORECASE
)

# Rubies before Unicode 15.1 end a grapheme at each of these joints.
_JOINT = regex.compile(r"\p{InCB=Linker}[\p{M}\u200D]*(?=\p{InCB=Consonant})")

_COUNTRIES = (
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv "
    "bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg es et "
    "eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id "
    "ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu "
    "lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np "
    "nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj "
    "sk sl sm sn so sr st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy "
    "uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
_GENERIC = (
    "academy aero africa alsace amsterdam app archi art asia barcelona bayern berlin bike bio biz blog "
    "boutique brussels bzh cafe camp care cat center city clinic cloud club coach codes college com "
    "community company coop corsica cymru dance design dev digital earth eco edu education energy "
    "engineering eus events expert family farm film foundation frl fund gal gallery garden gent global "
    "gmbh gov green group guide hamburg help homes host house info ink institute int international jobs "
    "kitchen koeln land legal life link live london love madrid market media melbourne miami mil mobi "
    "moda money museum name net network news ngo nrw nyc one ong online org organic page paris partners "
    "party photo photos pics place plus post press pro productions quebec radio recipes reisen restaurant "
    "rio rocks ruhr saarland school schule science scot services shop site ski social software solar "
    "solutions space store stream studio study style support swiss sydney systems taipei team tech "
    "technology tel tienda tips tirol today tokyo tools tours town toys travel university vegas video "
    "vision vlaanderen vote voyage wales watch website wien wiki work works world xxx xyz yoga zone "
    "zuerich"
)
KNOWN_DOMAINS = frozenset(f"{_COUNTRIES} {_GENERIC}".split())


def mastodon(text: str, spoiler: str, per_link: int) -> int:
    """The most that any version of Mastodon counts."""
    counted: list[str] = []
    extra, begin = 0, 0
    for word in _WORD.finditer(text):
        for scheme in _SCHEME.finditer(text, word.start(), word.end()):
            if scheme.start() < begin:
                continue  # inside the link before it
            end = _end_of_link(text, word.start(), scheme.start())
            if end is None:
                extra += max(0, per_link - _SHORTEST)
            else:
                counted += [text[begin : scheme.start()], "x" * per_link]
                begin = end
    counted.append(text[begin:])
    shown = _MENTION.sub(r"@\g<name>", "".join(counted))
    return _graphemes(shown) + extra + _graphemes(spoiler)


def _end_of_link(text: str, word: int, start: int) -> int | None:
    """Where at least a link ends that is surely taken for one, None for any other."""
    if _SWALLOWS.search(text, word, start):
        return None
    host = _HOST.match(text, start)
    if host is None or host["last"].lower() not in KNOWN_DOMAINS or len(host["host"]) > 200:
        return None
    if host["host"].lower() == "t.co":
        return None  # cut in its own way
    end = host.end()
    for part in (_PATH, _QUERY):
        if found := part.match(text, end):
            end = found.end()
    return end if end - start <= _LONGEST else None


def gotosocial(text: str, spoiler: str) -> int:
    """What GoToSocial counts."""
    return code_points(text) + code_points(spoiler)


def pleroma(text: str, spoiler: str) -> int:
    """What Pleroma and Akkoma count."""
    return _graphemes(text) + _graphemes(spoiler)


def cautious(text: str, spoiler: str, per_link: int) -> int:
    """The most that any of them counts."""
    return max(gotosocial(text, spoiler), mastodon(text, spoiler, per_link))


def _graphemes(text: str) -> int:
    return graphemes(text) + len(_JOINT.findall(text))


# --------------------------------------------------------------------------- knowing a text again

_BLANK = regex.compile(r"[\s\u200B\u2060\uFEFF\x00]+")
_MENTIONED = regex.compile(r"@([\p{L}\p{N}_]+)@[\p{L}\p{N}]+(?:[.-][\p{L}\p{N}]+)*")
_LINK = regex.compile(r"https?://[^\s<>()\"'«»]+", regex.IGNORECASE)


def canonical(text: str) -> str:
    """The text without what servers change: white space, composition of accents, servers of mentions."""
    return _BLANK.sub("", _MENTIONED.sub(r"@\1", unicodedata.normalize("NFC", text)))


def plain(html: str) -> str:
    """The text of a status as its reader sees it, without regard to lines."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    return "".join(parser.pieces)


def shares_a_link(text: str, html: str) -> bool:
    """Whether a link of the text stands in the status, or there is none to go by."""
    links = _LINK.findall(text)
    parser = _Text()
    parser.feed(html)
    parser.close()
    shown = canonical("".join([*parser.pieces, *parser.targets]))
    return not links or any(canonical(link) in shown for link in links)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.targets: list[str] = []

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value for name, value in attrs if tag == "a" and name == "href" and value]
        if tag in {"br", "p"}:
            self.pieces.append("\n")
