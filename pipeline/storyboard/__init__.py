"""The storyboard: one HTML page on which a campaign is seen before it happens, and a document beside it.

What must stay true: the page is complete in itself, runs no script and asks nothing of any host; the text of
a card is the text of the request, byte for byte; the same script always gives the same bytes. What has been
sent is shown as it was sent, everything else as the channels would send it.

`script` holds what a storyboard is told, `cards` asks the channels what each would send, `memory` remembers a
storyboard and says what is new in the next, `page` and its neighbours draw.
"""

from __future__ import annotations

from pipeline.storyboard.binder import PAGE_FILE, RECORD_FILE, Drawn, before, draw, refuse_foreign, save
from pipeline.storyboard.memory import Before
from pipeline.storyboard.script import Moment, Preface, Script, Story, planned, played

__all__ = [
    "PAGE_FILE",
    "RECORD_FILE",
    "Before",
    "Drawn",
    "Moment",
    "Preface",
    "Script",
    "Story",
    "before",
    "draw",
    "planned",
    "played",
    "refuse_foreign",
    "save",
]
