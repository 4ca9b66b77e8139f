"""The storyboard's style sheet: light and dark, on paper, from 320 pixels up; filters without a script.

What must stay true: nothing is fetched; text has a contrast of at least 4.5 to 1 on whatever it stands on;
with an old browser that does not know `:has` everything is simply shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipeline.storyboard.markup import INDENTS

_BASE = """\
:root{color-scheme:light dark;
--ground:#f6f7f9;--paper:#ffffff;--ink:#1b1b1f;--quiet:#55555e;--accent:#0a4fb3;--line:#d5d7de;--wash:#eef3fb;
--good:#116329;--good-wash:#e3f6e8;--bad:#a11a1f;--bad-wash:#fdebec;--warn:#7a4b00;--warn-wash:#fdf3dc;
--new:#5a2ca0;--new-wash:#f1eafc;--shadow:0 1px 2px #1b1b1f14,0 4px 16px #1b1b1f0d}
@media (prefers-color-scheme:dark){:root{
--ground:#0f1013;--paper:#18191e;--ink:#ececf1;--quiet:#b3b3bf;--accent:#9cc0ff;--line:#363842;--wash:#1c2433;
--good:#8fdca4;--good-wash:#15301e;--bad:#ffb0b0;--bad-wash:#3d1a1d;--warn:#f2cc7d;--warn-wash:#332708;
--new:#cdb4ff;--new-wash:#2a1f42;--shadow:none}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:1rem}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--ground);color:var(--ink);font:1rem/1.55 system-ui,sans-serif;
overflow-wrap:anywhere}
main,.top{max-width:84rem;margin:0 auto;padding:0 clamp(1rem,3vw,2.5rem)}
.top{padding-top:2.5rem}
main{padding-bottom:4rem}
h1{font-size:clamp(1.75rem,4.5vw,2.75rem);line-height:1.12;margin:0 0 .5rem;text-wrap:balance;
letter-spacing:-.015em}
h2{font-size:1.375rem;line-height:1.3;margin:0 0 1rem}
h3,h4,h5{line-height:1.3;margin:0}
p{margin:0 0 .75rem}
a{color:var(--accent);text-underline-offset:.15em;text-decoration-thickness:1px}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:3px}
section[tabindex]:focus{outline:none}
main>section{margin-top:2.25rem}
code,pre{font:.8125rem/1.5 ui-monospace,monospace}
.kind{margin:0 0 .5rem;color:var(--accent);font-weight:650;font-size:.875rem;letter-spacing:.02em}
.lead{color:var(--quiet);font-size:1.0625rem;max-width:48rem}
.quiet{color:var(--quiet)}
.sheet{position:absolute}
.sr,.skip:not(:focus){position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.skip:focus{position:fixed;inset:.5rem auto auto .5rem;z-index:9;background:var(--paper);padding:.5rem 1rem}
nav ul{display:flex;flex-wrap:wrap;gap:.375rem 1.25rem;list-style:none;margin:1rem 0 0;padding:.75rem 0;
border-block:1px solid var(--line)}
"""

_OVERVIEW = """\
.fine,.troubles li{padding:.75rem 1rem;border-radius:.625rem}
.fine{background:var(--good-wash);color:var(--good);margin:0}
.fine::before{content:"\\2713\\20";font-weight:700}
.troubles,.news,.moments,.feed{list-style:none;margin:0;padding:0}
.troubles li{margin-bottom:.5rem}
.troubles .bad{background:var(--bad-wash)}
.troubles .bad strong{color:var(--bad)}
.troubles .warn{background:var(--warn-wash)}
.troubles .warn strong{color:var(--warn)}
.troubles .quiet{display:block}
.news li{padding:.25rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:.75rem;list-style:none;
margin:1rem 0;padding:0}
.tiles li{background:var(--paper);border:1px solid var(--line);border-radius:.75rem;padding:.75rem 1rem;
color:var(--quiet)}
.tiles b{display:block;font-size:1.75rem;line-height:1.2;color:var(--ink);font-variant-numeric:tabular-nums}
.tiles .bad{background:var(--bad-wash)}
.tiles .bad,.tiles .bad b{color:var(--bad)}
table{border-collapse:collapse}
caption{text-align:start;font-weight:650;padding:0 0 .5rem}
.channels{width:100%;background:var(--paper);border:1px solid var(--line);font-variant-numeric:tabular-nums}
.channels th,.channels td{text-align:end;padding:.4rem .75rem;border-top:1px solid var(--line)}
.channels th:first-child{text-align:start}
.channels thead th{color:var(--quiet);font-weight:500;font-size:.875rem;border:0}
.channels{overflow-wrap:normal}
.channels tbody th{overflow-wrap:anywhere}
.channels td{white-space:nowrap}
.channels caption{color:var(--quiet);font-weight:500}
.months{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,34rem),1fr));gap:1.5rem;
margin-bottom:1.5rem}
.months:has(>:only-child){grid-template-columns:1fr}
.month{width:100%;table-layout:fixed;align-self:start}
.month th{font-weight:500;font-size:.8125rem;color:var(--quiet);padding:.25rem}
.month abbr{text-decoration:none}
.month td{height:4.25rem;padding:0;border:1px solid var(--line);vertical-align:top;background:var(--paper)}
.month td:empty{background:none;border-color:transparent}
.month .number{display:block;padding:.375rem .5rem 0;font-size:.875rem;font-variant-numeric:tabular-nums}
.slot{display:block;min-height:100%;height:4.25rem;overflow:hidden;color:var(--ink);text-decoration:none;
background:var(--wash);border-inline-start:3px solid var(--accent)}
.filled:has(.slot+.slot) .slot{height:auto}
.slot .number{font-weight:700}
.slot .name{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:2;overflow:hidden;
padding:0 .5rem;font-size:.8125rem;line-height:1.3;hyphens:auto}
.slot:hover .name{text-decoration:underline}
.slot.waits{background:var(--bad-wash);border-color:var(--bad)}
.slot.changed{background:var(--new-wash);border-color:var(--new)}
.event{background:var(--ink)!important;color:var(--ground)}
.event b{display:block;padding:0 .5rem;font-size:.8125rem;line-height:1.3}
@media (min-width:64rem){
.short{display:grid;grid-template-columns:minmax(0,5fr) minmax(0,7fr);column-gap:2.5rem}
.short>section{grid-column:1/-1}.short>#summary{grid-column:1}.short>#calendar{grid-column:2}
.short .tiles{grid-template-columns:repeat(3,1fr)}.short .month td,.short .slot{height:5.25rem}
.short .slot .name{-webkit-line-clamp:3;padding:0 .25rem;font-size:.75rem}
.short .slot .number{padding-inline:.25rem}.short .months{margin:0}
.short .channels th,.short .channels td{padding:.4rem .5rem}}
@media (max-width:40rem){.month td,.slot{height:2.75rem}.month .number{padding:.5rem 0 0;text-align:center}
.slot .name,.event b{position:absolute;width:1px;height:1px;padding:0;overflow:hidden;clip-path:inset(50%)}
.channels th,.channels td{padding:.4rem .3rem;font-size:.8125rem}
.channels :is(th,td):nth-child(n+5){display:none}
.tiles{grid-template-columns:repeat(auto-fit,minmax(min(100%,6.75rem),1fr))}.tiles li{padding:.5rem .75rem}}
@media (max-width:24rem){.channels :is(th,td):nth-child(3){display:none}}
"""

_DAYS = """\
.filters{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem .625rem;margin:0 0 1.25rem;padding:0;
border:0;min-width:0}
.filters legend{float:inline-start;padding:0;margin-inline-end:.25rem;color:var(--quiet)}
.filters label{display:inline-flex;align-items:center;gap:.375rem;padding:.25rem .75rem .25rem .5rem;
background:var(--paper);border:1px solid var(--line);border-radius:2rem;cursor:pointer}
.filters input{accent-color:var(--accent);margin:0}
.filters{display:none}
@supports selector(:has(a)){.filters{display:flex}}
.day{display:grid;grid-template-columns:11.5rem minmax(0,1fr);gap:1.5rem;padding:1.5rem 0;
border-top:1px solid var(--line);content-visibility:auto;contain-intrinsic-size:auto 40rem}
.when{position:sticky;top:1rem;align-self:start}
.when h3,.when h4{font-weight:500;color:var(--quiet);display:flex;flex-direction:column}
.when span{overflow-wrap:normal}
.when .number{font-size:3rem;font-weight:700;line-height:1.05;color:var(--ink);letter-spacing:-.03em;
font-variant-numeric:tabular-nums}
.countdown{display:inline-block;margin:.625rem 0;padding:.125rem .625rem;border-radius:2rem;
background:var(--wash);color:var(--accent);font-size:.875rem;font-weight:600}
.when .title{font-weight:650;line-height:1.35;margin:0 0 .25rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,19rem),1fr));gap:1rem;
align-items:start}
.card{--net:var(--accent);--on-net:#fff;background:var(--paper);border:1px solid var(--line);
border-radius:.875rem;box-shadow:var(--shadow);overflow:hidden;min-width:0;break-inside:avoid}
.card.waits{border-color:var(--bad)}
.card.changed{border-color:var(--new);box-shadow:0 0 0 1px var(--new)}
.strip{display:flex;justify-content:space-between;align-items:center;gap:.75rem;padding:.5rem .875rem;
border-bottom:1px solid var(--line);border-top:3px solid var(--net)}
.strip :is(h4,h5){font-size:.875rem;font-weight:650}
.chip{display:inline-block;flex:none;padding:.0625rem .5rem;border-radius:1rem;font-size:.8125rem;
font-weight:600;background:var(--wash);color:var(--accent);font-variant-numeric:tabular-nums}
.chip.good{background:var(--good-wash);color:var(--good)}
.chip.bad{background:var(--bad-wash);color:var(--bad)}
.chip.cut{background:var(--warn-wash);color:var(--warn)}
.badges{display:flex;flex-wrap:wrap;gap:.375rem;margin:0;padding:.5rem .875rem 0}
.badges span{padding:.0625rem .5rem;border-radius:.25rem;background:var(--new-wash);color:var(--new);
font-size:.8125rem;font-weight:650}
.fault,.reason{margin:.75rem .875rem;padding:.5rem .75rem;border-radius:.5rem;background:var(--bad-wash)}
.fault strong{color:var(--bad)}
.reason{margin:0 0 .5rem;font-size:.875rem}
.post{padding:.875rem .875rem .5rem;font-size:.9375rem;line-height:1.45}
.who{display:flex;gap:.625rem;align-items:center;margin:0 0 .625rem;line-height:1.25}
.who>span:last-child{min-width:0}
.who b{display:block}
.handle{display:flex;gap:.25rem;color:var(--quiet);font-size:.8125rem;white-space:nowrap}
.account{overflow:hidden;text-overflow:ellipsis}
.avatar{flex:none;display:grid;place-items:center;width:2.5rem;height:2.5rem;border-radius:50%;
background:var(--net);color:var(--on-net);font-weight:700;font-size:1.125rem}
.text{white-space:pre-wrap;margin:0 0 .625rem}
.text a,.tag,.mention{color:var(--link,var(--accent))}
.picture{display:block;width:100%;aspect-ratio:16/9;border-radius:.75rem;margin:0 0 .625rem;
background:var(--wash)}
.linked{border:1px solid var(--line);border-radius:.75rem;overflow:hidden;margin:0 0 .625rem}
.linked .picture{border-radius:0;margin:0}
.linked p{margin:0;padding:.625rem .75rem;background:var(--ground);font-size:.875rem;line-height:1.35}
.linked :is(b,span){display:block}
.linked .domain{color:var(--quiet);font-size:.8125rem}
.actions{display:flex;justify-content:space-between;max-width:20rem;margin:0;color:var(--quiet);
font-size:.8125rem}
.ours{padding:.625rem .875rem .75rem;border-top:1px solid var(--line);background:var(--ground);
font-size:.875rem}
.counter{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem;margin:0;font-variant-numeric:tabular-nums}
.ring{width:1.25rem;height:1.25rem;flex:none;transform:rotate(-90deg)}
.ring circle{fill:none;stroke:var(--line);stroke-width:3}
.ring .used{stroke:var(--accent)}
.ring.narrow .used{stroke:var(--warn)}
details>summary{cursor:pointer;color:var(--quiet);padding:.1875rem 0}
details[open]>summary{color:var(--ink)}
.ours details p{margin:.25rem 0 .5rem}
.ours pre{white-space:pre-wrap;word-break:break-all;
margin:.25rem 0 0;padding:.625rem .75rem;border-radius:.5rem;
background:var(--paper);border:1px solid var(--line)}
pre i{font-style:normal}
del{color:var(--bad);text-decoration-thickness:1px}
.diff{white-space:pre-wrap;padding:.25rem 0 .5rem}
.diff del,.news del{background:var(--bad-wash)}
ins{color:var(--good);background:var(--good-wash);text-decoration-thickness:1px}
.out{margin:.25rem 0 0}
@media (max-width:56rem){.day{grid-template-columns:minmax(0,1fr);gap:1rem}.when{position:static}
.when :is(h3,h4){flex-direction:row;align-items:baseline;gap:.5rem}.when .number{font-size:2rem}
.countdown{margin:.375rem 0}}
"""

_NETWORKS = """\
.net-x{--net:#0f1419;--link:#0b62b0}
.net-mastodon{--net:#563acc;--link:#563acc}
.net-mastodon .avatar{border-radius:.5rem}
.net-bluesky{--net:#0a60d6;--link:#0a60d6}
.net-facebook{--net:#0f5fd7;--link:#0f5fd7}
.net-facebook .linked,.net-facebook .picture{border-radius:0;margin-inline:-.875rem}
.net-facebook .picture{width:calc(100% + 1.75rem)}
.net-facebook .linked{border-inline:0}
.net-facebook .actions{justify-content:space-around;max-width:none;border-top:1px solid var(--line);
padding-top:.5rem}
.net-webhook{--net:#0f6e66}
.net-webhook .avatar,.net-outbox .avatar{border-radius:.375rem}
.net-outbox{--net:#7a4b00}
@media (prefers-color-scheme:dark){
.net-x{--net:#e7e9ea;--on-net:#0f1419;--link:#7cc0ff}
.net-mastodon{--net:#8c74ff;--on-net:#0f1013;--link:#b5a5ff}
.net-bluesky{--net:#5fa3ff;--on-net:#0f1013;--link:#8dbdff}
.net-facebook{--net:#5e9bff;--on-net:#0f1013;--link:#8fb8ff}
.net-webhook{--net:#4fc7ba;--on-net:#0f1013}
.net-outbox{--net:#e0b565;--on-net:#0f1013}
}
"""

_REST = """\
.past{border-top:1px solid var(--line);padding:.375rem 0}
.past>summary .quiet{font-weight:400}
.past.odd>summary b::after{content:"";display:inline-block;width:.5rem;height:.5rem;border-radius:50%;
background:var(--warn);margin-inline-start:.375rem}
.past>summary{color:var(--ink)}
.moments{padding:.25rem 0 .75rem 1rem}
.moments li{display:flex;gap:.75rem;padding:.1875rem 0;align-items:baseline;font-size:.9375rem}
.moments time{color:var(--quiet);font-variant-numeric:tabular-nums;flex:none}
.sign{flex:none;width:1.25rem;text-align:center;font-weight:700;color:var(--quiet)}
.good .sign{color:var(--good)}.bad .sign{color:var(--bad)}.warn .sign{color:var(--warn)}
.reader{display:grid;grid-template-columns:15rem minmax(0,1fr);background:var(--paper);
border:1px solid var(--line);border-radius:.875rem;overflow:hidden;margin-bottom:1.5rem}
.source{padding:1.25rem;background:var(--wash)}
.source p{font-size:.875rem;margin:.5rem 0 0}
.feed li{display:flex;gap:1rem;padding:1rem 1.25rem;border-bottom:1px solid var(--line)}
.feed li:last-child{border:0}
.feed .picture{width:9rem;flex:none;align-self:flex-start;margin:.25rem 0 0;border-radius:.5rem}
.feed p{margin:.25rem 0 0;font-size:.9375rem}
.feed p.quiet{font-size:.8125rem}
@media (max-width:56rem){.reader{grid-template-columns:minmax(0,1fr)}}
@media (max-width:40rem){.feed li{flex-direction:column}.feed .picture{width:100%}
.moments{padding-inline-start:0}
.moments li{flex-wrap:wrap;gap:.25rem .5rem}}
@media print{:root{--ground:#fff;--paper:#fff;--ink:#000;--quiet:#333;--accent:#000;--line:#999;--wash:#fff;
--good:#000;--good-wash:#fff;--bad:#000;--bad-wash:#fff;--warn:#000;--warn-wash:#fff;--new:#000;--new-wash:#fff;
--shadow:none}
body{font-size:.8125rem}main,.top{max-width:none;padding:0}
nav,.filters,.skip,.request,.actions{display:none!important}
.day{content-visibility:visible;grid-template-columns:8rem minmax(0,1fr)}.when{position:static}
.cards{grid-template-columns:repeat(2,minmax(0,1fr))}
.card,.month,.channels,.feed li{break-inside:avoid}
.when :is(h3,h4){flex-direction:column}
.event{outline:2px solid #000;background:none!important}.event,.event b{color:#000}}
"""


def sheet(channels: Sequence[str]) -> str:
    """The whole sheet, with a filter for each channel id."""
    names = [name.replace(".", r"\.") for name in channels]  # an id may hold dots, which mean classes here
    hidden = "".join(f"body:has(#show-{name}:not(:checked)) .at-{name}{{display:none}}\n" for name in names)
    return (
        _BASE
        + _OVERVIEW
        + _DAYS
        + _NETWORKS
        + INDENTS
        + _REST
        + "@media screen{\n"
        + hidden
        + "body:has(#only-changed:checked) :is(.card:not(.changed),.day:not(:has(.changed))){display:none}\n"
        + "body:has(#only-waits:checked) :is(.card:not(.waits),.day:not(:has(.waits))){display:none}\n}\n"
    )


def channel_filters(channels: Sequence[str], *, changed: bool, waits: bool) -> str:
    """What to show: a box for each channel, and for what is new or waits where there is any."""
    boxes = [_box(f"show-{name}", name, checked=True) for name in channels] if len(channels) > 1 else []
    if changed:
        boxes.append(_box("only-changed", "only what is new", checked=False))
    if waits:
        boxes.append(_box("only-waits", "only what needs a look", checked=False))
    if not boxes:
        return ""
    return f'<fieldset class="filters"><legend>Show</legend>{"".join(boxes)}</fieldset>\n'


def _box(name: str, words: str, *, checked: bool) -> str:
    mark = " checked" if checked else ""
    return f'<label><input type="checkbox" id="{escape(name)}"{mark}>{escape(words)}</label>'
