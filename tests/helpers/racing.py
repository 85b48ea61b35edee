"""Processes that do the same thing at the same moment."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

# One helper process imports what is heavy and forks each racer, so that a race costs its own work.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["httpx", "hypothesis", "pytest", "seaice_ops.pixels.imagery", "seaice_ops.ledger.operations"]
)
_start: Any = None


def race(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Call `function` with each of `arguments`, each in a process of its own; none begins before all are there.

    Answers in the order of `arguments`; an exception is an answer too.
    """
    count = len(arguments)
    with ProcessPoolExecutor(count, _CONTEXT, _prepare, (_CONTEXT.Barrier(count),)) as pool:
        futures = [pool.submit(_at_once, dict(os.environ), function, values) for values in arguments]
        return [future.exception() or future.result() for future in futures]


def _prepare(barrier: Any) -> None:
    global _start
    _start = barrier


def _at_once(environment: dict[str, str], function: Callable[..., Any], values: tuple[Any, ...]) -> Any:
    os.environ.update(environment)  # the helper's is as old as itself
    _start.wait(60)
    return function(*values)
