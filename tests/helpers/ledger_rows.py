"""Rows of a ledger as a season leaves them, without any pixels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from seaice_ops.ledger.tables import Evaluation, LabelSet, Map, Model, ModelAlias, Run, Scene, SceneState
from seaice_ops.summary import Summary

FIRST = datetime(2026, 2, 1, 20, 15, 29, tzinfo=UTC)


def a_scene(day: int, tile: str = "01CCV", state: SceneState = SceneState.READY, **values: Any) -> Scene:
    sensed = FIRST + timedelta(days=day)
    return Scene(
        **{
            "id": f"S2B_MSIL1C_{sensed:%Y%m%dT%H%M%S}_N0511_R028_T{tile}_{sensed:%Y%m%dT%H%M%S}",
            "identity": f"S2B_{sensed:%Y%m%dT%H%M%S}_T{tile}_R028",
            "tile": tile,
            "platform": "S2B",
            "sensed_at": sensed,
            "relative_orbit": 28,
            "generated_at": sensed,
            "published_at": sensed,
            "href": "memory",
            "state": state,
            "discovered_at": sensed + timedelta(hours=6),
            "updated_at": sensed + timedelta(hours=7),
            **values,
        }
    )


def a_model(version: str = "0123abcd", day: int = 0) -> Model:
    made = FIRST + timedelta(days=day)
    return Model(id=f"unet/{version}", name="unet", version=version, sha256="0" * 64, card={}, created_at=made)


def an_alias(alias: str, model_id: str = "unet/0123abcd") -> ModelAlias:
    return ModelAlias(alias=alias, model_id=model_id, reason="test", updated_at=FIRST)


def a_score(subject: str, against: str, macro_f1: float) -> Evaluation:
    metrics = {"pixels": 100, "accuracy": 0.9, "majority": 0.6, "macro_f1": macro_f1, "mean_iou": None, "classes": {}}
    return Evaluation(subject=subject, dataset="d1", against=against, metrics=metrics, created_at=FIRST)


def a_label(scene: Scene, version: str, method: str = "colour") -> LabelSet:
    return LabelSet(
        scene_id=scene.id,
        method=method,
        version=version,
        key="k",
        sha256="0" * 64,
        scene_sha256=scene.sha256,
        shares={},
        seconds=1.5,
        created_at=scene.updated_at,
    )


def a_map(
    last_day: int, tile: str = "01CCV", revision: int = 1, scenes: int = 3, model_id: str = "unet/0123abcd"
) -> Map:
    end = FIRST + timedelta(days=last_day)
    map_id = f"{tile}_{end:%Y%m%dT%H%M%SZ}_n15_{revision}"
    return Map(
        id=map_id,
        tile=tile,
        window_start=end - timedelta(days=scenes - 1),
        window_end=end,
        revision=revision,
        source=model_id,
        scene_ids=[f"s{n}" for n in range(scenes)],
        folder=f"maps/{tile}/{end:%Y/%m}/{map_id}",
        statistics={
            "area_km2": {"open_water": 12.5, "thin_ice": 30.25, "thick_ice": 62.1},
            "shares": {"open_water": 0.12, "thin_ice": 0.29, "thick_ice": 0.59},
            "valid_share": 0.98,
            "median_age_days": 1,
        },
        created_at=end + timedelta(hours=8),
    )


def a_run(stage: str, minute: int = 0, error: str | None = None, **summary: Any) -> Run:
    return Run(
        stage=stage,
        caller="cli",
        version="0.1.0",
        started_at=FIRST + timedelta(minutes=minute),
        seconds=2.5,
        summary={**Summary(stage).to_dict(), **summary},
        error=error,
    )
