"""Results (OPC 40001-101): each stored cell is offered, in order, until it is acknowledged."""

import datetime
import json
from typing import Any

from asyncua import ua

from controller.gateway.opcua.companions import RESULT
from controller.gateway.opcua.events import Event, make_event
from controller.gateway.opcua.history import from_ns
from controller.gateway.opcua.model.model import Kind, Model
from controller.gateway.opcua.registry import COLLECTING, EVERYBODY, Call, Refused
from controller.gateway.opcua.space import HAS_ADD_IN, NOTHING
from controller.gateway.records.outbox import Outbox, StoredRecord
from controller.shared.records import Verdict

RESULTS_PER_CALL_MAX = 1000
BATCH_MAX = 100
OK, NOT_OK = 1, 2  # ResultEvaluationEnum
COMPLETED, ABORTED = 1, 3  # ResultState
UNKNOWN_RESULT = 1  # our Error numbers; 0 is none
_METHODS = (
    "GetResultById",
    "GetLatestResult",
    "GetResultIdListFiltered",
    "ReleaseResultHandle",
    "AcknowledgeResults",
)


class Results:
    """The ResultManagement object."""

    def __init__(self, model: Model, outbox: Outbox, simulated: bool) -> None:
        self.model = model
        self.outbox = outbox
        self.simulated = simulated
        space = model.space
        index = space.namespaces[RESULT]
        kind = space.type(RESULT, "ResultManagementType")
        name = ua.QualifiedName("ResultManagement", index)
        text = model.text("ResultManagement")
        wanted = dict.fromkeys(_METHODS, NOTHING)
        self.node = space.instantiate(
            model.machine, text, name, kind, wanted, HAS_ADD_IN, notifies=True
        )
        self.event_type = space.type(RESULT, "ResultReadyEventType")
        self.open = model.variable(self.node, ("ResultManagement", "OpenResults"), Kind.Int32, None)
        latest = ("ResultManagement", "LatestResultId")
        self.latest = model.variable(self.node, latest, Kind.String, None)
        for method, handler, roles in (
            ("GetResultById", self._by_id, EVERYBODY),
            ("GetLatestResult", self._latest, EVERYBODY),
            ("GetResultIdListFiltered", self._list, EVERYBODY),
            ("ReleaseResultHandle", self._release, EVERYBODY),
            ("AcknowledgeResults", self._acknowledge, COLLECTING),
        ):
            model.serve_method(self.node, method, handler, roles)
        # What was stored before this start is offered on request; events tell what is new.
        self._told = outbox.last_sequence()
        self._show()

    def update(self) -> None:
        """Offer what was stored since the last look, in order."""
        found = self.outbox.after(self._told, BATCH_MAX)
        for record in found:
            self.model.tell(self._ready(record))
            self._told = record.sequence
        if found:
            self._show()

    def _show(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.open.set(self.outbox.open_count(), now)
        record = self.outbox.latest()
        self.latest.set(record.result_id if record else "", now)

    def _ready(self, record: StoredRecord) -> Event:
        notifiers = (ua.NodeId(ua.ObjectIds.Server), self.model.machine, self.node)
        result = ua.Variant(self.result(record), Kind.ExtensionObject)
        words = f"cell {record.cell}: {Verdict(record.verdict).name.lower()}"
        now = from_ns(record.stored_ns)
        fields = {("Result",): result}
        return make_event(
            self.event_type, notifiers, self.node, "ResultManagement", words, 100, now, fields
        )

    def result(self, record: StoredRecord) -> Any:
        """Return a record as ResultDataType: meta data, and the whole record as JSON."""
        meta = ua.ResultMetaDataType()  # made from the model at start
        meta.ResultId = record.result_id
        meta.HasTransferableDataOnFile = False
        meta.IsPartial = False
        meta.IsSimulated = self.simulated
        aborted = bool({"STOPPED", "ABORTED"} & set(record.content["reasons"]))
        meta.ResultState = ABORTED if aborted else COMPLETED
        meta.StepId = f"station {record.station}"
        meta.PartId = record.serial
        meta.ExternalRecipeId = record.recipe
        meta.InternalRecipeId = record.plan
        meta.ProductId = record.recipe
        meta.InternalConfigurationId = record.software
        meta.JobId = record.job
        meta.CreationTime = from_ns(record.finished_ns)
        times = ua.ProcessingTimesDataType()
        times.StartTime, times.EndTime = from_ns(record.started_ns), from_ns(record.finished_ns)
        meta.ProcessingTimes = times
        meta.ResultEvaluation = ua.ResultEvaluationEnum(
            OK if record.verdict == Verdict.GOOD else NOT_OK
        )
        meta.ResultEvaluationDetails = ua.LocalizedText(", ".join(record.content["reasons"]))
        result = ua.ResultDataType()
        result.ResultMetaData = meta
        more: dict[str, Any] = {"lots": record.lots, "serial": record.serial}
        more["parameters"] = self.outbox.parameters_of(record.plan)
        content = json.dumps(record.content | more)
        result.ResultContent = [ua.Variant(content, Kind.String)]
        return result

    # -- methods --------------------------------------------------------------------------------

    def _answer(self, record: StoredRecord | None) -> list[ua.Variant]:
        """Handle 0: nothing is reserved, a result stays until it is acknowledged."""
        if record is None:
            raise Refused(ua.StatusCodes.BadNotFound, "no such result")
        result = ua.Variant(self.result(record), Kind.ExtensionObject)
        return [ua.Variant(0, Kind.UInt32), result, ua.Variant(0, Kind.Int32)]

    async def _by_id(self, call: Call) -> list[ua.Variant]:
        return self._answer(self.outbox.record(call.arguments[0] or ""))

    async def _latest(self, call: Call) -> list[ua.Variant]:
        return self._answer(self.outbox.latest())

    async def _list(self, call: Call) -> list[ua.Variant]:
        filter_, ordered_by, count, _ = call.arguments
        if (filter_ is not None and filter_.Elements) or ordered_by:
            raise Refused(
                ua.StatusCodes.BadFilterNotAllowed, "the open results, oldest first, only"
            )
        size = min(int(count) or RESULTS_PER_CALL_MAX, RESULTS_PER_CALL_MAX)
        ids = [each.result_id for each in self.outbox.open_records(size)]
        listed = ua.Variant(ids, Kind.String, is_array=True)
        return [ua.Variant(0, Kind.UInt32), listed, ua.Variant(0, Kind.Int32)]

    async def _release(self, call: Call) -> list[ua.Variant]:
        return [ua.Variant(0, Kind.Int32)]

    async def _acknowledge(self, call: Call) -> list[ua.Variant]:
        ids = [each or "" for each in call.arguments[0] or []]
        if not ids or len(ids) > RESULTS_PER_CALL_MAX:
            raise Refused(ua.StatusCodes.BadInvalidArgument, f"1 to {RESULTS_PER_CALL_MAX} results")
        known = self.outbox.acknowledge(ids)
        self._show()
        errors = [0 if each else UNKNOWN_RESULT for each in known]
        each_error = ua.Variant(errors, Kind.Int32, is_array=True)
        return [each_error, ua.Variant(0 if all(known) else UNKNOWN_RESULT, Kind.Int32)]
