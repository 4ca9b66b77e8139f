"""The feeds as a feed reader shows them: newest first, title, day, summary."""

from __future__ import annotations

from html import escape

from pipeline.model import Release
from pipeline.storyboard import markup
from pipeline.storyboard.pictures import Pictures
from pipeline.storyboard.script import Script, Story

_FILES = "feed.xml, atom.xml, feed.json"


def reader(script: Script, pictures: Pictures) -> str:
    """The section, a pane for each campaign, as it reads when the last entry is out."""
    panes = "".join(_pane(story, pictures) for story in script.stories)
    return f'<section id="feeds">\n<h2>The feeds in a reader</h2>\n{panes}</section>\n'


def _pane(story: Story, pictures: Pictures) -> str:
    campaign = story.campaign
    shown = [one for one in story.releases if one.retracted is None]
    shown.sort(key=lambda one: (one.released, one.date, one.entry.id), reverse=True)
    lang = escape(campaign.language)
    entries = "".join(_entry(one, story, pictures) for one in shown)
    number = markup.count(len(shown), "entry", "entries")
    listed = f'<ol class="feed">\n{entries}</ol>' if entries else "<p>Nothing has been released.</p>"
    return (
        '<div class="reader"><div class="source">'
        f'<h3 lang="{lang}" dir="auto">{escape(campaign.title)}</h3>\n'
        f'<p lang="{lang}" dir="auto">{escape(campaign.description)}</p>\n'
        f'<p class="quiet">{escape(campaign.id)}/ {_FILES} · {number}</p>'
        f"</div>\n{listed}</div>\n"
    )


def _entry(one: Release, story: Story, pictures: Pictures) -> str:
    entry = one.entry
    lang = escape(entry.lang or story.campaign.language)
    zone = story.campaign.event.zone
    local = one.released.astimezone(zone)
    when = markup.moment(
        one.released, f"{markup.short_day(local.date())}, {markup.clock(one.released, zone)}"
    )
    title = escape(entry.title)
    if entry.url.lower().startswith(("http://", "https://")):
        title = f'<a href="{escape(entry.url)}" rel="noreferrer">{title}</a>'
    picture = pictures.shown(entry.image) if entry.image else ""
    return (
        f'<li>{picture}<div><h4 lang="{lang}" dir="auto">{title}</h4>'
        f'<p class="quiet">{when}</p><p lang="{lang}" dir="auto">{escape(entry.summary)}</p></div></li>\n'
    )
