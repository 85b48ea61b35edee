"""The state of one tile in the ledger: the source of its classes, its scenes, and the maps that are due."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from seaice_ops.errors import ConfigError
from seaice_ops.ledger.operations import newest_maps, ready_scenes
from seaice_ops.ledger.session import Ledger, open_ledger
from seaice_ops.ledger.tables import Map, Scene
from seaice_ops.mapping.due.decided import Decision, decided
from seaice_ops.mapping.due.plan import Due, due_maps, method_of, one_grid, same_pixels
from seaice_ops.mapping.due.source import Evidence, Source, evidence, source
from seaice_ops.models.card import Labels
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import Grid

_STANDS = "it holds acquisitions that the champion cannot see; this revision stands"


@dataclass(frozen=True)
class TileState:
    """One tile at one moment."""

    tile: str
    """Its MGRS name."""
    source: Source
    """The source of the classes in force."""
    scenes: list[Scene]
    """The scenes that maps are made from: ready, on one grid, with the bands that the source needs; oldest first."""
    due: list[Due]
    """The maps to issue, oldest window end first; their windows index `scenes`."""
    evidence: dict[str, Evidence]
    """The source's rasters of the scenes' present pixels, by scene id."""
    decisions: tuple[Decision, ...]
    """The approved changes, oldest first."""
    skipped: dict[str, str]
    """Reasons by id, of ready scenes that are in no map and of maps that stand although the source cannot make them."""
    standing: int
    """Number of newest revisions that need no change."""

    @property
    def grid(self) -> Grid:
        """The tile's grid; there is one wherever a due map has a window."""
        return _grid(self.scenes[-1])

    def window(self, due: Due) -> list[Scene]:
        """The scenes of a due map, oldest first."""
        return [self.scenes[i] for i in due.window]

    def missing(self, due: Due) -> list[str]:
        """The ids of the scenes of a due map that are not labelled or encoded yet by the source."""
        return [scene.id for scene in self.window(due) if scene.id not in self.evidence]


@dataclass(frozen=True)
class Rules:
    """The settings that decide how maps are made."""

    n: int
    """Acquisitions in a full window."""
    method: str
    """`plan.method_of` the land mask."""
    labels: Labels
    """Which auto-labels are in force."""

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """The rules that the settings state."""
        method = settings.labels.method
        labels = Labels(method=method, version=settings.label_version(method))
        return cls(settings.mapping.window, method_of(settings.scenes.land_mask), labels)


def tile_state(ledger: Ledger, tile: str, rules: Rules) -> TileState:
    """The state of `tile`, read in one transaction."""
    with ledger.begin() as session:
        chosen = source(session, rules.labels)
        ready, issued = ready_scenes(session, [tile]), newest_maps(session, tile)
        told = evidence(session, tile, chosen, rules.labels)
        able, unable = _with_bands(tile, chosen, ready)
        scenes, refused = one_grid(able)
        decisions = decided(session, tile, _grid(scenes[-1]) if scenes else None)
    unseen = _unseen(issued, ready, unable)
    planned = due_maps(scenes, issued, rules.n, chosen.id, rules.method, decisions)
    due = [each for each in planned if each.window_end not in unseen]
    return TileState(
        tile,
        chosen,
        scenes,
        due,
        told,
        decisions,
        unable | refused | {issued[end].id: _STANDS for end in unseen},
        len(issued.keys() - {each.window_end for each in due}),
    )


def tiles_due(settings: Settings) -> tuple[str, ...]:
    """The tiles with maps to issue, sorted."""
    ledger, rules = open_ledger(settings), Rules.of(settings)
    return tuple(tile for tile in settings.tiles if tile_state(ledger, tile, rules).due)


def _grid(scene: Scene) -> Grid:
    assert scene.crs and scene.transform and scene.width and scene.height  # `one_grid` refused the others
    a, b, c, d, e, f = scene.transform
    return Grid(scene.crs, (a, b, c, d, e, f), scene.width, scene.height)


def chosen_tiles(known: tuple[str, ...], wanted: Iterable[str] | None) -> tuple[str, ...]:
    """`wanted`, sorted, or all `known` tiles (of all regions); raises `ConfigError` for a tile of no region."""
    if wanted is None:
        return known
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise ConfigError(f"{', '.join(unknown)}: in no region of the configuration; add the tile to a region")
    return tuple(sorted(set(wanted)))


def _with_bands(tile: str, chosen: Source, scenes: list[Scene]) -> tuple[list[Scene], dict[str, str]]:
    """The scenes with the bands that the source needs, and the reasons against the others (or the tile) by id."""
    able, unable = [], {}
    for scene in scenes:
        missing = [band for band in chosen.bands if band not in (scene.bands or ())]
        if missing:
            unable[scene.id] = f"it has no {', '.join(missing)}, which the champion {chosen.id} needs"
        else:
            able.append(scene)
    if scenes and not able:
        unable[tile] = (
            f"no map can be made: none of its scenes has all the bands that the champion {chosen.id} needs "
            f"({', '.join(chosen.bands)}); promote a model that needs only the scenes' bands"
        )
    return able, unable


def _unseen(issued: Mapping[datetime, Map], ready: Iterable[Scene], unable: Collection[str]) -> set[datetime]:
    """The window ends of maps that stand although the champion could not make them.

    All of their acquisitions are still ready with the same pixels, but some lack a band that the champion needs. The
    maps were made by an earlier champion and remain valid.
    """
    scenes = {scene.id: scene for scene in ready}
    return {
        end
        for end, last in issued.items()
        if not set(last.scene_ids).isdisjoint(unable)
        and scenes.keys() >= set(last.scene_ids)
        and same_pixels(last, [scenes[scene_id] for scene_id in last.scene_ids])
    }
