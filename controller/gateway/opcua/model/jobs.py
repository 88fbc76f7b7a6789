"""Job management (OPC 40001-3 over OPC 10031-4): job orders in, job responses out."""

import datetime
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary

from controller.gateway.job_engine import JobEngine
from controller.gateway.opcua.companions import JOBCONTROL, JOBS
from controller.gateway.opcua.events import make_event
from controller.gateway.opcua.history import from_ns
from controller.gateway.opcua.model.material import POSITIONS
from controller.gateway.opcua.model.model import Kind, Model
from controller.gateway.opcua.model.state_machines import states_of
from controller.gateway.opcua.registry import EVERYBODY, PLANNING, Call, Refused
from controller.gateway.opcua.space import HAS_ADD_IN, Wanted
from controller.gateway.records.jobs import (
    JOBS_MAX,
    QUANTITY_MAX,
    TRANSITIONS,
    Job,
    JobCommand,
    Jobs,
    JobState,
)
from controller.gateway.records.outbox import Outbox
from controller.gateway.records.recipes import RecipeRefused, Recipes

# ReturnStatus (OPC 10031-4, annex B.2); from bit 33 on our own reasons, as the annex allows.
DONE = 1 << 0
UNKNOWN_JOB = 1 << 1
INVALID_STATUS = 1 << 3
UNABLE = 1 << 4
INVALID_REQUEST = 1 << 32
UNKNOWN_RECIPE = 1 << 33
INVALID_QUANTITY = 1 << 34
INVALID_PARAMETER = 1 << 35
JOB_EXISTS = 1 << 36
TOO_MANY_JOBS = 1 << 37
INVALID_LOT = 1 << 38
UNCERTAIN = ua.StatusCodes.Uncertain

_COMMANDS = tuple(each.value for each in JobCommand if each != JobCommand.UPDATE)
_NUMBERS = {state: number for number, state in enumerate(JobState, 1)}
Answer = list[ua.Variant]


class JobRefused(ValueError):
    """A job order cannot be accepted; `bits` are its ReturnStatus."""

    def __init__(self, bits: int, reason: str) -> None:
        super().__init__(reason)
        self.bits = bits


class JobManagement:
    """The JobManagement object: JobOrderControl and JobOrderResults."""

    def __init__(
        self, model: Model, outbox: Outbox, jobs: Jobs, recipes: Recipes, engine: JobEngine
    ) -> None:
        self.model = model
        self.outbox = outbox
        self.jobs = jobs
        self.recipes = recipes
        self.engine = engine
        space = model.space
        text = model.text("JobManagement")
        name = ua.QualifiedName("JobManagement", space.namespaces[JOBS])
        kind = space.type(JOBS, "JobManagementType")
        methods: Wanted = {key: {} for key in (*_COMMANDS, "Store", "StoreAndStart", "Update")}
        wanted: Wanted = {
            "JobOrderControl": methods,
            "JobOrderResults": {"JobOrderResponseList": {}},
        }
        space.instantiate(model.machine, text, name, kind, wanted, HAS_ADD_IN)
        self.control = space.id(f"{text}.JobOrderControl")
        self.results = space.id(f"{text}.JobOrderResults")
        self._states = states_of(model, space.type(JOBCONTROL, "ISA95JobOrderReceiverObjectType"))
        self._event_type = space.type(JOBCONTROL, "ISA95JobOrderStatusEventType")
        self._variables(f"{text}.JobOrderControl", f"{text}.JobOrderResults")
        self._methods()
        engine.on_change = self.changed
        self.show()

    def _variables(self, control: str, results: str) -> None:
        model, space = self.model, self.model.space
        kind = Kind.ExtensionObject
        self._list = model.bind(space.id(f"{control}.JobOrderList"), None, kind, is_array=True)
        responses = space.id(f"{results}.JobOrderResponseList")
        self._responses = model.bind(responses, None, kind, is_array=True)
        self._masters = model.bind(space.id(f"{control}.WorkMaster"), None, kind, is_array=True)
        model.fixed(space.id(f"{control}.MaxDownloadableJobOrders"), JOBS_MAX, Kind.UInt16)
        for name, values in (
            ("EquipmentID", [each.name for each in model.settings.stations]),
            ("MaterialClassID", list(POSITIONS)),
            ("MaterialDefinitionID", []),
            ("PersonnelID", []),
            ("PhysicalAssetID", []),
        ):
            model.fixed(space.id(f"{control}.{name}"), values, Kind.String, is_array=True)
        self._state = model.bind(space.id(f"{control}.CurrentState"), None, Kind.LocalizedText)
        self._state_id = model.bind(space.id(f"{control}.CurrentState.Id"), None, Kind.NodeId)

    def _methods(self) -> None:
        model = self.model
        for name in ("Store", "StoreAndStart", "Update"):
            model.serve_method(self.control, name, self._storing(name), PLANNING)
        for name in _COMMANDS:
            command = JobCommand(name)
            model.serve_method(self.control, name, self._commanding(command), PLANNING)
        for name, handler in (
            ("RequestJobResponseByJobOrderID", self._response_by_id),
            ("RequestJobResponseByJobOrderState", self._responses_by_state),
        ):
            model.serve_method(self.results, name, handler, EVERYBODY)

    # -- showing --------------------------------------------------------------------------------

    def show(self) -> None:
        """Write the lists."""
        now = datetime.datetime.now(datetime.UTC)
        jobs = self.jobs.all()
        self._list.set([self._with_state(job) for job in jobs], now)
        begun = [job for job in jobs if job.started_ns is not None]
        self._responses.set([self._response(job) for job in begun], now)
        masters = [self._work_master(name) for name in self.recipes.names()]
        self._masters.set(masters, now)
        current = self.jobs.started() or self.jobs.next_allowed()
        status = 0 if current else ua.StatusCodes.BadStateNotActive
        self._state.set(ua.LocalizedText(current.state.value) if current else None, now, status)
        self._state_id.set(self._states[current.state.value] if current else None, now, status)

    def changed(self, job: Job) -> None:
        """Tell a job order's new state."""
        self.show()
        notifiers = (ua.NodeId(ua.ObjectIds.Server), self.model.machine, self.control)
        fields = {
            ("JobOrder",): ua.Variant(self._order(job), Kind.ExtensionObject),
            ("JobState",): ua.Variant(self._state_data(job), Kind.ExtensionObject, is_array=True),
            ("JobResponse",): ua.Variant(self._response(job), Kind.ExtensionObject),
        }
        words = f"job {job.id}: {job.state.value}" + (f": {job.note}" if job.note else "")
        now = datetime.datetime.now(datetime.UTC)
        self.model.tell(
            make_event(
                self._event_type,
                notifiers,
                self.control,
                "JobOrderControl",
                words,
                200,
                now,
                fields,
            )
        )

    def _order(self, job: Job) -> Any:
        kind = ua.ISA95JobOrderDataType  # made from the model at start
        return struct_from_binary(kind, Buffer(job.order))

    def _state_data(self, job: Job) -> list[Any]:
        state = ua.ISA95StateDataType()
        state.BrowsePath = ua.RelativePath()
        state.StateText = ua.LocalizedText(job.state.value)
        state.StateNumber = _NUMBERS[job.state]
        return [state]

    def _with_state(self, job: Job) -> Any:
        entry = ua.ISA95JobOrderAndStateDataType()
        entry.JobOrder = self._order(job)
        entry.State = self._state_data(job)
        return entry

    def _response(self, job: Job) -> Any:
        response = ua.ISA95JobResponseDataType()
        response.JobResponseID = job.id
        response.JobOrderID = job.id
        response.Description = ua.LocalizedText(job.note) if job.note else None
        response.StartTime = from_ns(job.started_ns) if job.started_ns else None
        response.EndTime = from_ns(job.ended_ns) if job.ended_ns else None
        response.JobState = self._state_data(job)
        made = self.outbox.counts_of_job(job.id)
        response.JobResponseData = [_parameter(key, value) for key, value in made.items()]
        response.MaterialActuals = [
            _material(position, lot, "Material consumed") for position, lot in job.lots.items()
        ] or None
        return response

    def _work_master(self, name: str) -> Any:
        master = ua.ISA95WorkMasterDataType()
        master.ID = name
        return master

    # -- orders ---------------------------------------------------------------------------------

    def _storing(self, name: str) -> Callable[[Call], Awaitable[Answer]]:
        async def handler(call: Call) -> Answer:
            order = call.arguments[0]
            try:
                job = self._accepted(order, name == "Update")
            except JobRefused as refused:
                return self._refuse(call, refused.bits, str(refused))
            if name == "StoreAndStart":
                job = replace(job, state=JobState.ALLOWED)
            self.jobs.store(job)
            self.changed(job)
            return _return_status(DONE)

        return handler

    def _accepted(self, order: Any, updating: bool) -> Job:
        """Return the job of an order; JobRefused carries every reason there is."""
        if order is None or not 1 <= len(order.JobOrderID or "") <= 64:
            raise JobRefused(INVALID_REQUEST, "JobOrderID: 1 to 64 characters")
        known = self.jobs.find(order.JobOrderID)
        if updating and known is None:
            raise JobRefused(UNKNOWN_JOB, f"no job {order.JobOrderID}")
        if updating and known and (known.state, JobCommand.UPDATE) not in TRANSITIONS:
            raise JobRefused(INVALID_STATUS, f"job {known.id} is {known.state.value}")
        if not updating and known is not None:
            raise JobRefused(JOB_EXISTS, f"job {known.id} exists")
        if not updating and len(self.jobs.all()) >= JOBS_MAX:
            raise JobRefused(TOO_MANY_JOBS, f"{JOBS_MAX} jobs are stored; Clear some")
        job = self._checked(order)
        return replace(job, state=known.state) if known else job

    def _checked(self, order: Any) -> Job:
        bits, reasons = 0, []
        recipe = (order.WorkMasterID[0].ID or "") if order.WorkMasterID else ""
        parameters, quantity = _numbers(order)
        lots = _lots(order)
        if recipe not in self.recipes.names():
            bits |= UNKNOWN_RECIPE
            reasons.append(f"recipe {recipe!r} is unknown")
        else:
            try:
                self.recipes.validate(recipe, parameters)
            except RecipeRefused as refused:
                bits |= INVALID_PARAMETER
                reasons.append(str(refused))
        if not 1 <= quantity <= QUANTITY_MAX:
            bits |= INVALID_QUANTITY
            reasons.append(f"quantity {quantity}: 1 to {QUANTITY_MAX} cells")
        if any(each not in POSITIONS for each in lots):
            bits |= INVALID_LOT
            reasons.append(f"lots are for {', '.join(POSITIONS)}")
        if bits:
            raise JobRefused(bits | UNABLE, "; ".join(reasons))
        return Job(
            id=order.JobOrderID,
            recipe=recipe,
            quantity=quantity,
            parameters=parameters,
            lots=lots,
            order=struct_to_binary(order),
            priority=int(order.Priority or 0),
        )

    def _commanding(self, command: JobCommand) -> Callable[[Call], Awaitable[Answer]]:
        async def handler(call: Call) -> Answer:
            job = self.jobs.find(call.arguments[0] or "")
            if job is None:
                return self._refuse(call, UNKNOWN_JOB, f"no job {call.arguments[0]!r}")
            if (job.state, command) not in TRANSITIONS:
                return self._refuse(call, INVALID_STATUS, f"{command} in {job.state.value}")
            try:
                await self.engine.obey(job, command)
            except Refused as refused:
                return self._refuse(call, UNABLE, str(refused))
            self.show()
            return _return_status(DONE)

        return handler

    def _refuse(self, call: Call, bits: int, reason: str) -> Answer:
        user = call.session.user.name if call.session.user else None
        target = str(call.method_id.Identifier)
        self.model.server.audit.write(
            "job", user=user, target=target, status=hex(bits), reason=reason
        )
        # A bad status would carry no ReturnStatus (annex B.2): Uncertain does.
        raise Refused(UNCERTAIN, reason, _return_status(bits))

    # -- responses ------------------------------------------------------------------------------

    async def _response_by_id(self, call: Call) -> Answer:
        job = self.jobs.find(call.arguments[0] or "")
        known = job is not None and job.started_ns is not None
        response = self._response(job) if job is not None and known else None
        value = ua.Variant(response, Kind.ExtensionObject)
        return [value, *_return_status(DONE if known else UNKNOWN_JOB)]

    async def _responses_by_state(self, call: Call) -> Answer:
        wanted = {each.StateText.Text for each in call.arguments[0] or [] if each.StateText}
        found = [
            self._response(job)
            for job in self.jobs.all()
            if job.started_ns is not None and job.state.value in wanted
        ]
        bits = DONE if wanted <= {each.value for each in JobState} and wanted else INVALID_STATUS
        return [ua.Variant(found, Kind.ExtensionObject, is_array=True), *_return_status(bits)]


def _return_status(bits: int) -> Answer:
    return [ua.Variant(bits, Kind.UInt64)]


def _numbers(order: Any) -> tuple[dict[str, float], int]:
    """Return an order's recipe parameters by dotted key, and its quantity of cells."""
    parameters: dict[str, float] = {}
    quantity = 0
    for each in order.JobOrderParameters or []:
        value = each.Value.Value if each.Value is not None else None
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        if (each.ID or "").lower() == "quantity":
            quantity = int(number or 0)
        else:
            parameters[each.ID or ""] = float(number) if number is not None else float("nan")
    for each in order.MaterialRequirements or []:
        if (each.MaterialUse or "").lower() == "material produced":
            text = each.Quantity or ""
            quantity = int(text) if text.isdigit() and len(text) < 10 else 0
    return parameters, quantity


def _lots(order: Any) -> dict[str, str]:
    """Return the lots an order says are to be consumed, by position."""
    return {
        (each.MaterialClassID or "").lower(): each.MaterialLotID or ""
        for each in order.MaterialRequirements or []
        if (each.MaterialUse or "").lower() == "material consumed"
    }


def _parameter(key: str, value: int) -> Any:
    parameter = ua.ISA95ParameterDataType()
    parameter.ID = key
    parameter.Value = ua.Variant(value, Kind.Int64)
    return parameter


def _material(position: str, lot: str, use: str) -> Any:
    material = ua.ISA95MaterialDataType()
    material.MaterialClassID, material.MaterialLotID, material.MaterialUse = position, lot, use
    return material
