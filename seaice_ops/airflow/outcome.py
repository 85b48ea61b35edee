"""The beginning and end of a task: its context, the errors that are retried, skipped or final, and who is told."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from airflow.sdk import Context, ExceptionRetryPolicy, PokeReturnValue, RetryAction, RetryRule, get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from seaice_ops.errors import (
    ArchiveUnavailable,
    CorruptProduct,
    ExpectedSkip,
    QuotaExceeded,
    SeaIceError,
    TrainingFailed,
    TransientError,
)
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)

RETRY_SECONDS = float(os.environ.get("SEAICE_RETRY_SECONDS", 300))

#: The first rule that fits decides. A task that dies without an exception (killed, out of memory) has plain retries.
RETRIES = ExceptionRetryPolicy(
    rules=[
        RetryRule(TransientError, RetryAction.RETRY, reason="the outside world failed for now"),
        RetryRule(TrainingFailed, RetryAction.RETRY, reason="training resumes at its last finished epoch"),
        RetryRule(SeaIceError, RetryAction.FAIL, reason="another try would end the same; the message says what to do"),
        RetryRule(AirflowException, RetryAction.DEFAULT, reason="Airflow's own retries"),
        RetryRule(Exception, RetryAction.FAIL, reason="a fault of the program; please report it"),
    ]
)

#: A sensor that gives its worker back between two looks. It waits out an outage of a month before it fails.
WAITING: dict[str, object] = {
    "mode": "reschedule",
    "poke_interval": RETRY_SECONDS,
    "timeout": timedelta(days=30).total_seconds(),
}


def caller_name(dag_id: str, task_id: str, run_id: str) -> str:
    """The name in which the ledger keeps what a task does and in which a scene is claimed."""
    return f"{dag_id}.{task_id} {run_id}"


#: The same name where Airflow fills in the fields.
CALLER_TEMPLATE = caller_name("{{ ti.dag_id }}", "{{ ti.task_id }}", "{{ ti.run_id }}")


@dataclass(frozen=True)
class TaskRun:
    """One try of a task: the settings in force, what Airflow knows about the run, and its name."""

    settings: Settings
    context: Context
    caller: str


@contextmanager
def task_run() -> Iterator[TaskRun]:
    """The try that runs now. An `ExpectedSkip` or a `CorruptProduct` in the block ends the task as skipped."""
    settings, context = Settings.load(), get_current_context()
    instance = context["ti"]
    try:
        yield TaskRun(settings, context, caller_name(instance.dag_id, instance.task_id, instance.run_id))
    except ExpectedSkip as reason:
        raise AirflowSkipException(f"nothing to do: {reason}") from None
    except CorruptProduct as reason:
        from seaice_ops.ops.notify import notify

        notify(settings, subject="product set aside", text=str(reason), level="warning")
        raise AirflowSkipException("product set aside; the line above has the reason") from None


def wait_for_archive(settings: Settings, look: Callable[[], object]) -> PokeReturnValue:
    """A sensor's answer: what `look` returns, or "not yet" while the archive is silent or the quota is used up."""
    with telling_outages(settings):
        try:
            return PokeReturnValue(True, look())
        except (ArchiveUnavailable, QuotaExceeded) as reason:
            log.warning("waiting: %s", reason)
            return PokeReturnValue(False)


@contextmanager
def put_off_in_outage(settings: Settings) -> Iterator[None]:
    """End the task as skipped in an outage or with the quota used up: the next run's search takes the scene up."""
    with telling_outages(settings):
        try:
            yield
        except (ArchiveUnavailable, QuotaExceeded) as reason:
            raise AirflowSkipException(f"put off, a later run takes it up: {reason}") from None


@contextmanager
def telling_outages(settings: Settings) -> Iterator[None]:
    """After the block, tell people once if an outage began or ended."""
    from seaice_ops.ops.notify import tell_outage

    try:
        yield
    finally:
        tell_outage(settings)


def tell_failure(context: Context) -> None:
    """Airflow's failure callback: one notification for each task that failed for good."""
    from seaice_ops.ops.notify import notify

    instance = context["task_instance"]
    notify(
        Settings.load(),
        subject=f"{instance.dag_id}.{instance.task_id} failed",
        text=f"{context.get('exception')}\nrun {instance.run_id}, try {instance.try_number}",
        level="error",
    )


def report(summary: Summary) -> Summary:
    """Log a stage's summary: one sentence, then a line for each item skipped or failed, reason first."""
    log.info("%s (%.1f s)", summary.sentence(), summary.seconds)
    for word, group in (("skipped", summary.skipped), ("failed", summary.failed)):
        for item, reason in group.items():
            log.warning("%s: %s (%s)", word, reason, item)
    return summary


DEFAULT_ARGS: dict[str, object] = {
    "owner": "sea-ice-ops",
    "retries": 3,
    "retry_delay": timedelta(seconds=RETRY_SECONDS),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(hours=2),
    "retry_policy": RETRIES,
    "on_failure_callback": tell_failure,
}
