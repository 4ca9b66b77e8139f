"""What people change while a campaign is under way: nothing is lost in silence, and nothing stays stuck."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline import decisions
from pipeline.clock import VirtualClock
from pipeline.errors import NotAllowed
from pipeline.review import Review
from tests.support.channels import FaultyChannel, auth_failed, no_answer, rate_limited, rejected
from tests.support.projects import Project

DUE = datetime(2016, 4, 11, 10, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Scene:
    """A campaign of three days with one channel, `main`, seen an hour before its first post."""

    def __init__(self, root):
        self.clock = VirtualClock(DUE - HOUR)
        self.channel = FaultyChannel(clock=self.clock)
        self.project = Project(root, DUE)
        for entry in "abc":
            self.project.entry(entry)
        self.write()
        self.look(DUE - HOUR)

    def write(self, *channels, **options):
        """The campaign's file, with these channels."""
        named = {"main": {"network": "outbox", **options}}
        self.project.campaign(
            "a", "b", "c", channels=named | {name: {"network": "outbox"} for name in channels}
        )

    def look(self, instant):
        """A tick at that instant."""
        self.clock.sleep_until(instant)
        self.do(lambda pipeline: pipeline.tick())

    def away(self, instant):
        """The campaign's file is taken away, and a tick sees it."""
        (self.project.root / "schedules/lille.yaml").unlink()
        self.look(instant)

    def back(self, instant):
        """It is put back, and a tick sees it."""
        self.write()
        self.look(instant)

    def do(self, what):
        with self.project.open(self.clock, channels={"main": self.channel}) as pipeline:
            return what(pipeline)

    def state(self, key):
        return self.project.states()[f"lille/{key}"]


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_giving_up_what_was_held_for_refused_credentials_lets_the_next_post_ask_again(scene):
    scene.channel.fail("publish", auth_failed())
    scene.look(DUE)
    assert scene.do(lambda pipeline: pipeline.ledger.paused())
    scene.do(lambda pipeline: decisions.cancel(pipeline, "lille/a/main"))
    scene.channel.fail("publish", auth_failed())
    scene.look(DUE + DAY)
    (waits,) = scene.do(lambda pipeline: pipeline.waiting())
    assert str(waits.delivery.key) == "lille/b/main"
    scene.do(lambda pipeline: decisions.cancel(pipeline, "lille/b/main"))
    scene.look(DUE + 2 * DAY)
    assert scene.state("c/main") == "published"


def test_a_channel_that_gets_another_network_posts_what_is_planned_there(scene):
    scene.write(network="webhook", url="https://example.org/hook")
    scene.look(DUE)
    scene.look(DUE + DAY)
    assert (scene.state("a/main"), scene.state("b/main")) == ("published", "published")
    told = scene.do(lambda pipeline: pipeline.ledger.deliveries("lille"))
    assert [one.network for one in told] == ["webhook", "webhook", "outbox"]
    assert scene.channel.remote.count == 2


def test_what_was_held_goes_to_the_other_network_once_retried(scene):
    scene.channel.fail("publish", rejected())
    scene.look(DUE)
    scene.write(network="webhook", url="https://example.org/hook")
    scene.do(lambda pipeline: decisions.retry(pipeline, "lille/a/main"))
    scene.look(DUE + MINUTE)
    assert scene.state("a/main") == "published"


def test_what_the_former_network_may_have_is_never_sent_to_the_other(scene):
    scene.channel.fail("publish", no_answer(accepted=False))
    scene.look(DUE)
    scene.write(network="webhook", url="https://example.org/hook")
    scene.look(DUE + HOUR)
    (waits,) = scene.do(lambda pipeline: pipeline.waiting())
    assert str(waits.delivery.key) == "lille/a/main"
    assert scene.channel.remote.count == 0


def test_a_post_that_waits_goes_out_though_its_campaign_was_away_for_a_moment(scene):
    scene.channel.fail("publish", rate_limited(wait=10 * MINUTE))
    scene.look(DUE)
    scene.away(DUE + MINUTE)
    scene.back(DUE + 2 * MINUTE)
    scene.look(DUE + 15 * MINUTE)
    assert scene.state("a/main") == "published"
    assert scene.channel.remote.count == 1


def test_a_channel_that_comes_back_within_its_window_still_gets_the_post(scene):
    scene.write("second")
    scene.look(DUE - 30 * MINUTE)
    scene.write()
    scene.look(DUE)
    scene.write("second")
    scene.look(DUE + HOUR)
    assert (scene.state("a/main"), scene.state("a/second")) == ("published", "published")


def test_what_comes_back_after_its_window_is_told_as_missed_and_can_be_sent(scene):
    scene.away(DUE - MINUTE)
    scene.look(DUE)
    scene.back(DUE + 7 * HOUR)
    assert scene.channel.remote.count == 0
    assert scene.project.feed_titles() == []
    scene.look(DUE + 7 * HOUR + MINUTE)
    (missed,) = scene.do(lambda pipeline: pipeline.missed())
    assert str(missed.delivery.key) == "lille/a/main"
    scene.do(lambda pipeline: decisions.retry(pipeline, "lille/a/main"))
    scene.look(DUE + 8 * HOUR)
    assert scene.state("a/main") == "published"


def test_what_a_person_gave_up_does_not_come_back_with_the_file(scene):
    scene.do(lambda pipeline: decisions.cancel(pipeline, "lille/a/main"))
    scene.away(DUE - MINUTE)
    scene.back(DUE + MINUTE)
    scene.look(DUE + HOUR)
    assert scene.state("a/main") == "cancelled"
    assert scene.channel.remote.count == 0


def test_an_entry_that_is_away_for_a_moment_on_its_day_costs_no_other_its_own(scene):
    scene.channel.fail("publish", rate_limited(wait=10 * MINUTE))
    scene.look(DUE)
    path = scene.project.root / "content/a.md"
    text = path.read_bytes()
    path.unlink()
    scene.look(DUE + MINUTE)
    assert scene.state("a/main") == "cancelled"
    scene.project.write("content/a.md", text)
    for instant in (DUE + 2 * MINUTE, DUE + 15 * MINUTE, DUE + DAY, DUE + 2 * DAY):
        scene.look(instant)
    assert set(scene.project.states().values()) == {"published"}
    assert scene.channel.remote.count == 3


def _unlinked(project):
    (project.root / "content/a.md").unlink()


def _draft(project):
    project.entry("a", status="draft")


def _unlisted(project):
    project.campaign("b", "c", channels={"main": {"network": "outbox"}}, days_off=1)


@pytest.mark.parametrize(
    ("take_away", "told"),
    [
        (_unlinked, "no `a` under content/"),
        (_draft, "content/a.md is a draft"),
        (_unlisted, "does not list `a`"),
    ],
)
@pytest.mark.parametrize("how", ["held", "missed"])
def test_nothing_is_retried_that_the_next_tick_would_withdraw(scene, take_away, told, how):
    fault = rejected() if how == "held" else rate_limited(wait=7 * HOUR)
    scene.channel.fail("publish", fault)
    scene.look(DUE)
    scene.look(DUE + 7 * HOUR)
    assert scene.state("a/main") == how
    take_away(scene.project)
    with pytest.raises(NotAllowed, match=told) as refused:
        scene.do(lambda pipeline: decisions.retry(pipeline, "lille/a/main"))
    assert "pipeline cancel lille/a/main" in refused.value.hint
    assert scene.state("a/main") == how
    scene.project.entry("a")
    scene.write()
    scene.do(lambda pipeline: decisions.retry(pipeline, "lille/a/main"))
    scene.look(DUE + 8 * HOUR)
    assert scene.state("a/main") == "published"


# --------------------------------------------------------------------------- an upgrade is stricter


def _as_an_earlier_version_took_it(scene, path, text):
    """The text is on the disk, and the ledger has it as the last good one."""
    scene.project.write(path, text)
    scene.do(lambda p: p.ledger.remember_files({path: text}, [], scene.clock.now()))


def _refused(scene, entry, *keys):
    old = (scene.project.root / f"content/{entry}.md").read_text()
    lines = ["summary: Un <b>projet</b>." if one.startswith("summary:") else one for one in old.split("\n")]
    return "\n".join([lines[0], *keys, *lines[1:]])


def test_an_entry_that_an_upgrade_refuses_keeps_its_day_and_waits_until_it_is_mended(scene):
    good = (scene.project.root / "content/a.md").read_text()
    _as_an_earlier_version_took_it(scene, "content/a.md", _refused(scene, "a"))
    days = scene.do(lambda p: {one.entry: one.date for one in p.ledger.slots("lille").values()})
    scene.look(DUE - HOUR / 2)
    assert scene.state("a/main") == "planned"
    scene.look(DUE)
    assert scene.channel.remote.count == 0
    assert scene.project.feed_titles() == [], "what is refused does not get into the feeds either"
    (delivery,) = scene.do(lambda p: [one for one in p.ledger.deliveries() if one.key.entry == "a"])
    assert delivery.state == "planned"
    assert "content/a.md:3: E112 `summary` holds HTML" in delivery.reason
    assert days == scene.do(lambda p: {one.entry: one.date for one in p.ledger.slots("lille").values()})
    scene.project.write("content/a.md", good)
    scene.look(DUE + HOUR)
    assert scene.state("a/main") == "published"
    assert scene.project.feed_titles() == ["Projet a"]


def test_a_released_entry_that_an_upgrade_refuses_stays_in_the_feeds_as_it_is(scene):
    scene.look(DUE)
    _as_an_earlier_version_took_it(scene, "content/a.md", _refused(scene, "a"))
    scene.look(DUE + HOUR)
    assert scene.project.feed_titles() == ["Projet a"]
    assert scene.state("a/main") == "published"


def test_what_an_upgrade_refuses_is_still_known_by_its_id_its_pin_and_whether_it_is_ready(scene):
    draft = _refused(scene, "c", "id: autre", "status: draft", "date: 2016-04-12")
    _as_an_earlier_version_took_it(scene, "content/c.md", draft)
    library = scene.do(lambda p: p.reader.read(scene.clock.now()))
    held = library.entries["autre"]
    assert (held.draft, str(held.pinned)) == (True, "2016-04-12")
    assert set(library.unfit) == {"autre"}


def test_a_campaign_that_an_upgrade_refuses_keeps_what_is_planned(scene):
    path = "schedules/lille.yaml"
    text = (scene.project.root / path).read_text()
    _as_an_earlier_version_took_it(scene, path, text + "retired_option: yes\n")
    scene.look(DUE)
    assert scene.state("a/main") == "planned"
    scene.project.write(path, text)
    scene.look(DUE + HOUR)
    assert scene.state("a/main") == "published"


# --------------------------------------------------------------------------- a slip in the year


def _warned(scene):
    def problems(pipeline):
        review = Review(scene.project.root, lambda _c, _k: scene.channel, scene.clock.now(), pipeline.ledger)
        return [(p.code, p.message) for p in review.problems()]

    return scene.do(problems)


def test_an_event_that_a_slip_puts_into_the_past_is_told_while_posts_are_planned(scene):
    path = scene.project.root / "schedules/lille.yaml"
    text = path.read_text()
    assert "2016-04-14 23:00" in text
    slip = text.replace("2016-04-14 23:00", "2015-04-14 23:00").replace("2016-04-13", "2015-04-13")
    scene.look(DUE)
    assert _warned(scene) == []
    scene.project.write("schedules/lille.yaml", slip)
    message = "the event began on 2015-04-14, so 2 planned posts do not go out"
    assert _warned(scene) == [("W307", message)]

    def twice(pipeline):
        return [pipeline.tick().notices, pipeline.tick().notices]

    assert scene.do(twice) == [(f"lille: {message}: is its date right?",), ()]
    scene.project.write("schedules/lille.yaml", text)
    scene.look(DUE + DAY)
    assert scene.state("b/main") == "published"


def test_an_event_that_is_over_is_no_problem_once_all_is_done(scene):
    for day in range(3):
        scene.look(DUE + day * DAY)
    scene.clock.sleep_until(DUE + 10 * DAY)
    assert _warned(scene) == []
    assert scene.do(lambda pipeline: pipeline.tick().notices) == ()
