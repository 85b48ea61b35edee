"""Airflow's backfills as its REST API shows them, in memory: for tests of what drives them.

The rules are those of Airflow 3.3 (`airflow.models.backfill`): one backfill at a time, what each reprocess behaviour
leaves out, a run that is cleared takes the backfill's conf. Runs move on when `advance` is called.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx


@dataclass
class FakeAirflow:
    """`runs` by day; `outcome(day, conf)` says how a run ends; `history` is (day, conf) of every run in its order."""

    outcome: Callable[[date, dict[str, Any]], str] = lambda day, conf: "success"
    runs: dict[date, dict[str, Any]] = field(default_factory=dict)
    backfills: list[dict[str, Any]] = field(default_factory=list)
    history: list[tuple[date, dict[str, Any]]] = field(default_factory=list)
    paused: bool = False
    deaf: int = 0  # so many POSTs are done, but not answered

    def client(self) -> httpx.Client:
        return httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(self._answer))

    def advance(self) -> bool:
        """The oldest queued run of the active backfill ends; False when there is none."""
        active = next((b for b in self.backfills if b["completed_at"] is None), None)
        if active is None:
            return False
        queued = sorted(day for day, run in self.runs.items() if run["state"] == "queued" and run["of"] == active["id"])
        if queued:
            run = self.runs[queued[0]]
            run["state"] = self.outcome(queued[0], run["conf"])
            self.history.append((queued[0], run["conf"]))
        if len(queued) <= 1:
            active["completed_at"] = "2026-01-01T00:00:00Z"
        return True

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            answer = self._create(json.loads(request.content))
            if self.deaf:
                self.deaf -= 1
                raise httpx.ReadTimeout("no answer")
            return answer
        if request.url.path == "/backfills":
            return httpx.Response(200, json={"backfills": self.backfills[::-1]})
        if request.url.path == "/dags/seaice_ingest":
            return httpx.Response(200, json={"is_paused": self.paused})
        assert request.url.path == "/dags/seaice_ingest/dagRuns"
        query = request.url.params
        first, last = (_day(query[f"logical_date_{end}"]) for end in ("gte", "lte"))
        found = [run for day, run in sorted(self.runs.items()) if first <= day <= last]
        offset = int(query["offset"])
        page = found[offset : offset + int(query["limit"])]
        return httpx.Response(200, json={"dag_runs": page, "total_entries": len(found)})

    def _create(self, body: dict[str, Any]) -> httpx.Response:
        if any(b["completed_at"] is None for b in self.backfills):
            return httpx.Response(409, json={"detail": "There is already a running backfill"})
        number = len(self.backfills) + 1
        self.backfills.append({**body, "id": number, "is_paused": False, "completed_at": None})
        day, last = _day(body["from_date"]), _day(body["to_date"])
        while day <= last:
            state = self.runs[day]["state"] if day in self.runs else None
            redone = {"none": (), "failed": ("failed",), "completed": ("failed", "success")}[body["reprocess_behavior"]]
            if state is None or state in redone:
                moment = datetime(day.year, day.month, day.day, tzinfo=UTC).isoformat()
                self.runs[day] = {
                    "logical_date": moment, "state": "queued", "conf": body["dag_run_conf"], "of": number,
                }  # fmt: skip
            day += timedelta(days=1)
        if not any(run["of"] == number for run in self.runs.values()):
            self.backfills[-1]["completed_at"] = "2026-01-01T00:00:00Z"
        return httpx.Response(200, json=self.backfills[-1])


def _day(text: str) -> date:
    return datetime.fromisoformat(text).date()
