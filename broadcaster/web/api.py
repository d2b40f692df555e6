"""Pusher's HTTP API under ``/apps/<id>/``: who asks is checked, what is asked is done, refusals are one plain line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, ClassVar
from urllib.parse import parse_qs

import msgspec
from twisted.internet.defer import Deferred

from broadcaster.apps import Apps
from broadcaster.auth.requests import RequestRefused, authenticate
from broadcaster.errors import DriverError
from broadcaster.hub import Hub
from broadcaster.interfaces import ILastEvents, IMembership
from broadcaster.messages import Terminated
from broadcaster.names import USER_CHANNEL, Kind, kind_of
from broadcaster.publisher import Publisher
from broadcaster.settings import App, Limits
from broadcaster.web.http import JSON, NOTHING, Request, Response, text
from broadcaster.web.outbox import Turns
from broadcaster.web.publishing import (
    ATTRIBUTES,
    Publish,
    check_channel,
    event_of,
    read_batch,
    read_publish,
    read_wanted,
)

_json = msgspec.json.Encoder().encode

Parameters = dict[str, str]
Answer = Response | Deferred[Response]


class Brake:
    """What holds a publisher back: it may run no further ahead of the subscribers than their channels can hold."""

    def __init__(self, hub: Hub, turns: Turns) -> None:
        self._hub = hub
        self._turns = turns

    def holds(self, app_id: str, channels: tuple[str, ...]) -> bool:
        """Whether the answer to a publish on these channels must wait."""
        return self._hub.congested(app_id, channels)

    async def settled(self, app_id: str, channels: tuple[str, ...]) -> None:
        """Until it need not any more."""
        while self._hub.congested(app_id, channels):
            await self._turns.next()


class Api:
    """Answers requests whose path begins with ``/apps/``; ``now`` is the wall's seconds."""

    def __init__(
        self,
        apps: Apps,
        publisher: Publisher,
        membership: IMembership,
        limits: Limits,
        brake: Brake,
        last_events: ILastEvents,
        now: Callable[[], float],
    ) -> None:
        self._apps = apps
        self._publisher = publisher
        self._membership = membership
        self._limits = limits
        self._brake = brake
        self._last_events = last_events
        self._now = now

    def respond(self, request: Request) -> Answer:
        """Authenticate first: strangers learn of nothing but whether the app exists."""
        try:
            app, segments = self._app(request)
            methods, names = self._route(segments)
            act = methods.get(request.method)
            if act is None:
                return text(405, "Method not allowed", ("Allow", ", ".join(methods)))
            parameters = authenticate(app, request.method, request.path, request.query, request.body, self._now())
            answer = act(self, app, request, parameters, *names)
        except RequestRefused as refused:
            return text(refused.status, refused.text)
        if isinstance(answer, Deferred):
            answer.addErrback(_refused)
        return answer

    def _app(self, request: Request) -> tuple[App, list[str]]:
        """Whom the request is about, and the rest of its path."""
        segments = request.segments()
        if segments[0] == "users":
            # The Python SDK (3.3.4) forgets `/apps/<id>` when it ends a user's connections.
            asked = parse_qs(request.query).get("auth_key", [""])[0]
            app = self._apps.by_key(asked)
            if app is None:
                raise RequestRefused(401, "Unknown auth_key" if asked else "Missing parameter: auth_key")
            return app, segments
        app = self._apps.by_id(segments[1])
        if app is None:
            raise RequestRefused(404, f"Unknown app {segments[1]}")
        return app, segments[2:]

    def _route(self, segments: list[str]) -> tuple[Mapping[str, Callable[..., Answer]], list[str]]:
        match segments:
            case [name] if name in Api._COLLECTIONS:
                return Api._COLLECTIONS[name], []
            case ["channels", name]:
                return {"GET": Api._channel}, [name]
            case ["channels", name, "users"]:
                return {"GET": Api._users}, [name]
            case ["users", user_id, "terminate_connections"]:
                return {"POST": Api._terminate}, [user_id]
            case ["channels", name, "events"]:
                return {"POST": Api._old_event}, [name]
        raise RequestRefused(404, "Not found")

    # ---- publishing -------------------------------------------------------------------------------------------

    def _events(self, app: App, request: Request, parameters: Parameters) -> Answer:
        publish = read_publish(request.body, self._limits)
        taken = self._publisher.publish(app.id, publish.event)
        at_once = taken.called and taken.result is None and not publish.wanted
        if at_once and not self._brake.holds(app.id, publish.event.channels):
            return NOTHING
        return Deferred.fromCoroutine(self._published(app, publish, taken))

    async def _published(self, app: App, publish: Publish, taken: Deferred[None]) -> Response:
        await taken
        await self._brake.settled(app.id, publish.event.channels)
        if not publish.wanted:
            return NOTHING
        names = publish.event.channels
        return _ok({"channels": {name: await self._counts(app, name, publish.wanted) for name in names}})

    def _batch_events(self, app: App, request: Request, parameters: Parameters) -> Answer:
        batch = read_batch(request.body, self._limits)
        taken = [self._publisher.publish(app.id, publish.event) for publish in batch]
        return Deferred.fromCoroutine(self._published_batch(app, batch, taken))

    async def _published_batch(self, app: App, batch: tuple[Publish, ...], taken: list[Deferred[None]]) -> Response:
        failures = []
        for one in taken:
            try:
                await one
            except DriverError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        for publish in batch:
            await self._brake.settled(app.id, publish.event.channels)
        if not any(publish.wanted for publish in batch):
            return NOTHING
        return _ok({"batch": [await self._counts(app, each.event.channels[0], each.wanted) for each in batch]})

    def _old_event(self, app: App, request: Request, parameters: Parameters, name: str) -> Answer:
        """The API of 2012: the body is the data, everything else is in the query; 202 and no body."""
        event_name = parameters.get("name")
        if not event_name:
            raise RequestRefused(400, "Missing parameter: name")
        try:
            data = request.body.decode()
        except UnicodeDecodeError:
            raise RequestRefused(400, "Invalid parameter: data") from None
        event = event_of(event_name, data, (name,), parameters.get("socket_id"), self._limits)
        taken = self._publisher.publish(app.id, event)
        return taken.addCallback(lambda _: Response(202))

    def _terminate(self, app: App, request: Request, parameters: Parameters, user_id: str) -> Answer:
        return self._publisher.publish(app.id, Terminated(user_id)).addCallback(lambda _: NOTHING)

    # ---- queries ----------------------------------------------------------------------------------------------

    def _channels(self, app: App, request: Request, parameters: Parameters) -> Answer:
        prefix = parameters.get("filter_by_prefix", "")
        wanted = read_wanted(parameters.get("info"))
        if "user_count" in wanted and not prefix.startswith("presence-"):
            raise RequestRefused(400, "user_count may only be requested for presence channels")
        return Deferred.fromCoroutine(self._listed(app, prefix, wanted))

    async def _listed(self, app: App, prefix: str, wanted: tuple[str, ...]) -> Response:
        counts = await self._membership.channels(app.id, prefix)
        channels: dict[str, dict[str, int]] = {name: {} for name in counts if not name.startswith(USER_CHANNEL)}
        if "user_count" in wanted:
            present = [name for name in channels if kind_of(name) & Kind.PRESENCE]
            users = await self._membership.user_counts(app.id, present)
            for name, count in zip(present, users, strict=True):
                channels[name]["user_count"] = count
        if "subscription_count" in wanted:
            for name, attributes in channels.items():
                attributes["subscription_count"] = counts[name]
        return _ok({"channels": channels})

    def _channel(self, app: App, request: Request, parameters: Parameters, name: str) -> Answer:
        check_channel(name, self._limits)
        wanted = read_wanted(parameters.get("info"), (*ATTRIBUTES, "cache"))
        for attribute, kind, which in (("user_count", Kind.PRESENCE, "presence"), ("cache", Kind.CACHE, "cache")):
            if attribute in wanted and not kind_of(name) & kind:
                raise RequestRefused(400, f"{attribute} may only be requested for {which} channels")
        return Deferred.fromCoroutine(self._told(app, name, wanted))

    async def _told(self, app: App, name: str, wanted: tuple[str, ...]) -> Response:
        subscriptions = await self._membership.subscriptions(app.id, name)
        answer: dict[str, Any] = {"occupied": subscriptions > 0}
        answer |= await self._attributes(app, name, wanted, subscriptions)
        if "cache" in wanted:
            last = await self._last_events.last(app.id, name)
            answer["cache"] = {"data": last.data, "ttl": ceil(last.seconds)} if last is not None else None
        return _ok(answer)

    def _users(self, app: App, request: Request, parameters: Parameters, name: str) -> Answer:
        check_channel(name, self._limits)
        if not kind_of(name) & Kind.PRESENCE:
            raise RequestRefused(400, "Users can only be retrieved for presence channels")
        members = self._membership.members(app.id, name)
        return members.addCallback(lambda found: _ok({"users": [{"id": member.user_id} for member in found]}))

    async def _counts(self, app: App, name: str, wanted: tuple[str, ...]) -> dict[str, int]:
        if not wanted:
            return {}
        return await self._attributes(app, name, wanted, await self._membership.subscriptions(app.id, name))

    async def _attributes(self, app: App, name: str, wanted: tuple[str, ...], subscriptions: int) -> dict[str, int]:
        """What of ``wanted`` a channel of this kind has."""
        attributes = {}
        if "user_count" in wanted and kind_of(name) & Kind.PRESENCE:
            attributes["user_count"] = (await self._membership.user_counts(app.id, [name]))[0]
        if "subscription_count" in wanted:
            attributes["subscription_count"] = subscriptions
        return attributes

    _COLLECTIONS: ClassVar[dict[str, dict[str, Callable[..., Answer]]]] = {
        "events": {"POST": _events},
        "batch_events": {"POST": _batch_events},
        "channels": {"GET": _channels},
    }


def _ok(value: Any) -> Response:
    return Response(200, _json(value), JSON)


def _refused(failure: Any) -> Response:
    failure.trap(RequestRefused, DriverError)
    if isinstance(failure.value, RequestRefused):
        return text(failure.value.status, failure.value.text)
    return text(503, "Try again later: the driver failed", ("Retry-After", "1"))
