"""The log of a run: lines of the project at the engine's level, errors for the user without a traceback."""

from __future__ import annotations

import logging

from flows.failures import for_user

ENGINE_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
FOR_USER = "slipway_for_user"  # an attribute of a record: it holds an error that the user can mend
PROJECT_LOGGERS = ("tasks", "flows")  # Prefect has given them its handlers: PREFECT_LOGGING_EXTRA_LOGGERS
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
    """Keep the last line of a command out of the terminal's log; Prefect's records have it all."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(SaidAtTheEnd())


def set_up_logs() -> None:
    """Set levels and filter, once; Prefect gives extra loggers its handlers, but no level."""
    level = logging.getLogger("prefect").level
    for name in PROJECT_LOGGERS:
        logging.getLogger(name).setLevel(level)
    for name in SENDERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in ENGINE_LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, WithoutTraceback) for each in logger.filters):
            logger.addFilter(WithoutTraceback())
