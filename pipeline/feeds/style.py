"""The style sheet of the raw feeds, for whoever opens one in a browser.

Everything is hidden but what is named here: an element of an extension that a feed gains later never shows
up as stray text. CSS alone can make nothing clickable, so the sheet says that there is a page as well.
The sheet asks nothing of any host.
"""

from __future__ import annotations

_ENGLISH = (
    "This is a feed. To subscribe, copy the address of this page into your feed reader. "
    "The campaign’s own page shows the same, with links to click on."
)
_FRENCH = (
    "Ceci est un flux. Pour vous abonner, copiez l’adresse de cette page dans votre lecteur de flux. "
    "La page de la campagne montre la même chose, avec des liens."
)

_SHEET = r"""@charset "UTF-8";
@namespace atom "http://www.w3.org/2005/Atom";
@namespace dc "http://purl.org/dc/elements/1.1/";
@namespace xml "http://www.w3.org/XML/1998/namespace";

*|* { display: none }

:root {
  color-scheme: light dark;
  --ground: #ffffff; --ink: #1b1b1f; --quiet: #55555e; --accent: #0a4fb3; --line: #c9c9d1; --wash: #eef3fb;
  display: block;
  max-width: 42rem;
  margin: 0 auto;
  padding: 2rem 1.25rem 4rem;
  background: var(--ground);
  color: var(--ink);
  font: 1.0625rem/1.6 system-ui, sans-serif;
  overflow-wrap: anywhere;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #131316; --ink: #ececf1; --quiet: #b3b3bf; --accent: #9cc0ff; --line: #44444f; --wash: #1c2433;
  }
}

:root::before {
  display: block;
  margin-bottom: 2rem;
  border-inline-start: .25rem solid var(--accent);
  background: var(--wash);
  padding: .75rem 1rem;
  content: "{english}";
}
:root:lang(fr)::before { content: "{french}" }
/* RSS has no language that a browser knows of. */
|rss:not([xml|lang])::before { white-space: pre-line; content: "{english}\A {french}" }

|rss > |channel, |channel > |item, atom|feed > atom|entry { display: block }
|channel > |item, atom|feed > atom|entry {
  margin-top: 1.5rem; border-top: 1px solid var(--line); padding-top: 1.5rem
}

|channel > |title, atom|feed > atom|title, |item > |title, atom|entry > atom|title {
  display: block; font-size: 1.25rem; font-weight: 700; line-height: 1.3
}
|channel > |title, atom|feed > atom|title { font-size: 1.75rem }

|channel > |description, atom|feed > atom|subtitle {
  display: block; margin-top: .5rem; color: var(--quiet)
}
|item > |description, atom|entry > atom|summary { display: block; margin-top: .5rem }

|item > |pubDate, |item > dc|creator, atom|entry > atom|published {
  display: block; color: var(--quiet); font-size: .875rem
}
|channel > |link, |item > |link { display: block; margin-top: .5rem; color: var(--accent) }
atom|feed > atom|link[rel="alternate"]::after, atom|entry > atom|link[rel="alternate"]::after {
  content: attr(href)
}
atom|feed > atom|link[rel="alternate"], atom|entry > atom|link[rel="alternate"] {
  display: block; margin-top: .5rem; color: var(--accent)
}

@media print {
  :root {
    max-width: none; padding: 0;
    --ground: #ffffff; --ink: #000000; --quiet: #333333; --accent: #000000; --line: #999999; --wash: #ffffff;
  }
  |channel > |item, atom|feed > atom|entry { break-inside: avoid }
}
"""

CSS = _SHEET.replace("{english}", _ENGLISH).replace("{french}", _FRENCH).encode()
