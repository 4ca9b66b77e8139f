"""Sessions with a Bluesky server: kept between posts, refreshed one at a time, a login as the last resort.

What must stay true: a server grants few logins a day, so a session is refreshed as long as that works, by
one thread of one process while the others wait and then use what it got; and a session is used only with
the server, the account and the app password it was made for.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from pipeline.channels.base import AuthFailedError, ChannelError, Surroundings
from pipeline.channels.http import Http, Limits, Reply
from pipeline.channels.xrpc import Xrpc, fields, refusal

FIELD = "APP_PASSWORD"
MARGIN = timedelta(minutes=5)  # by which an access token must outlive a request: pictures may come before it
_MAIN_PASSWORD = "com.atproto.access"  # noqa: S105  # the scope of a token, no secret


@dataclass(frozen=True, slots=True)
class Session:
    """Who we are, where the account lives, and the tokens to use there. `made_for` binds it (a digest)."""

    did: str
    handle: str
    home: str
    made_for: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)

    @property
    def expires(self) -> datetime | None:
        """When the access token ends (UTC); None when it does not say."""
        seconds = _claims(self.access).get("exp")
        try:
            return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None
        except (OverflowError, ValueError, OSError):
            return None

    @property
    def with_main_password(self) -> bool:
        """Whether it was made with the account's own password, which may do everything."""
        return _claims(self.access).get("scope") == _MAIN_PASSWORD


class Sessions:
    """The sessions of one channel. `fixed`: everything goes to `service`, wherever the account lives."""

    def __init__(
        self, channel_id: str, service: str, handle: str, surroundings: Surroundings, *, fixed: bool
    ) -> None:
        self._channel_id = channel_id
        self._service = service
        self._handle = handle
        self._surroundings = surroundings
        self._keep = surroundings.keep(channel_id)
        self._fixed = fixed

    def server(self, place: str, timeout: timedelta, session: Session | None = None) -> Xrpc:
        """A server to call. Raises AuthFailedError without an app password."""
        secrets = [self._password()]
        if session is not None:
            secrets += [session.access, session.refresh]
        return Xrpc(place, Http(Limits(timeout), secrets=tuple(secrets)))

    def kept(self) -> Session | None:
        """The session at hand, however old; None without one for this account and app password.

        Raises AuthFailedError without an app password.
        """
        made_for = self._made_for()
        facts = self._keep.read().get("session")
        try:
            session = Session(**facts) if isinstance(facts, Mapping) else None
        except TypeError:  # another version wrote it
            return None
        return session if session and session.made_for == made_for else None

    def ready(self, timeout: timedelta) -> Session:
        """A session whose access token outlives a request, renewed where needed. Raises ChannelError."""
        kept = self.kept()
        if kept is not None and self._lasts(kept, timeout):
            return kept
        with self._keep.alone():
            kept = self.kept()  # while we waited, somebody else may have renewed it
            if kept is not None and self._lasts(kept, timeout):
                return kept
            renewed = self._refreshed(kept, timeout) if kept is not None else None
            session = renewed or self._login(timeout)
            self._keep.write({"session": asdict(session)})
            return session

    def forget(self, session: Session) -> None:
        """The server does not accept this access token any more: the next request gets another."""
        with suppress(OSError), self._keep.alone():  # if it cannot be written, the next refusal is here again
            kept = self.kept()
            if kept is not None and kept.access == session.access:
                self._keep.write({"session": asdict(replace(kept, access=""))})

    # ----------------------------------------------------------------- asking the server

    def _lasts(self, session: Session, timeout: timedelta) -> bool:
        if not session.access:
            return False
        expires = session.expires
        # A token that does not say when it ends is used until it is refused.
        return expires is None or self._surroundings.now() + timeout + MARGIN < expires

    def _refreshed(self, kept: Session, timeout: timedelta) -> Session | None:
        """The session renewed; None when the server wants a new login."""
        server = self.server(self._service, timeout, kept)
        refused: list[int] = []

        def refuse(reply: Reply) -> ChannelError | None:
            refused.append(reply.status)
            return None

        reply = server.procedure(
            "com.atproto.server.refreshSession",
            token=kept.refresh,
            judges=dict.fromkeys((400, 401, 403), refuse),
        )
        return None if refused else self._session(reply)

    def _login(self, timeout: timedelta) -> Session:
        server = self.server(self._service, timeout)
        body = json.dumps({"identifier": self._handle, "password": self._password()}).encode()

        def refused(reply: Reply) -> ChannelError:
            hint = _LOGIN_HINTS.get(refusal(reply)[0], "make a new one in the app's settings, then retry")
            return AuthFailedError(f"{server.said(reply)}; the app password of {self._handle}: {hint}")

        reply = server.procedure(
            "com.atproto.server.createSession", body, judges=dict.fromkeys((400, 401, 403), refused)
        )
        return self._session(reply)

    def _session(self, reply: Reply) -> Session:
        """The answer to a login or a refresh. Raises OutcomeUnknownError when it is none."""
        found = fields(reply, "accessJwt", "refreshJwt", "did", "handle")
        home = None if self._fixed else _home(found.get("didDoc"), self._service)
        return Session(
            did=found["did"],
            handle=found["handle"],
            home=home or self._service,
            made_for=self._made_for(),
            access=found["accessJwt"],
            refresh=found["refreshJwt"],
        )

    def _password(self) -> str:
        return self._surroundings.required(self._channel_id, FIELD)

    def _made_for(self) -> str:
        """A digest of all that a session is bound to."""
        bound = [self._service, self._handle, self._password(), self._fixed]
        return hashlib.sha256(json.dumps(bound).encode()).hexdigest()


_LOGIN_HINTS = {
    "AuthFactorTokenRequired": "this is the account's own password, which asks for a code by e-mail; "
    "make an app password in the app's settings, then retry",
    "AccountTakedown": "the account is suspended; settle that with Bluesky, then retry",
    "RateLimitExceeded": "too many logins; wait, then retry",
}


def _home(document: Any, service: str) -> str | None:
    """Where a DID document says that the account lives; None when it does not, or not safely."""
    services = document.get("service") if isinstance(document, dict) else None
    for one in services if isinstance(services, list) else []:
        place = one.get("serviceEndpoint") if isinstance(one, dict) else None
        if not isinstance(place, str) or not str(one.get("id", "")).endswith("#atproto_pds"):
            continue
        try:
            parts = urlsplit(place)
            usable = bool(parts.hostname) and parts.port != 0
        except ValueError:
            continue
        # A token that came over TLS does not go elsewhere without it.
        if usable and parts.scheme in {"https", urlsplit(service).scheme}:
            return place.rstrip("/")
    return None


def _claims(token: str) -> Mapping[str, Any]:
    """What a token says of itself, unverified; empty for one that is not a JSON Web Token."""
    try:
        payload = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
