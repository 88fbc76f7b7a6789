"""The subscription and monitored item services (OPC UA part 4, 5.13 and 5.14), limited fairly."""

from typing import Any

from asyncua import ua

from controller.gateway.opcua import limits
from controller.gateway.opcua.attributes import Attributes
from controller.gateway.opcua.browsing import Browsing
from controller.gateway.opcua.events import EventFilter
from controller.gateway.opcua.monitored import DataItem, EventItem, Mode, revise_sampling_ms
from controller.gateway.opcua.samples import Sample
from controller.gateway.opcua.sessions import Session
from controller.gateway.opcua.subscriptions import Item, Subscription, Subscriptions
from controller.gateway.opcua.users import Role
from controller.settings.opcua import OpcUaSettings

Status = ua.StatusCodes


class ItemService:
    """Makes, changes and deletes subscriptions and their items."""

    def __init__(
        self,
        settings: OpcUaSettings,
        attributes: Attributes,
        browsing: Browsing,
        subscriptions: Subscriptions,
    ) -> None:
        self._settings = settings
        self._attributes = attributes
        self._browsing = browsing
        self._subscriptions = subscriptions

    async def create_subscription(self, channel: Any, session: Session, sent: Any, _: Any) -> Any:
        """CreateSubscription."""
        own = len(self._subscriptions.of(session))
        total = len(self._subscriptions.by_id)
        if own >= limits.SUBSCRIPTIONS_PER_SESSION_MAX or total >= self._settings.subscriptions_max:
            raise ua.UaStatusCodeError(Status.BadTooManySubscriptions)
        subscription = self._subscriptions.create(session, sent, bool(sent.PublishingEnabled))
        response = ua.CreateSubscriptionResponse()
        response.Parameters.SubscriptionId = subscription.subscription_id
        _tell_revised(subscription, response.Parameters)
        return response

    async def modify_subscription(self, channel: Any, session: Session, sent: Any, _: Any) -> Any:
        """ModifySubscription."""
        subscription = self._subscriptions.find(session, sent.SubscriptionId)
        subscription.set_parameters(sent)
        response = ua.ModifySubscriptionResponse()
        _tell_revised(subscription, response.Parameters)
        return response

    async def set_publishing_mode(self, channel: Any, session: Session, sent: Any, _: Any) -> Any:
        """SetPublishingMode."""

        def change(subscription: Subscription) -> None:
            subscription.enabled = bool(sent.PublishingEnabled)

        response = ua.SetPublishingModeResponse()
        response.Parameters.Results = self._each(session, sent.SubscriptionIds, change)
        return response

    async def delete_subscriptions(self, channel: Any, session: Session, sent: Any, _: Any) -> Any:
        """DeleteSubscriptions."""
        response = ua.DeleteSubscriptionsResponse()
        delete = self._subscriptions.delete
        response.Results = self._each(session, sent.SubscriptionIds, delete)
        if not self._subscriptions.of(session):
            self._subscriptions.fault_all(session, Status.BadNoSubscription)
        return response

    def _each(self, session: Session, ids: Any, action: Any) -> list[ua.StatusCode]:
        if not ids:
            raise ua.UaStatusCodeError(Status.BadNothingToDo)
        results = []
        for each in ids[: limits.OPERATIONS_MAX]:
            try:
                action(self._subscriptions.find(session, each))
                results.append(ua.StatusCode())
            except ua.UaStatusCodeError as error:
                results.append(ua.StatusCode(error.code))
        return results

    async def transfer_subscriptions(
        self, channel: Any, session: Session, sent: Any, _: Any
    ) -> Any:
        """TransferSubscriptions, from another session of the same user."""
        response = ua.TransferSubscriptionsResponse()
        results = []
        for subscription_id in (sent.SubscriptionIds or [])[: limits.OPERATIONS_MAX]:
            result = ua.TransferResult()
            try:
                subscription = self._subscriptions.transfer(session, int(subscription_id))
                result.AvailableSequenceNumbers = list(subscription.unacknowledged)
                if sent.SendInitialValues:
                    self._send_initial_values(subscription)
            except ua.UaStatusCodeError as error:
                result.StatusCode = ua.StatusCode(error.code)
            results.append(result)
        response.Parameters.Results = results
        return response

    def _send_initial_values(self, subscription: Subscription) -> None:
        for item in subscription.items.values():
            if isinstance(item, DataItem) and not item.queue:
                item.last = None
                item.take(Sample(_current(item)), 0.0)

    async def create_items(self, channel: Any, session: Session, sent: Any, _: Any) -> Any:
        """CreateMonitoredItems; each item answered by itself."""
        subscription = self._subscriptions.find(session, sent.SubscriptionId)
        _check_items(sent.ItemsToCreate, sent.TimestampsToReturn)
        response = ua.CreateMonitoredItemsResponse()
        response.Results = [
            self._create(session, subscription, each, sent.TimestampsToReturn)
            for each in sent.ItemsToCreate
        ]
        return response

    def _create(
        self, session: Session, subscription: Subscription, request: Any, timestamps: Any
    ) -> ua.MonitoredItemCreateResult:
        result = ua.MonitoredItemCreateResult()
        try:
            self._check_room(session, subscription)
            watched = self._attributes.find(session, request.ItemToMonitor)
            if request.ItemToMonitor.IndexRange:
                raise ua.UaStatusCodeError(Status.BadIndexRangeInvalid)
            if request.ItemToMonitor.AttributeId == ua.AttributeIds.EventNotifier:
                item: Item = self._event_item(session, subscription, request, watched)
            else:
                data_item = self._data_item(subscription, request, watched, timestamps)
                result.RevisedSamplingInterval = data_item.sampling_s * 1000.0
                item = data_item
        except ua.UaStatusCodeError as error:
            result.StatusCode = ua.StatusCode(error.code)
            return result
        self._subscriptions.watch(subscription, item)
        _set_mode(subscription, item, request.MonitoringMode)
        result.MonitoredItemId = item.item_id
        result.RevisedQueueSize = item.queue_size
        return result

    def _check_room(self, session: Session, subscription: Subscription) -> None:
        own = sum(len(each.items) for each in self._subscriptions.of(session))
        if (
            len(subscription.items) >= self._settings.items_per_subscription_max
            or own >= limits.ITEMS_PER_SESSION_MAX
            or self._subscriptions.item_count >= self._settings.items_max
        ):
            raise ua.UaStatusCodeError(Status.BadTooManyMonitoredItems)

    def _data_item(
        self, subscription: Subscription, request: Any, watched: Any, timestamps: Any
    ) -> DataItem:
        item_id = self._subscriptions.next_item_id()
        item = DataItem(item_id, request, watched, subscription)
        self._set_data_parameters(subscription, item, request.RequestedParameters, timestamps)
        return item

    def _set_data_parameters(
        self, subscription: Subscription, item: DataItem, parameters: Any, timestamps: Any
    ) -> None:
        sampling = revise_sampling_ms(parameters.SamplingInterval, subscription.interval_ms)
        percent = getattr(parameters.Filter, "DeadbandType", None) == ua.DeadbandType.Percent
        eu_range = self._browsing.property_of(item.node_id, "EURange") if percent else None
        item.set_parameters(parameters, timestamps, sampling, eu_range)

    def _event_item(
        self, session: Session, subscription: Subscription, request: Any, watched: Any
    ) -> EventItem:
        if not int(watched.value.Value.Value) & 1:
            raise ua.UaStatusCodeError(Status.BadNotSupported)
        hears_audit = session.user is not None and Role.SECURITY_ADMIN in session.user.roles
        item_id = self._subscriptions.next_item_id()
        item = EventItem(item_id, request, hears_audit, subscription)
        parameters = request.RequestedParameters
        item.set_parameters(parameters, EventFilter(parameters.Filter, self._browsing.is_subtype))
        return item

    async def modify_items(self, channel: Any, session: Session, sent: Any, _: Any) -> Any:
        """ModifyMonitoredItems."""
        subscription = self._subscriptions.find(session, sent.SubscriptionId)
        _check_items(sent.ItemsToModify, sent.TimestampsToReturn)
        response = ua.ModifyMonitoredItemsResponse()
        response.Results = [
            self._modify(subscription, each, sent.TimestampsToReturn) for each in sent.ItemsToModify
        ]
        return response

    def _modify(
        self, subscription: Subscription, request: Any, timestamps: Any
    ) -> ua.MonitoredItemModifyResult:
        result = ua.MonitoredItemModifyResult()
        item = subscription.items.get(request.MonitoredItemId)
        parameters = request.RequestedParameters
        try:
            if item is None:
                raise ua.UaStatusCodeError(Status.BadMonitoredItemIdInvalid)
            if isinstance(item, DataItem):
                self._set_data_parameters(subscription, item, parameters, timestamps)
                result.RevisedSamplingInterval = item.sampling_s * 1000.0
            else:
                filter_ = EventFilter(parameters.Filter, self._browsing.is_subtype)
                item.set_parameters(parameters, filter_)
        except ua.UaStatusCodeError as error:
            result.StatusCode = ua.StatusCode(error.code)
            return result
        result.RevisedQueueSize = item.queue_size
        return result

    async def set_monitoring_mode(self, channel: Any, session: Session, sent: Any, _: Any) -> Any:
        """SetMonitoringMode."""
        subscription = self._subscriptions.find(session, sent.SubscriptionId)
        response = ua.SetMonitoringModeResponse()
        results = []
        for item_id in sent.MonitoredItemIds or []:
            item = subscription.items.get(item_id)
            if item is not None:
                _set_mode(subscription, item, sent.MonitoringMode)
            results.append(ua.StatusCode(0 if item else Status.BadMonitoredItemIdInvalid))
        response.Parameters.Results = results
        return response

    async def set_triggering(self, channel: Any, session: Session, sent: Any, _: Any) -> Any:
        """SetTriggering; links are taken away before others are added."""
        subscription = self._subscriptions.find(session, sent.SubscriptionId)
        removed, added = sent.LinksToRemove or [], sent.LinksToAdd or []
        if not removed and not added:
            raise ua.UaStatusCodeError(Status.BadNothingToDo)
        if len(removed) + len(added) > limits.OPERATIONS_MAX:
            raise ua.UaStatusCodeError(Status.BadTooManyOperations)
        if sent.TriggeringItemId not in subscription.items:
            raise ua.UaStatusCodeError(Status.BadMonitoredItemIdInvalid)
        response = ua.SetTriggeringResponse()
        result, trigger = response.Parameters, sent.TriggeringItemId
        result.RemoveResults = [subscription.unlink(trigger, each) for each in removed]
        result.AddResults = [subscription.link(trigger, each) for each in added]
        return response

    async def delete_items(self, channel: Any, session: Session, sent: Any, _: Any) -> Any:
        """DeleteMonitoredItems."""
        subscription = self._subscriptions.find(session, sent.SubscriptionId)
        response = ua.DeleteMonitoredItemsResponse()
        response.Results = []
        for item_id in sent.MonitoredItemIds or []:
            item = subscription.items.get(item_id)
            if item is not None:
                self._subscriptions.unwatch(subscription, item)
            code = 0 if item is not None else Status.BadMonitoredItemIdInvalid
            response.Results.append(ua.StatusCode(code))
        return response


def _set_mode(subscription: Subscription, item: Any, mode: Any) -> None:
    if mode not in (Mode.Disabled, Mode.Sampling, Mode.Reporting):
        mode = Mode.Reporting
    was, item.mode = item.mode, mode
    if mode != Mode.Reporting:
        subscription.withdraw(item)
    if mode == Mode.Disabled:
        item.queue.clear()
        item.held = None
    elif was == Mode.Disabled and isinstance(item, DataItem):
        item.last = None
        item.take(Sample(_current(item)), 0.0)
    elif mode == Mode.Reporting and item.queue:
        subscription.mark_ready(item)


def _current(item: DataItem) -> ua.DataValue:
    watched = item.watched
    if watched.value_callback is not None:
        return watched.value_callback(item.node_id, item.attribute)
    return watched.value


def _tell_revised(subscription: Subscription, result: Any) -> None:
    result.RevisedPublishingInterval = subscription.interval_ms
    result.RevisedLifetimeCount = subscription.lifetime_count
    result.RevisedMaxKeepAliveCount = subscription.keep_alive_count


def _check_items(requests: Any, timestamps: Any) -> None:
    if not requests:
        raise ua.UaStatusCodeError(Status.BadNothingToDo)
    if len(requests) > limits.OPERATIONS_MAX:
        raise ua.UaStatusCodeError(Status.BadTooManyOperations)
    if timestamps not in (0, 1, 2, 3):
        raise ua.UaStatusCodeError(Status.BadTimestampsToReturnInvalid)
