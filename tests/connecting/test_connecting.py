"""From nothing to credentials that work, on every network; and what works already is never harmed."""

from __future__ import annotations

import base64
import json
import os
import stat
from contextlib import ExitStack
from datetime import timedelta

import pytest

from pipeline import connected
from pipeline.channels.http import host
from pipeline.credentials import Credentials
from pipeline.errors import BrokenEnvironment, PipelineError, WrongUse
from pipeline.keeping import FileKeep
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.bluesky import Bluesky
from tests.connecting.scene import OPTIONS, Scene, Script, now
from tests.connecting.servers import FacebookLogin, MastodonLogin, XConsent, XLogin


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("PIPELINE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


def keys_of(remote):
    return remote.credentials["CONSUMER_KEY"], remote.credentials["CONSUMER_SECRET"]


def variables(network, values):
    return {f"PIPELINE_{network.upper()}_{name}": value for name, value in values.items()}


# --------------------------------------------------------------------------- each network


def test_mastodon_registers_and_exchanges_the_code(tmp_path, stack):
    remote = stack.enter_context(MastodonLogin(now))
    scene = Scene(tmp_path, "mastodon", remote)
    script = Script(remote.browse)
    identity = scene.connect(script)
    assert identity is not None
    assert scene.dotenv() == variables("mastodon", remote.credentials)
    assert script.asked == [("The code shown there", True)]
    assert f"They work: {identity.account}" in script.said
    assert remote.accepted == 0


def test_a_right_that_mastodon_did_not_grant_is_told(tmp_path, stack):
    remote = stack.enter_context(MastodonLogin(now))
    remote.grants = "read write:statuses"
    scene = Scene(tmp_path, "mastodon", remote)
    script = Script(remote.browse)
    scene.connect(script)
    assert "warning: the instance did not grant write:media" in script.told


def test_a_code_counts_once(tmp_path, stack):
    remote = stack.enter_context(MastodonLogin(now))
    scene = Scene(tmp_path, "mastodon", remote)
    with pytest.raises(BrokenEnvironment, match=r"did not take the code.*invalid_grant"):
        scene.connect(Script("a code that was used"))
    assert scene.files() == {}


def test_x_asks_for_the_app_keys_first_and_then_for_the_pin(tmp_path, stack):
    remote = stack.enter_context(XLogin(now))
    scene = Scene(tmp_path, "x", remote)
    script = Script(*keys_of(remote), remote.browse)
    scene.connect(script)
    assert scene.dotenv() == variables("x", remote.credentials)
    assert [hidden for _, hidden in script.asked] == [True, True, True]


def test_x_keeps_app_keys_that_are_set(tmp_path, stack):
    remote = stack.enter_context(XLogin(now))
    scene = Scene(tmp_path, "x", remote)
    key, secret = keys_of(remote)
    scene.write_dotenv(PIPELINE_X_CONSUMER_KEY=key, PIPELINE_X_CONSUMER_SECRET=secret)
    script = Script(remote.browse)
    scene.connect(script)
    assert scene.dotenv() == variables("x", remote.credentials)


def test_app_keys_of_the_environment_stay_there(tmp_path, stack, monkeypatch):
    remote = stack.enter_context(XLogin(now))
    scene = Scene(tmp_path, "x", remote)
    for name, value in zip(("KEY", "SECRET"), keys_of(remote), strict=True):
        monkeypatch.setenv(f"PIPELINE_X_CONSUMER_{name}", value)
    script = Script(remote.browse)
    scene.connect(script)
    assert scene.dotenv().keys() == {"PIPELINE_X_ACCESS_TOKEN", "PIPELINE_X_ACCESS_TOKEN_SECRET"}
    assert "is used instead" not in script.said
    assert connected.recall(scene.settings.state, "x", remote.credentials) is not None


def test_x_asks_for_other_keys_when_those_that_are_set_are_not_wanted(tmp_path, stack):
    remote = stack.enter_context(XLogin(now))
    scene = Scene(tmp_path, "x", remote)
    scene.write_dotenv(PIPELINE_X_CONSUMER_KEY="another", PIPELINE_X_CONSUMER_SECRET="app")
    answers = [*keys_of(remote), remote.browse]
    scene.connect(Script(*answers, agreed={"app keys": False}))
    assert scene.dotenv() == variables("x", remote.credentials)


def test_a_wrong_pin_and_wrong_keys_change_nothing(tmp_path, stack):
    remote = stack.enter_context(XLogin(now))
    scene = Scene(tmp_path, "x", remote)
    key, secret = keys_of(remote)
    with pytest.raises(BrokenEnvironment, match="X did not take the PIN"):
        scene.connect(Script(key, secret, "0000000"))
    with pytest.raises(BrokenEnvironment, match="does not know the app's keys") as raised:
        scene.connect(Script(key, "hunter2-is-wrong", "0000000"))
    assert "hunter2" not in str(raised.value)
    assert scene.files() == {}


def test_x_with_oauth2_proves_the_consent_and_keeps_what_the_test_refreshed(tmp_path, stack):
    remote = stack.enter_context(XConsent(now))
    scene = Scene(tmp_path, "x", remote, auth="oauth2")
    given = remote.credentials["CLIENT_ID"], remote.credentials["CLIENT_SECRET"]
    scene.connect(Script(*given, remote.browse))
    found = scene.dotenv()
    assert found.keys() == {"PIPELINE_X_CLIENT_ID", "PIPELINE_X_CLIENT_SECRET", "PIPELINE_X_REFRESH_TOKEN"}
    assert found["PIPELINE_X_REFRESH_TOKEN"] not in remote.guard.refresh  # the test used it up
    script = Script(agreed={"Connect it anew": False})
    with pytest.raises(WrongUse, match="nothing was changed"):
        scene.connect(script)
    assert "is connected already" in script.said  # with the tokens that the test was given


def test_what_x_repeats_of_the_clients_secret_is_not_told(tmp_path, stack):
    remote = stack.enter_context(XConsent(now))
    scene = Scene(tmp_path, "x", remote, auth="oauth2")
    given = remote.credentials["CLIENT_ID"], remote.credentials["CLIENT_SECRET"]
    pair = base64.b64encode(":".join(given).encode()).decode()
    remote.faults.strike(faults.status(401, body=f"not you: Basic {pair}".encode(), accepted=False))
    with pytest.raises(BrokenEnvironment, match=r"not you: Basic \*\*\*$"):
        scene.connect(Script(*given, remote.browse))
    scene.connect(Script(*given, remote.browse))
    assert remote.seen[0].headers["authorization"] == f"Basic {pair}"


def test_an_answer_to_another_request_is_not_taken(tmp_path, stack):
    remote = stack.enter_context(XConsent(now))
    scene = Scene(tmp_path, "x", remote, auth="oauth2")
    given = remote.credentials["CLIENT_ID"], remote.credentials["CLIENT_SECRET"]
    with pytest.raises(WrongUse, match="not the answer to this request"):
        scene.connect(Script(*given, lambda told: remote.browse(told, state="forged")))
    assert scene.files() == {}


def test_a_client_without_a_secret_does_not_inherit_one(tmp_path, stack):
    remote = stack.enter_context(XConsent(now))
    scene = Scene(tmp_path, "x", remote, auth="oauth2")
    scene.write_dotenv(PIPELINE_X_CLIENT_SECRET="of another app")
    with pytest.raises(WrongUse, match="PIPELINE_X_CLIENT_SECRET is set"):
        scene.connect(Script("client", ""))


def test_bluesky_logs_in_with_the_app_password_and_keeps_the_session(tmp_path, stack):
    remote = stack.enter_context(Bluesky("sharing.example.com", now))
    scene = Scene(tmp_path, "bluesky", remote)
    scene.connect(Script(remote.credentials["APP_PASSWORD"]))
    assert scene.dotenv() == variables("bluesky", remote.credentials)
    logins = [seen for seen in remote.seen if seen.path.endswith("createSession")]
    with pytest.raises(WrongUse):
        scene.connect(Script(agreed={"anew": False}))
    assert [seen for seen in remote.seen if seen.path.endswith("createSession")] == logins


def test_what_looks_like_the_main_password_is_used_only_when_it_is_meant(tmp_path, stack):
    remote = stack.enter_context(Bluesky("sharing.example.com", now))
    scene = Scene(tmp_path, "bluesky", remote)
    script = Script("correct horse", present=True, agreed={"all the same": False})
    with pytest.raises(WrongUse, match="no app password"):
        scene.connect(script)
    assert "not the form of an app password" in script.said
    assert [seen for seen in remote.seen if seen.path.endswith("createSession")] == []


def test_facebook_makes_a_token_that_lasts_from_one_that_does_not(tmp_path, stack):
    remote = stack.enter_context(FacebookLogin("100064000000001", now))
    scene = Scene(tmp_path, "facebook", remote)
    script = Script(remote.short, *remote.app.values())
    scene.connect(script)
    assert scene.dotenv() == variables("facebook", remote.credentials)
    assert [hidden for _, hidden in script.asked] == [True, False, True]
    everything = "".join(script.told) + str(scene.files())
    assert remote.app["client_secret"] not in everything


def test_facebook_takes_a_page_token_and_tells_when_it_ends(tmp_path, stack):
    remote = stack.enter_context(FacebookLogin("100064000000001", now))
    remote.mood.expires = now() + timedelta(days=59)
    scene = Scene(tmp_path, "facebook", remote)
    script = Script(remote.credentials["PAGE_TOKEN"], "")
    scene.connect(script)
    assert f"until {remote.mood.expires:%Y-%m-%d}" in script.said


def test_a_page_token_that_facebook_does_not_exchange_is_tested_as_it_is(tmp_path, stack):
    remote = stack.enter_context(FacebookLogin("100064000000001", now))
    scene = Scene(tmp_path, "facebook", remote)
    token = remote.credentials["PAGE_TOKEN"]
    script = Script(token, *remote.app.values())
    scene.connect(script)
    assert "did not exchange the token" in script.said
    assert token not in script.said
    assert scene.dotenv() == variables("facebook", remote.credentials)


def test_a_short_lived_token_without_the_app_does_not_pass_here(tmp_path, stack):
    remote = stack.enter_context(FacebookLogin("100064000000001", now))
    scene = Scene(tmp_path, "facebook", remote)
    with pytest.raises(BrokenEnvironment, match="do not pass the test"):
        scene.connect(Script(remote.short, ""))
    assert scene.files() == {}


def test_a_webhook_takes_the_secret_of_the_receiver(tmp_path):
    scene = Scene(tmp_path, "webhook")
    scene.connect(Script("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    assert scene.dotenv() == {"PIPELINE_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}


def test_a_new_webhook_secret_signs_beside_the_former_one_until_the_receiver_knows_it(tmp_path):
    scene = Scene(tmp_path, "webhook")
    scene.connect(Script(""))
    first = scene.dotenv()["PIPELINE_WEBHOOK_SECRET"]
    script = Script("")
    scene.connect(script)
    second = scene.dotenv()["PIPELINE_WEBHOOK_SECRET"]
    assert second.split()[1:] == [first]
    assert f"  {second.split()[0]}" in script.said
    assert first not in script.said
    scene.connect(Script(""))
    assert scene.dotenv()["PIPELINE_WEBHOOK_SECRET"].split()[1:] == second.split()[:1]


def test_the_outbox_needs_nothing(tmp_path):
    scene = Scene(tmp_path, "webhook")
    scene.project.campaign("p0", "p1")
    script = Script()
    assert scene.connect(script, "outbox") is None
    assert "needs no credentials" in script.said


# --------------------------------------------------------------------------- what works is not harmed


def connected_bluesky(tmp_path, stack):
    remote = stack.enter_context(Bluesky("sharing.example.com", now))
    scene = Scene(tmp_path, "bluesky", remote)
    scene.write_dotenv(PIPELINE_BLUESKY_APP_PASSWORD=remote.credentials["APP_PASSWORD"], OTHER="x")
    return remote, scene


@pytest.mark.parametrize("answer", ["aaaa-bbbb-cccc-dddd", ""], ids=["fails", "empty"])
def test_a_secret_that_fails_or_is_empty_replaces_nothing(tmp_path, stack, answer):
    _, scene = connected_bluesky(tmp_path, stack)
    with pytest.raises(WrongUse):
        scene.connect(Script(agreed={"anew": False}))  # which makes the session
    before = scene.files()
    with pytest.raises(PipelineError) as raised:
        scene.connect(Script(answer))
    assert "Nothing was changed" in (raised.value.hint or "")
    assert scene.files() == before


def test_a_network_that_does_not_answer_replaces_nothing(tmp_path, stack):
    remote, scene = connected_bluesky(tmp_path, stack)
    before = scene.files()
    remote.refuse()
    with pytest.raises(BrokenEnvironment, match="do not pass the test"):
        scene.connect(Script(remote.credentials["APP_PASSWORD"]))
    assert scene.files() == before


def test_another_account_is_not_connected_unless_it_is_meant(tmp_path, stack):
    remote = stack.enter_context(MastodonLogin(now))
    scene = Scene(tmp_path, "mastodon", remote)
    with pytest.raises(WrongUse, match="nothing was changed"):
        scene.connect(Script(remote.browse, agreed={"the account for": False}))
    assert scene.files() == {}


def test_an_old_password_that_no_longer_works_is_told_and_replaced(tmp_path, stack):
    remote = stack.enter_context(Bluesky("sharing.example.com", now))
    scene = Scene(tmp_path, "bluesky", remote)
    scene.write_dotenv(PIPELINE_BLUESKY_APP_PASSWORD="aaaa-bbbb-cccc-dddd")
    script = Script(remote.credentials["APP_PASSWORD"])
    scene.connect(script)
    assert "does not work" in script.told[0]
    assert (scene.root / ".env").read_text().startswith("# kept\n")
    assert scene.dotenv() == variables("bluesky", remote.credentials)


def test_a_session_of_the_former_password_does_not_live_on(tmp_path, stack):
    remote, scene = connected_bluesky(tmp_path, stack)
    keep = FileKeep(scene.settings.state / "channels", "bluesky")
    keep.write({"left over": True})
    scene.connect(Script(remote.credentials["APP_PASSWORD"]))
    assert "left over" not in keep.read()
    assert "session" in keep.read()


# --------------------------------------------------------------------------- what is written


def test_it_is_written_for_the_owner_alone_and_remembered_without_the_secret(tmp_path, stack):
    remote, scene = connected_bluesky(tmp_path, stack)
    scene.connect(Script(remote.credentials["APP_PASSWORD"]))
    assert stat.S_IMODE((scene.root / ".env").stat().st_mode) == 0o600
    state = scene.settings.state
    kept = (state / "connected/bluesky.json").read_text()
    assert remote.credentials["APP_PASSWORD"] not in kept
    found = connected.recall(state, "bluesky", remote.credentials)
    assert found is not None
    assert abs(found.since - now()) < timedelta(minutes=2)
    assert connected.recall(state, "bluesky", {"APP_PASSWORD": "another"}) is None
    (state / "connected/bluesky.json").write_text(json.dumps({"since": "yesterday"}))
    assert connected.recall(state, "bluesky", remote.credentials) is None


def test_a_value_of_the_environment_wins_and_that_is_said(tmp_path, stack, monkeypatch):
    remote = stack.enter_context(Bluesky("sharing.example.com", now))
    scene = Scene(tmp_path, "bluesky", remote)
    (tmp_path / "password").write_text("aaaa-bbbb-cccc-dddd")
    monkeypatch.setenv("PIPELINE_BLUESKY_APP_PASSWORD_FILE", "password")
    script = Script(remote.credentials["APP_PASSWORD"])
    scene.connect(script)
    assert (
        "the file password (PIPELINE_BLUESKY_APP_PASSWORD_FILE in the environment) is used instead"
        in script.said
    )
    monkeypatch.setenv("PIPELINE_BLUESKY_APP_PASSWORD", "eeee-ffff-gggg-hhhh")
    script = Script(remote.credentials["APP_PASSWORD"])
    scene.connect(script)
    assert "PIPELINE_BLUESKY_APP_PASSWORD in the environment is used instead" in script.said
    assert scene.dotenv() == variables("bluesky", remote.credentials)


def test_no_secret_is_ever_told(tmp_path, stack):
    for network, remote, answers in (
        ("mastodon", MastodonLogin(now), ()),
        ("x", XLogin(now), ("stand-in-consumer-key", "stand-in-consumer-secret")),
    ):
        stack.enter_context(remote)
        scene = Scene(tmp_path / network, network, remote)
        script = Script(*answers, lambda told, remote=remote: remote.browse(told))
        scene.connect(script)
        for value in remote.credentials.values():
            assert value not in script.said


# --------------------------------------------------------------------------- which channel


def test_a_channel_is_named_by_its_id_or_by_its_network(tmp_path):
    scene = Scene(tmp_path, "webhook")
    scene.campaign(channel_id="presse")
    scene.connect(Script(""), "webhook")
    assert scene.dotenv().keys() == {"PIPELINE_PRESSE_SECRET"}
    scene.connect(Script(""), "presse")
    scene.campaign("roubaix", channel_id="radio")
    with pytest.raises(WrongUse, match="several channels are on webhook: presse, radio"):
        scene.connect(Script(""), "webhook")
    with pytest.raises(WrongUse, match="no campaign has a channel `press`") as raised:
        scene.connect(Script(""), "press")
    assert "Did you mean `presse`?" in (raised.value.hint or "")


def test_a_channel_that_means_two_places_needs_its_campaign(tmp_path):
    scene = Scene(tmp_path, "webhook")
    scene.campaign("roubaix", url="https://elsewhere.invalid/hook")
    with pytest.raises(WrongUse, match="leads to different places in the campaigns lille, roubaix"):
        scene.connect(Script(""))
    assert scene.connect(Script(""), campaign="roubaix") is not None
    with pytest.raises(WrongUse, match="no readable campaign `tourcoing`"):
        scene.connect(Script(""), campaign="tourcoing")


def test_campaigns_that_share_a_channel_share_its_credentials(tmp_path):
    scene = Scene(tmp_path, "webhook")
    scene.campaign("roubaix")
    identity = scene.connect(Script(""))
    assert identity is not None
    assert identity.account == host(OPTIONS["webhook"]["url"])
    assert Credentials(tmp_path, {}).get("webhook", "SECRET")


def test_a_channel_with_a_wrong_option_is_corrected_first(tmp_path):
    scene = Scene(tmp_path, "webhook")
    scene.campaign(ur="x")
    with pytest.raises(WrongUse, match="did you mean `url`"):
        scene.connect(Script(""))
