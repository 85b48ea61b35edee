"""The simulate command: publish the due products of a planned season."""

from __future__ import annotations

import logging
from collections.abc import Callable

from seaice_ops.errors import ConfigError
from seaice_ops.settings import Settings
from seaice_ops.simulate.product import is_published, publish, tidy
from seaice_ops.simulate.season import Planned, SimulateRequest, plan, publication_days, season_of
from seaice_ops.summary import Summary, timed

__all__ = ["Planned", "SimulateRequest", "plan", "publication_days", "run", "season_of"]

log = logging.getLogger(__name__)


def run(
    settings: Settings, request: SimulateRequest, progress: Callable[[int, int, str], None] | None = None
) -> Summary:
    """Write the season's products up to `request.publish_until`, in order of publication.

    Products that exist are left as they are. `progress(done, due, product)` is called after each product. Raises
    `ConfigError` where the folder cannot be written or the request cannot be simulated.
    """
    request = request.resolved(settings)
    out = request.out
    if out is None:
        raise ConfigError("no archive folder is set; give the request an `out`")
    due = [p for p in plan(request) if request.publish_until is None or p.published <= request.publish_until]
    with timed("simulate") as summary:
        try:
            out.mkdir(parents=True, exist_ok=True)
            for number, product in enumerate(due, 1):
                if is_published(out, product):
                    summary.unchanged["products"] += 1
                else:
                    summary.bytes_out += publish(out, request, product)
                    summary.done["products"] += 1
                    summary.items.append(product.id)
                    log.info("published %s", product.id)
                if progress:
                    progress(number, len(due), product.id)
            tidy(out)
        except OSError as error:
            raise ConfigError(f"cannot write the archive {out}: {error}") from error
    return summary
