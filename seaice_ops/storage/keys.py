"""The keys of all objects. No other module spells a key."""

from __future__ import annotations

from datetime import datetime

#: The object by which a store is known: its id, as JSON. Written once, by `seaice init`.
MARKER = "store.json"

#: The folder of all accounts.
ACCOUNTS = "account"


def scene(tile: str, sensed_at: datetime, scene_id: str) -> str:
    """The COG of a scene: int16 reflectance x 10000."""
    return f"scenes/{tile}/{sensed_at:%Y/%m}/{scene_id}.tif"


def label_set(method: str, version: str, tile: str, scene_id: str) -> str:
    """The COG of a scene's labels by one version of a method: u8 class codes."""
    return f"labels/{method}-{version}/{tile}/{scene_id}.tif"


def probabilities(model_id: str, tile: str, scene_id: str) -> str:
    """The COG of a scene's probabilities by one model: u8, one band a class."""
    return f"probabilities/{model_id}/{tile}/{scene_id}.tif"


def coastline(tile: str, digest: str) -> str:
    """The COG of a tile's land: u8, 1 = land or ice shelf. `digest` stands for the grid and the polygons' edition."""
    return f"land/{tile}/coastline-{digest}.tif"


def account(region: str, made: datetime, days: str) -> str:
    """The folder of an account of `region` (empty: all), made on a day, of the days named `days`."""
    return f"{ACCOUNTS}/{region or '_all'}/{made:%Y-%m-%d}/{days}"


def model(model_id: str, name: str) -> str:
    """A file of a model: weights.safetensors, card.json."""
    return f"models/{model_id}/{name}"


def golden(model_id: str, version: str) -> str:
    """What a model made of a version of the golden set."""
    return model(model_id, f"golden-{version}.json")


def verdict(model_id: str, version: str) -> str:
    """The gate's verdict on a model by a version of the golden set, without .json or .html."""
    return model(model_id, f"verdict-{version}")


def maps(tile: str) -> str:
    """The folder of all maps of a tile."""
    return f"maps/{tile}"


def map_folder(tile: str, window_end: datetime, map_id: str) -> str:
    """The folder of one map revision."""
    return f"{maps(tile)}/{window_end:%Y/%m}/{map_id}"


def drift(tile: str, begins: datetime, ends: datetime, inputs: str) -> str:
    """The GeoParquet of the ice drift between two acquisitions; `inputs` is a digest of what it was made from."""
    name = f"{tile}_{begins:%Y%m%dT%H%M%S}_{ends:%Y%m%dT%H%M%S}_drift-{inputs[:12]}"
    return f"drift/{tile}/{ends:%Y/%m}/{name}.parquet"


def drift_picture(key: str) -> str:
    """The picture beside a drift's table."""
    return f"{key.removesuffix('.parquet')}.png"


def map_item(folder: str) -> str:
    """The STAC item that commits a map."""
    return f"{folder}/item.json"


def changes(tile: str) -> str:
    """The folder of all dated changes of a tile."""
    return f"changes/{tile}"


def change_folder(tile: str, content: str) -> str:
    """The folder of one dated change as it was found: its pixels, polygons and pictures."""
    return f"{changes(tile)}/{content}"


def change_pixels(folder: str) -> str:
    """The PNG with the pixels of a dated change: 255 where it is."""
    return f"{folder}/pixels.png"


def catalogue(*parts: str) -> str:
    """A document of the catalogue of maps, by its path below the catalogue's folder."""
    return "/".join(("catalogue", *parts))


def catalogue_month(collection: str, tile: str, month: str, name: str) -> str:
    """A document of one month (``yyyy-mm``) of one tile: `catalog.json`, `items.parquet` or ``{map id}.json``."""
    return catalogue(collection, tile, month, name)
