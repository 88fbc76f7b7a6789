"""Logs on standard error, JSON for programs and words for people; the core's events made into words."""

import datetime
import logging
import sys
from typing import Any

import structlog

from controller.gateway.snapshot import wall_time
from controller.shared.alarms import ALARMS, AlarmId
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.events import EventKind
from controller.shared.jog import GUARD_TEXTS, Guard
from controller.shared.layout import SOURCE_OVERRUN, ProcessId
from controller.shared.packml import Mode, State
from controller.shared.records import Verdict
from drivers.image import AxisId

CLEAR_LINE = "\r\033[K"  # of the live status, which comes back below
_COUNTED = "overrun"  # by the live status too
_FOR_PROGRAMS = {"at", "code", "cycle", "event", "level", "timestamp"}
_SOURCES = {SOURCE_OVERRUN: "overruns"} | {each.value: each.name.lower() for each in ProcessId}
_LEVELS = {1: "info", 2: "warning", 3: "warning", 4: "error", 5: "error"}


def set_up_logging(level: int = logging.INFO) -> None:
    """Write to standard error: words on a terminal, else JSON lines; asyncua's complaints included."""
    on_terminal = sys.stderr.isatty()
    render = _for_people if on_terminal else structlog.processors.JSONRenderer(default=str)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=render,
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.ERROR, force=True)


def _for_people(_logger: Any, _method: str, words: Any) -> str:
    """A line of time, event and details, without what only programs need."""
    if words["event"] == _COUNTED:
        raise structlog.DropEvent
    time = datetime.datetime.fromisoformat(words["timestamp"]).astimezone()
    details = ", ".join(f"{key} {words[key]}" for key in words if key not in _FOR_PROGRAMS)
    return f"{CLEAR_LINE}{time:%H:%M:%S} {words['event']}{': ' if details else ''}{details}"


def words_of(event: Any) -> dict[str, Any]:
    """Return an EVENT_DTYPE record as words: event, level, station and what its kind tells."""
    kind = EventKind(int(event["kind"]))
    words: dict[str, Any] = {
        "event": kind.name.lower().replace("_", " "),
        "level": "info",
        "at": _time(int(event["time_ns"])),
        "cycle": int(event["cycle"]),
        "station": int(event["station"]) + 1,
    }
    words.update(_DETAILS.get(kind, _plain)(int(event["code"]), float(event["value"]), event))
    return words


def _time(time_ns: int) -> str:
    return wall_time(time_ns).astimezone(datetime.UTC).isoformat(timespec="milliseconds")


def _plain(code: int, value: float, event: Any) -> dict[str, Any]:
    return {"code": code, "value": value}


def _state(code: int, value: float, event: Any) -> dict[str, Any]:
    return {"state": State(code).name, "was": _name(State, int(value))}


def _mode(code: int, value: float, event: Any) -> dict[str, Any]:
    return {"mode": _name(Mode, code), "was": _name(Mode, int(value))}


def _alarm(code: int, value: float, event: Any) -> dict[str, Any]:
    row = ALARMS[AlarmId(code)]
    words = {"alarm": row.text, "code": row.code, "class": row.alarm_class.name.lower()}
    index = int(event["index"])
    if index >= 0:
        words["axis"] = _name(AxisId, index)
    raised = int(event["kind"]) == EventKind.ALARM_RAISED
    if raised:
        words |= {"cause": row.cause, "remedy": row.remedy, "level": _LEVELS[row.alarm_class]}
        words["reaction"] = row.reaction.name.lower()
    return words


def _command(code: int, value: float, event: Any) -> dict[str, Any]:
    result = _name(CommandResult, int(value)).lower()
    by = _SOURCES.get(int(event["index"]), "program")
    return {"command": _name(CommandCode, code), "result": result, "by": by}


def _cell(code: int, value: float, event: Any) -> dict[str, Any]:
    words: dict[str, Any] = {"cell": int(value)}
    if int(event["kind"]) == EventKind.CELL_FINISHED:
        words["verdict"] = _name(Verdict, code).lower()
    return words


def _overrun(code: int, value: float, event: Any) -> dict[str, Any]:
    return {"periods_missed": int(value), "level": "warning"}


def _setting(code: int, value: float, event: Any) -> dict[str, Any]:
    return {"setting": _name(CommandCode, code), "index": int(event["index"]), "value": value}


def _jog_refused(code: int, value: float, event: Any) -> dict[str, Any]:
    axis = _name(AxisId, int(event["index"]))
    return {"axis": axis, "reason": GUARD_TEXTS[Guard(code)], "level": "warning"}


def _name(table: Any, number: int) -> str:
    return table(number).name if number in list(table) else str(number)


_DETAILS = {
    EventKind.STATE_CHANGED: _state,
    EventKind.MODE_CHANGED: _mode,
    EventKind.ALARM_RAISED: _alarm,
    EventKind.ALARM_CLEARED: _alarm,
    EventKind.RECOVERED: _alarm,
    EventKind.COMMAND: _command,
    EventKind.CELL_STARTED: _cell,
    EventKind.CELL_FINISHED: _cell,
    EventKind.OVERRUN: _overrun,
    EventKind.SETTING_CHANGED: _setting,
    EventKind.JOG_REFUSED: _jog_refused,
}


class EventLog:
    """Writes the core's events, each once, and says how many were lost."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("machine")

    def write(self, events: Any) -> None:
        """Write events, oldest first."""
        for event in events:
            words = words_of(event)
            getattr(self._log, words.pop("level"))(words.pop("event"), **words)

    def lost(self, count: int) -> None:
        """Say that events were overwritten before they were read."""
        self._log.warning("events lost", count=count)
