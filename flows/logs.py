"""The log of a run: lines of the project at the engine's level, errors for the user without a traceback.

A Prefect server that goes is told in one line, not with each thing that it does not take.
"""

from __future__ import annotations

import logging

from flows.failures import for_user
from tasks.observer import lose

ENGINE_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
FOR_USER = "slipway_for_user"  # an attribute of a record: it holds an error that the user can mend
PROJECT_LOGGERS = ("tasks", "flows")  # Prefect has given them its handlers: PREFECT_LOGGING_EXTRA_LOGGERS
EVENTS_CLIENT = "prefect.events.clients"  # for each event, it warns of a server that it cannot reach
SERVICES = "prefect._internal.concurrency"  # it tells of each event that was not sent
_at_the_end = False  # whether this process is a command, which ends with the error in its last line
SENDERS = ("APILogWorker", "EventsWorker")  # at the exit they tell what is left to be sent, in a race with it


class WithoutTraceback(logging.Filter):
    """Takes the traceback off a record whose error has a message for the user."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record."""
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        shown = for_user(error) if error is not None else None
        if shown is not None:
            record.msg, record.args = f"{shown}", None
            record.exc_info = record.exc_text = None
            record.__dict__[FOR_USER] = True
        return True


class SaidAtTheEnd(logging.Filter):
    """Leaves out what a command says in its last line: the error that a task or the flow ended with."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a record that says something else."""
        ended = record.name in ENGINE_LOGGERS and str(record.msg).startswith("Finished in state Failed(")
        return not ended and FOR_USER not in record.__dict__


def say_errors_once() -> None:
    """Keep the last line of a command out of the terminal's log; Prefect's records have it all.

    For runs of this process from here on: Prefect may make its handlers as late as that.
    """
    global _at_the_end
    _at_the_end = True


class SaidOnce(logging.Filter):
    """Lets the first word of a lost server be said in the project's words, and takes all of them away."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep what does not tell of a lost server."""
        if record.name == EVENTS_CLIENT and record.levelno == logging.WARNING:
            lose(" ".join(str(each) for each in record.args or ()))
            return False
        return not (record.name == SERVICES and "EventsWorker" in (record.args or ()))


def set_up_logs() -> None:
    """Set levels and filter, once; Prefect gives extra loggers its handlers, but no level."""
    level = logging.getLogger("prefect").level
    for name in PROJECT_LOGGERS:
        logging.getLogger(name).setLevel(level)
    for name in SENDERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    filters: list[tuple[str, logging.Filter]] = [(name, WithoutTraceback()) for name in ENGINE_LOGGERS]
    filters += [(name, SaidOnce()) for name in (EVENTS_CLIENT, SERVICES)]
    for name, filtering in filters:
        logger = logging.getLogger(name)
        if not any(type(each) is type(filtering) for each in logger.filters):
            logger.addFilter(filtering)
    for handler in logging.getLogger().handlers if _at_the_end else ():
        handler.addFilter(SaidAtTheEnd())
    # Lines that the server does not take are on the terminal all the same; their sender would tell of each.
    logging.raiseExceptions = False
