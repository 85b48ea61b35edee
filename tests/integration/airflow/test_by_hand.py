"""Every DAG started by hand, with and without dates and conf: it does its work, or refuses in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from seaice_ops.ledger.stores import initialise
from seaice_ops.settings import Settings

ROOT = Path(__file__).parents[3]
SEASON = "seaice_backfill_season"
NOW = datetime.now(UTC)
SENSED, PUBLISHED = NOW - timedelta(hours=30), NOW - timedelta(minutes=10)
PRODUCT = f"S2B_MSIL1C_{SENSED:%Y%m%dT%H%M%S}_N0511_R028_T01CCV_{PUBLISHED:%Y%m%dT%H%M%S}"
FORM = {"region": "test", "season": None, "start": f"{SENSED:%Y-%m-%d}", "end": f"{SENSED:%Y-%m-%d}"}

#: DAG, logical date, conf; how the first task ends, and words of its log.
CASES: list[tuple[str, str | None, dict[str, Any] | None, str, str]] = [
    ("seaice_ingest", None, None, "success", "search: 1 scene"),
    ("seaice_ingest", "2026-02-02", {"region": "test", "note": "by hand"}, "success", "search: nothing new"),
    ("seaice_ingest", None, {"products": [PRODUCT]}, "success", "search: 1 retried"),
    ("seaice_account", None, None, "success", "1 expected, 0 held, 0 labelled"),
    ("seaice_ingest", None, {"region": "nowhere"}, "failed", "there is no region 'nowhere'"),
    ("seaice_ingest", "2026-02-03", {"region": ["test"]}, "failed", "must be one of test"),
    ("seaice_autolabel", None, {"anything": 1}, "skipped", "every ready scene has its labels"),
    ("seaice_autolabel", "2026-02-02", None, "skipped", "every ready scene has its labels"),
    ("seaice_update_maps", None, None, "success", "nothing to encode"),
    ("seaice_update_maps", "2026-02-02", {"tile": "01CCV"}, "success", "nothing to encode"),
    ("seaice_retrain", None, None, "skipped", "training waits for"),
    ("seaice_retrain", "2026-02-02", {"epochs": 3}, "skipped", "training waits for"),
    ("seaice_review_changes", None, None, "skipped", "no change waits for a decision"),
    (SEASON, None, None, "failed", "give either a season"),
    (SEASON, "2026-02-02", {"region": "test", "season": "2025-27"}, "failed", "'2025-27' is not a season"),
    (SEASON, None, FORM, "success", "1 days: 1 products to fetch of 1 found"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose archive holds one product, sensed yesterday and published just now; its files are empty."""
    home = tmp_path_factory.mktemp("hand")
    (home / "c.yaml").write_text(yaml.safe_dump({"regions": {"test": {"title": "T", "tiles": ["01CCV"]}}}))
    sensed = f"{SENSED:%Y%m%dT%H%M%S}"
    safe = f"S2B_MSIL1C_{sensed}_N0511_R028_T01CCV_{PUBLISHED:%Y%m%dT%H%M%S}.SAFE"
    images = home / "archive" / safe / "GRANULE" / f"L1C_T01CCV_A012345_{sensed}" / "IMG_DATA"
    images.mkdir(parents=True)
    for path in (images.parents[2] / "MTD_MSIL1C.xml", images.parent / "MTD_TL.xml"):
        path.touch()
    for band in ("B02", "B03", "B04", "B08", "B11"):
        (images / f"T01CCV_{sensed}_{band}.jp2").touch()
    return home


@pytest.fixture(scope="module")
def ended(home: Path) -> list[dict[str, Any]]:
    """Each case's run: its state, its tasks' states, and what was logged."""
    env = {
        **os.environ, "AIRFLOW_HOME": str(home / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"), "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "SEAICE_HOME": str(home), "SEAICE_CONFIG": str(home / "c.yaml"), "SEAICE_RETRY_SECONDS": "1",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEAICE_HOME", str(home))
        initialise(Settings.load(home / "c.yaml"))
    asked = json.dumps([case[:3] for case in CASES])
    command = [sys.executable, str(Path(__file__).with_name("by_hand.py")), asked]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=home)
    runs, log = [], []
    for line in done.stdout.splitlines():
        log.append(line)
        if line.startswith("ENDED "):
            runs.append({**json.loads(line.removeprefix("ENDED ")), "log": "\n".join(log)})
            log = []
    assert len(runs) == len(CASES), done.stdout[-3000:]
    return runs


FIRST = {
    "seaice_ingest": "search", "seaice_autolabel": "labels_due", "seaice_update_maps": "encode",
    "seaice_retrain": "snapshot", "seaice_account": "account",
    "seaice_review_changes": "questions", SEASON: "estimate",
}  # fmt: skip


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: f"{CASES[n][0]}-{CASES[n][1]}-{CASES[n][2]}")
def test_it_works_or_refuses_in_words(ended: list[dict[str, Any]], number: int) -> None:
    dag, _, _, state, words = CASES[number]
    run = ended[number]
    assert run["tasks"][FIRST[dag]] == state, run["log"][-3000:]
    assert words in run["log"]
    assert "a fault of the program" not in run["log"]


def test_a_product_set_aside_is_told_once_and_reason_first(ended: list[dict[str, Any]]) -> None:
    assert ended[0]["tasks"]["ingest"] == "skipped" and ended[0]["state"] == "success"
    told = [line for line in ended[0]["log"].splitlines() if "product set aside:" in line]
    assert len(told) == 1 and "product set aside: MTD_" in told[0]
    reason = told[0].partition("set aside: ")[2].partition(" (S2B")[0]
    assert sum(reason in line for line in ended[0]["log"].splitlines()) == 1
