"""What the ledger says about one tile: the champion, the scenes, and the maps that are due."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from seaice_ops.errors import ConfigError, ExpectedSkip
from seaice_ops.ledger.operations import model_by_alias, newest_maps, ready_scenes
from seaice_ops.ledger.session import Ledger, open_ledger
from seaice_ops.ledger.tables import Map, Model, Probabilities, Scene
from seaice_ops.mapping.due.plan import Due, due_maps, method_of, one_grid, same_pixels
from seaice_ops.pixels.imagery import RGB_BANDS
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import Grid

_STANDS = "it holds acquisitions that the champion cannot see; this revision stands"


@dataclass(frozen=True)
class TileState:
    """One tile at one moment."""

    tile: str
    """Its MGRS name."""
    champion: Model
    """The model that makes maps now."""
    scenes: list[Scene]
    """The scenes that maps are made from: ready, on one grid, with the champion's bands; oldest first."""
    due: list[Due]
    """The maps to issue, oldest window end first; their windows index `scenes`."""
    encoded: dict[str, Probabilities]
    """The champion's probabilities of the scenes' present pixels, by scene id."""
    skipped: dict[str, str]
    """Why a ready scene is in no map, and why a map stands that the champion could not make."""
    standing: int
    """How many newest maps are right as they are."""

    @property
    def grid(self) -> Grid:
        """The tile's grid; there is one wherever a due map has a window."""
        scene = self.scenes[-1]
        assert scene.crs and scene.transform and scene.width and scene.height  # `one_grid` refused the others
        a, b, c, d, e, f = scene.transform
        return Grid(scene.crs, (a, b, c, d, e, f), scene.width, scene.height)

    def window(self, due: Due) -> list[Scene]:
        """The scenes of a due map, oldest first."""
        return [self.scenes[i] for i in due.window]

    def missing(self, due: Due) -> list[str]:
        """The ids of the scenes of a due map that the champion has not encoded."""
        return [scene.id for scene in self.window(due) if scene.id not in self.encoded]


def tile_state(ledger: Ledger, tile: str, n: int, method: str) -> TileState:
    """Look at `tile` in one transaction; raises `ExpectedSkip` where there is no champion.

    `n` is the length of a full window, `method` how maps are made (`plan.method_of`).
    """
    with ledger.begin() as session:
        champion = model_by_alias(session, "champion")
        if champion is None:
            raise ExpectedSkip("no champion yet: maps follow when a first model is trained or imported and promoted")
        ready, issued = ready_scenes(session, [tile]), newest_maps(session, tile)
        encoded = _encoded(session, tile, champion.id)
    able, unable = _with_bands(tile, champion, ready)
    scenes, refused = one_grid(able)
    unseen = _unseen(issued, ready, unable)
    due = [each for each in due_maps(scenes, issued, n, champion.id, method) if each.window_end not in unseen]
    return TileState(
        tile,
        champion,
        scenes,
        due,
        encoded,
        unable | refused | {issued[end].id: _STANDS for end in unseen},
        len(issued.keys() - {each.window_end for each in due}),
    )


def tiles_due(settings: Settings) -> tuple[str, ...]:
    """The tiles with maps to issue, sorted; raises `ExpectedSkip` where there is no champion."""
    ledger, n, method = open_ledger(settings), settings.mapping.window, method_of(settings.labels.mask)
    return tuple(tile for tile in settings.tiles if tile_state(ledger, tile, n, method).due)


def chosen_tiles(known: tuple[str, ...], wanted: Iterable[str] | None) -> tuple[str, ...]:
    """`wanted`, sorted, or all `known` tiles (of all regions); raises `ConfigError` for a tile of no region."""
    if wanted is None:
        return known
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise ConfigError(f"{', '.join(unknown)}: in no region of the configuration; add the tile to a region")
    return tuple(sorted(set(wanted)))


def _with_bands(tile: str, champion: Model, scenes: list[Scene]) -> tuple[list[Scene], dict[str, str]]:
    """The scenes that have the bands that the champion sees, and why each of the others (or the tile) is left out."""
    needed = champion.card.get("manifest", {}).get("preprocessing", {}).get("bands", RGB_BANDS)
    able, unable = [], {}
    for scene in scenes:
        missing = [band for band in needed if band not in (scene.bands or ())]
        if missing:
            unable[scene.id] = f"it has no {', '.join(missing)}, which the champion {champion.id} sees"
        else:
            able.append(scene)
    if scenes and not able:
        unable[tile] = (
            f"no map can be made: none of its scenes has all the bands that the champion {champion.id} sees "
            f"({', '.join(needed)}); promote a model that sees what they have"
        )
    return able, unable


def _unseen(issued: Mapping[datetime, Map], ready: Iterable[Scene], unable: Collection[str]) -> set[datetime]:
    """The window ends of maps that stand although the champion could not make them.

    All of their acquisitions are ready still, with the same pixels, and some of them lack a band that the champion
    sees. An earlier champion saw them; nothing is wrong with them.
    """
    scenes = {scene.id: scene for scene in ready}
    return {
        end
        for end, last in issued.items()
        if not set(last.scene_ids).isdisjoint(unable)
        and scenes.keys() >= set(last.scene_ids)
        and same_pixels(last, [scenes[scene_id] for scene_id in last.scene_ids])
    }


def _encoded(session: Session, tile: str, model_id: str) -> dict[str, Probabilities]:
    rows = session.scalars(
        select(Probabilities)
        .join(Scene)
        .where(
            Scene.tile == tile,
            Probabilities.model_id == model_id,
            or_(Probabilities.scene_sha256.is_(None), Probabilities.scene_sha256 == Scene.sha256),
        )
    )
    return {row.scene_id: row for row in rows}
