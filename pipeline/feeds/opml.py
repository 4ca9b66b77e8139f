"""The list of all feeds as OPML 2.0, which feed readers import: a folder for each campaign.

A feed is named once, in RSS, the format every reader has. Only what has an address is in the list.
"""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree
from lxml.etree import _Element as Element

from pipeline.feeds.selections import Kind, Listed


def opml(title: str, collective: Listed, campaigns: Sequence[Sequence[Listed]]) -> bytes:
    """The list: the feed of all campaigns, then each campaign's feeds, its own one first."""
    root = etree.Element("opml", version="2.0")
    etree.SubElement(etree.SubElement(root, "head"), "title").text = title
    body = etree.SubElement(root, "body")
    _feed(body, collective)
    for feeds in campaigns:
        addressed = [feed for feed in feeds if feed.rss_url]
        own = next((feed for feed in addressed if feed.kind is Kind.CAMPAIGN), None)
        if own is None:
            continue
        parent = etree.SubElement(body, "outline", text=own.title) if len(addressed) > 1 else body
        for feed in addressed:
            _feed(parent, feed)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def _feed(parent: Element, feed: Listed) -> None:
    if feed.rss_url is None:
        return
    etree.SubElement(
        parent,
        "outline",
        type="rss",
        text=feed.title,
        title=feed.title,
        xmlUrl=feed.rss_url,
        htmlUrl=feed.link,
        language=feed.language,
    )
