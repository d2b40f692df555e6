"""laravel-echo-server's HTTP API under ``/apps/<id>/``: the app's key opens it, and every answer is JSON.

It shares its URLs with Pusher's; a signature in the query is what tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hmac import compare_digest
from os import sysconf
from typing import Any, ClassVar
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw, Struct
from twisted.internet.defer import Deferred

from broadcaster.apps import Apps
from broadcaster.auth.requests import RequestRefused
from broadcaster.errors import DriverError
from broadcaster.interfaces import IMembership
from broadcaster.messages import Member
from broadcaster.names import USER_CHANNEL, Kind, kind_of
from broadcaster.publisher import Publisher
from broadcaster.settings import App, Limits
from broadcaster.settings import EchoApi as EchoApiSettings
from broadcaster.web.admission import Admission
from broadcaster.web.api import Answer, Brake
from broadcaster.web.echo_publishing import read_echo_event
from broadcaster.web.http import JSON, Headers, Request, Response

_json = msgspec.json.Encoder().encode

_PROCESS = "/proc/self/statm"
"""Linux's word on the memory of this process, in pages: all of it, then what is resident."""


class _Named(Struct):
    user_id: Raw


_named = msgspec.json.Decoder(_Named).decode


class EchoApi:
    """Answers what `speaks` claims. ``sessions`` counts the clients of Socket.IO; ``began`` is when the process did, on
    ``clock``, which is monotonic seconds.
    """

    def __init__(
        self,
        settings: EchoApiSettings,
        apps: Apps,
        admission: Admission,
        publisher: Publisher,
        membership: IMembership,
        limits: Limits,
        brake: Brake,
        sessions: Callable[[], int],
        clock: Callable[[], float],
        began: float,
    ) -> None:
        self._publishes = settings.publish
        self._headers = _headers(settings)
        self._apps = apps
        self._any = any(app.bearer for app in apps)
        self._admission = admission
        self._publisher = publisher
        self._membership = membership
        self._limits = limits
        self._brake = brake
        self._sessions = sessions
        self._clock = clock
        self._began = began

    def speaks(self, request: Request) -> bool:
        """Whether the request is unsigned, and about an app that takes such; unknown apps are not told from those.

        To an app without a secret a signature says nothing: as with laravel-echo-server, the key beside it counts.
        """
        if not self._any or not request.path.startswith("/apps/"):
            return False
        app = self._apps.by_id(request.segments()[1])
        if "auth_signature=" in request.query.lower():
            return app is not None and app.bearer and not app.secrets
        return app is None or app.bearer

    def respond(self, request: Request) -> Answer:
        """Answer, with the headers of ``[echo_api]`` whatever the answer is."""
        try:
            answer = self._answer(request)
        except RequestRefused as refused:
            answer = _error(refused.status, refused.text)
        if isinstance(answer, Response):
            return self._dressed(answer)
        return answer.addErrback(_failed).addCallback(self._dressed)

    def _answer(self, request: Request) -> Answer:
        _, app_id, *route = request.segments()
        if len(route) > 1 and not route[-1]:
            route.pop()
        method, act, names = self._route(route)
        allowed = "GET,HEAD" if method == "GET" else method
        if request.method == "OPTIONS":
            return Response(200, allowed.encode(), headers=(("Allow", allowed),))
        if request.method not in allowed.split(","):
            raise RequestRefused(404, "Not found")
        if self._admission.draining:
            return _unavailable("Server is shutting down")
        return act(self, self._app(app_id, request), request, *names)

    def _route(self, route: list[str]) -> tuple[str, Callable[..., Answer], list[str]]:
        match route:
            case ["events"] if self._publishes:
                return "POST", EchoApi._events, []
            case [name] if name in EchoApi._COLLECTIONS:
                return "GET", EchoApi._COLLECTIONS[name], []
            case ["channels", name]:
                return "GET", EchoApi._channel, [name]
            case ["channels", name, "users"]:
                return "GET", EchoApi._users, [name]
        raise RequestRefused(404, "Not found")

    def _app(self, app_id: str, request: Request) -> App:
        app = self._apps.by_id(app_id)
        if app is None or not compare_digest(_key(request), app.key.encode()):
            raise RequestRefused(403, "Unauthorized")
        if not app.enabled:
            raise RequestRefused(403, "Application disabled")
        return app

    def _dressed(self, response: Response) -> Response:
        return msgspec.structs.replace(response, headers=response.headers + self._headers)

    # ---- events -----------------------------------------------------------------------------------------------

    def _events(self, app: App, request: Request) -> Answer:
        event = read_echo_event(request.body, self._limits)
        taken = self._publisher.publish(app.id, event)
        return Deferred.fromCoroutine(self._published(app, event.channels, taken))

    async def _published(self, app: App, channels: tuple[str, ...], taken: Deferred[None]) -> Response:
        await taken
        await self._brake.settled(app.id, channels)
        return _ok({"message": "ok"})

    # ---- queries ----------------------------------------------------------------------------------------------

    def _status(self, app: App, request: Request) -> Answer:
        memory = {"rss": _resident(), "heapTotal": 0, "heapUsed": 0, "external": 0, "arrayBuffers": 0}
        uptime = self._clock() - self._began
        return _ok({"subscription_count": self._sessions(), "uptime": uptime, "memory_usage": memory})

    def _channels(self, app: App, request: Request) -> Answer:
        prefix = parse_qs(request.query).get("filter_by_prefix", [""])[-1]
        return self._membership.channels(app.id, prefix).addCallback(_listed)

    def _channel(self, app: App, request: Request, name: str) -> Answer:
        return Deferred.fromCoroutine(self._told(app, name))

    async def _told(self, app: App, name: str) -> Response:
        answer = _occupancy(await self._membership.subscriptions(app.id, name))
        if kind_of(name) & Kind.PRESENCE:
            answer["user_count"] = (await self._membership.user_counts(app.id, [name]))[0]
        return _ok(answer)

    def _users(self, app: App, request: Request, name: str) -> Answer:
        if not kind_of(name) & Kind.PRESENCE:
            raise RequestRefused(400, "User list is only possible for Presence Channels")
        members = self._membership.members(app.id, name)
        return members.addCallback(lambda found: _ok({"users": [_user(member) for member in found]}))

    _COLLECTIONS: ClassVar[dict[str, Callable[..., Answer]]] = {"status": _status, "channels": _channels}


def _headers(settings: EchoApiSettings) -> Headers:
    headers = tuple(settings.headers.items())
    cors = settings.cors
    if cors is None:
        return headers
    return (
        ("Access-Control-Allow-Origin", cors.origin),
        ("Access-Control-Allow-Methods", cors.methods),
        ("Access-Control-Allow-Headers", cors.headers),
        *headers,
    )


def _key(request: Request) -> bytes:
    """The key that was shown: that of the query counts only where no header shows another."""
    header = request.header("authorization")
    if header:
        scheme, _, token = header.partition(" ")
        # Headers come decoded as Latin-1.
        return (token.strip() if scheme.lower() == "bearer" else header).encode("latin-1")
    return parse_qs(request.query).get("auth_key", [""])[-1].encode(errors="replace")


def _listed(counts: Mapping[str, int]) -> Response:
    shown = {name: _occupancy(count) for name, count in counts.items() if not name.startswith(USER_CHANNEL)}
    return _ok({"channels": shown})


def _occupancy(subscriptions: int) -> dict[str, Any]:
    return {"subscription_count": subscriptions, "occupied": subscriptions > 0}


def _user(member: Member) -> dict[str, Any]:
    """The id as the application wrote it, number or string."""
    user_id = _named(member.data).user_id if member.data else member.user_id
    return {"id": user_id, "user_info": Raw(member.info)}


def _resident() -> int:
    """Bytes of memory in use, 0 where the system does not say."""
    try:
        with open(_PROCESS) as statm:
            return int(statm.read().split()[1]) * sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _ok(value: Any) -> Response:
    return Response(200, _json(value), JSON)


def _error(status: int, text: str) -> Response:
    return Response(status, _json({"error": text}), JSON)


def _unavailable(text: str) -> Response:
    return Response(503, _json({"error": text}), JSON, (("Retry-After", "1"),))


def _failed(failure: Any) -> Response:
    failure.trap(DriverError)
    return _unavailable("Try again later: the driver failed")
