"""Subscriptions (OPC UA part 4, 5.14): published from encoded samples, kept over a broken connection."""

import asyncio
import datetime
import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from asyncua import ua

from controller.gateway.opcua import limits, samples
from controller.gateway.opcua.events import Event
from controller.gateway.opcua.monitored import DataItem, EventItem, Mode
from controller.gateway.opcua.sessions import Session
from controller.gateway.opcua.summary import Summary

Item = DataItem | EventItem


@dataclass(slots=True)
class PublishRequest:
    """A request that waits for something to publish."""

    channel: Any
    request_id: int
    handle: int
    results: list[int]
    expires_s: float


class Subscription:
    """One subscription: its items, its publishing cycle, its unacknowledged messages."""

    def __init__(self, subscription_id: int, session: Session, engine: "Subscriptions") -> None:
        self.subscription_id = subscription_id
        self.session = session
        self.engine = engine
        self.items: dict[int, Item] = {}
        self.enabled = True
        self.late = False
        self.unacknowledged: dict[int, bytes] = {}
        self.links: dict[int, set[int]] = {}  # from triggering items to those they trigger
        self._ready: dict[Item, None] = {}
        self._held: dict[DataItem, None] = {}
        self._sequence = itertools.count(1)
        self._next_sequence = 1
        self._silent_cycles = 0
        self._starved_cycles = 0
        self._first = True
        self._timer: asyncio.TimerHandle | None = None
        self._next_s = 0.0

    def set_parameters(self, asked: Any) -> None:
        """Revise and take over interval, keep-alive and lifetime; restart the publishing cycle."""
        interval = asked.RequestedPublishingInterval
        low, high = limits.PUBLISHING_INTERVAL_MS_MIN, limits.PUBLISHING_INTERVAL_MS_MAX
        self.interval_ms = min(max(interval, low), high) if interval == interval else low
        keep_alive = min(max(int(asked.RequestedMaxKeepAliveCount), 1), limits.KEEP_ALIVES_MAX)
        lifetime_max = max(int(limits.LIFETIME_S_MAX * 1000.0 / self.interval_ms), 3)
        self.keep_alive_count = min(keep_alive, max(lifetime_max // 3, 1))
        wanted = max(int(asked.RequestedLifetimeCount), 3 * self.keep_alive_count)
        self.lifetime_count = min(wanted, lifetime_max)
        self.notifications_max = min(
            int(asked.MaxNotificationsPerPublish) or limits.NOTIFICATIONS_MAX,
            limits.NOTIFICATIONS_MAX,
        )
        self.priority = int(asked.Priority)
        self.close_timer()
        self._next_s = time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(0.0, self._cycle)

    def close_timer(self) -> None:
        """Stop the publishing cycle."""
        if self._timer is not None:
            self._timer.cancel()

    def mark_ready(self, item: Item) -> None:
        """An item has queued something: it is reported, and what waits for it in sampled items."""
        if item.mode == Mode.Reporting:
            self._ready[item] = None
        for linked_id in self.links.get(item.item_id, ()):
            linked = self.items.get(linked_id)
            if linked is not None and linked.mode == Mode.Sampling and linked.queue:
                self._ready[linked] = None

    def mark_held(self, item: DataItem) -> None:
        """An item has a value that waits for its sampling interval to be over."""
        self._held[item] = None

    def withdraw(self, item: Item) -> None:
        """What an item has queued is not reported."""
        self._ready.pop(item, None)

    def _cycle(self) -> None:
        now_s = time.monotonic()
        # The cycle keeps its phase; cycles that a busy loop missed are skipped, not made up for.
        period_s = self.interval_ms / 1000.0
        self._next_s = max(self._next_s + period_s, now_s + 0.2 * period_s)
        self._timer = asyncio.get_running_loop().call_later(self._next_s - now_s, self._cycle)
        self._release_held(now_s)
        if self._has_notifications() or self._first:
            self.publish()
        else:
            self._silent_cycles += 1
            if self._silent_cycles >= self.keep_alive_count:
                self.publish()
        if self.late:
            self._starved_cycles += 1
            if self._starved_cycles >= self.lifetime_count:
                self.engine.expire(self)

    def _release_held(self, now_s: float) -> None:
        for item in list(self._held):
            if not item.release_held(now_s):
                del self._held[item]

    def _has_notifications(self) -> bool:
        return self.enabled and any(item.queue for item in self._ready)

    def publish(self) -> None:
        """Send what there is, or a keep-alive; without a publish request, be late."""
        while True:
            request = self.engine.take_request(self.session)
            if request is None:
                self.late = True
                return
            self.late = False
            more = self._send(request)
            if not more:
                return

    def _send(self, request: PublishRequest) -> bool:
        notifications = self._collect() if self.enabled else []
        now = datetime.datetime.now(datetime.UTC)
        more = bool(notifications) and self._has_notifications()
        if notifications:
            sequence = self._advance()
            message = samples.notification_message(sequence, now, notifications)
            self.unacknowledged[sequence] = message
            if len(self.unacknowledged) > limits.RETRANSMISSIONS_MAX:
                del self.unacknowledged[next(iter(self.unacknowledged))]
        else:
            message = samples.notification_message(self._next_sequence, now, [])
        self._silent_cycles = self._starved_cycles = 0
        self._first = False
        self.engine.answer(request, self, message, more)
        return more

    def _advance(self) -> int:
        sequence = self._next_sequence
        self._next_sequence = sequence % 0xFFFFFFFF + 1
        return sequence

    def _collect(self) -> list[bytes]:
        room = self.notifications_max
        values: list[Any] = []
        events: list[Any] = []
        for item in list(self._ready):
            taken = item.drain(room)
            room -= len(taken)
            (events if item.is_event else values).extend(taken)
            if not item.queue:
                del self._ready[item]
            if room <= 0:
                break
        notifications = [samples.data_change(values)] if values else []
        return [*notifications, samples.event_list(events)] if events else notifications

    def link(self, trigger: int, linked: int) -> ua.StatusCode:
        """Let what an item has sampled be reported whenever another one has something to say."""
        links = self.links.setdefault(trigger, set())
        if linked not in self.items:
            return ua.StatusCode(ua.StatusCodes.BadMonitoredItemIdInvalid)
        if linked not in links and len(links) >= limits.LINKS_PER_ITEM_MAX:
            return ua.StatusCode(ua.StatusCodes.BadTooManyMonitoredItems)
        links.add(linked)
        return ua.StatusCode()

    def unlink(self, trigger: int, linked: int) -> ua.StatusCode:
        """Take a link away."""
        links = self.links.get(trigger, set())
        known = linked in links
        links.discard(linked)
        return ua.StatusCode(0 if known else ua.StatusCodes.BadMonitoredItemIdInvalid)

    def forget(self, item: Item) -> None:
        """Drop an item."""
        self.items.pop(item.item_id, None)
        self.links.pop(item.item_id, None)
        self._ready.pop(item, None)
        if isinstance(item, DataItem):
            self._held.pop(item, None)


class Subscriptions:
    """All subscriptions; values and events come in here and go out by sessions' publish requests."""

    def __init__(self, on_watch: Callable[[Item, bool], None], summary: Summary) -> None:
        self.by_id: dict[int, Subscription] = {}
        self._summary = summary
        self._on_watch = on_watch
        self._ids = itertools.count(int(time.time()) & 0xFFFF | 1)
        self._item_ids = itertools.count(1)
        self.listeners: dict[ua.NodeId, list[EventItem]] = {}
        self.item_count = 0

    def create(self, session: Session, asked: Any, enabled: bool) -> Subscription:
        """Create a subscription."""
        subscription = Subscription(next(self._ids), session, self)
        subscription.enabled = enabled
        subscription.set_parameters(asked)
        self.by_id[subscription.subscription_id] = subscription
        self._summary.add("CumulatedSubscriptionCount")
        return subscription

    def of(self, session: Session) -> list[Subscription]:
        """Return a session's subscriptions."""
        return [each for each in self.by_id.values() if each.session is session]

    def find(self, session: Session, subscription_id: int) -> Subscription:
        """Return a subscription of this session; another's does not exist for it."""
        subscription = self.by_id.get(subscription_id)
        if subscription is None or subscription.session is not session:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadSubscriptionIdInvalid)
        return subscription

    def next_item_id(self) -> int:
        """Return a number for a new item, unique in the server."""
        return next(self._item_ids)

    def watch(self, subscription: Subscription, item: Item) -> None:
        """Add an item."""
        subscription.items[item.item_id] = item
        self.item_count += 1
        if isinstance(item, EventItem):
            self.listeners.setdefault(item.node_id, []).append(item)
        self._on_watch(item, True)

    def unwatch(self, subscription: Subscription, item: Item) -> None:
        """Remove an item."""
        subscription.forget(item)
        self.item_count -= 1
        if isinstance(item, EventItem):
            self.listeners[item.node_id].remove(item)
        self._on_watch(item, False)

    def delete(self, subscription: Subscription) -> None:
        """Delete a subscription and its items."""
        subscription.close_timer()
        for item in list(subscription.items.values()):
            self.unwatch(subscription, item)
        self.by_id.pop(subscription.subscription_id, None)

    def expire(self, subscription: Subscription) -> None:
        """End a subscription whose client asks for nothing any more; tell it if it comes back."""
        self.delete(subscription)

    def close_session(self, session: Session, delete: bool) -> None:
        """A session ends; subscriptions it leaves live on until their lifetime or a transfer."""
        for subscription in self.of(session) if delete else []:
            self.delete(subscription)
        session.publish_requests.clear()

    def transfer(self, session: Session, subscription_id: int) -> Subscription:
        """Hand a subscription over to another session of the same user; others see none."""
        subscription = self.by_id.get(subscription_id)
        if subscription is None or subscription.session.user != session.user:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadSubscriptionIdInvalid)
        old = subscription.session
        if old is session:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadNothingToDo)
        subscription.session = session
        if (request := self.take_request(old)) is not None:
            status = samples.status_change(ua.StatusCodes.GoodSubscriptionTransferred)
            now = datetime.datetime.now(datetime.UTC)
            self.answer(
                request, subscription, samples.notification_message(1, now, [status]), False
            )
        return subscription

    def tell(self, event: Event) -> None:
        """Give an event to everybody who listens at one of its notifiers."""
        for notifier in event.notifiers:
            for item in self.listeners.get(notifier, ()):
                item.hear(event)

    def tell_one(
        self, subscription: Subscription, events: Iterable[Event], only: Item | None = None
    ) -> None:
        """Give events to one subscription, or to one item of it (a refresh)."""
        items = [only] if only is not None else list(subscription.items.values())
        for event in events:
            for item in items:
                if isinstance(item, EventItem) and item.node_id in event.notifiers:
                    item.hear(event)

    def take_request(self, session: Session) -> PublishRequest | None:
        """Return the oldest waiting publish request that its client still waits for."""
        now_s = time.monotonic()
        while session.publish_requests:
            request = session.publish_requests.pop(0)
            if request.channel is not session.channel or not request.channel.is_open:
                continue
            if now_s < request.expires_s:
                return request
            fault(request, ua.StatusCodes.BadTimeout)
        return None

    def answer(
        self, request: PublishRequest, subscription: Subscription, message: bytes, more: bool
    ) -> None:
        """Send a publish response."""
        data = samples.publish_response(
            request.handle,
            datetime.datetime.now(datetime.UTC),
            subscription.subscription_id,
            list(subscription.unacknowledged),
            more,
            message,
            request.results,
        )
        request.channel.respond_encoded(request.request_id, data, handle=request.handle)

    def fault_all(self, session: Session, status: int) -> None:
        """Answer every waiting publish request with a fault."""
        while session.publish_requests:
            fault(session.publish_requests.pop(0), status)

    def request(self, session: Session, request: PublishRequest) -> None:
        """Queue a publish request and serve whoever is late, by priority."""
        session.publish_requests.append(request)
        if len(session.publish_requests) > limits.PUBLISH_REQUESTS_MAX:
            fault(session.publish_requests.pop(0), ua.StatusCodes.BadTooManyPublishRequests)
        late = [each for each in self.of(session) if each.late]
        for subscription in sorted(late, key=lambda each: -each.priority):
            if not session.publish_requests:
                return
            subscription.publish()


def fault(request: PublishRequest, status: int) -> None:
    """Answer a publish request with a fault."""
    response = ua.ServiceFault()
    response.ResponseHeader.ServiceResult = ua.StatusCode(status)
    request.channel.respond(request.handle, request.request_id, response)
