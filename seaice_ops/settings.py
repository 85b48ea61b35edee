"""All settings, read in one place: `config/seaice.yaml`, then the environment.

`Settings.load()` is cheap (no heavy import) so that DAG files may call it while they are parsed.
Credentials are never settings: object-store keys come from the usual `AWS_*` variables, the ledger's password from
`SEAICE_LEDGER_URL`, an archive's keys from its connection (archive/transport/credentials.py). None of them is
logged.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from seaice_ops import configuration, versions
from seaice_ops.errors import ConfigError
from seaice_ops.geo.regions import Region
from seaice_ops.sensors.known import band_sets
from seaice_ops.sensors.sentinel2 import CEILING, TRUE_COLOUR
from seaice_ops.shipped import shipped
from seaice_ops.validation import wrong
from seaice_ops.versions import Method


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class QuotaSettings(_Part):
    """Limits of the archive's service for an account; the defaults are those of the Copernicus Data Space (2026)."""

    connections: int = Field(4, ge=1, description="transfers at once, over all workers that share SEAICE_HOME")
    requests_per_minute: int = Field(
        2000, ge=1, description="requests in any 60 seconds, over all workers that share SEAICE_HOME"
    )
    bytes_per_30_days: int = Field(
        12 * 10**12,
        ge=1,
        description="bytes received in any 30 days; beyond it the service slows to one connection of 1 MB/s, so that "
        "nothing more is asked for until there is room again",
    )


class OutageSettings(_Part):
    """When a service that does not answer is left alone, and for how long."""

    failures: int = Field(
        5, ge=1, description="failures in a row (no answer, 5xx) after which the archive is left alone"
    )
    first_wait_s: float = Field(60, gt=0, description="seconds until the first try after that; each wait doubles")
    longest_wait_s: float = Field(3600, gt=0, description="the longest wait between two tries")
    probe_s: float = Field(900, gt=0, description="seconds that a try may take until another worker may make one")


def _address(value: str) -> str:
    """An address without anything secret in it: settings are shown, and logged."""
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query):
        raise ValueError("must be an http or https address without user, password and query")
    return value


Address = Annotated[str, AfterValidator(_address)]


class HttpSettings(_Part):
    """How patient we are with a service."""

    attempts: int = Field(6, ge=1, le=50, description="tries of a request that brings nothing, before a task gives up")
    timeout_s: float = Field(60.0, gt=0, description="seconds to connect, and without a byte")
    backoff_s: float = Field(1.0, ge=0, description="first step of the exponential back-off; each wait is random below")
    patience_s: float = Field(120.0, ge=0, description="longest wait inside a task; a longer Retry-After ends its try")
    min_bytes_s: float = Field(20_000.0, ge=0, description="a transfer slower than this is begun again where it stood")
    window_s: float = Field(30.0, gt=0, description="seconds over which a transfer's rate is judged")


class CdseSettings(_Part):
    """The services of the Copernicus Data Space."""

    stac_url: Address = "https://stac.dataspace.copernicus.eu/v1/"
    collection: str = "sentinel-2-l1c"
    odata_url: Address = "https://catalogue.dataspace.copernicus.eu/odata/v1"
    download_url: Address = "https://download.dataspace.copernicus.eu/odata/v1"
    token_url: Address = "https://identity.dataspace.copernicus.eu/auth/realms/CDSE/protocol/openid-connect/token"  # noqa: S105
    client_id: str = "cdse-public"
    s3_url: Address = "https://eodata.dataspace.copernicus.eu"
    s3_region: str = "default"
    page: int = Field(100, ge=1, le=1000, description="products asked for at once")


class DhusSettings(_Part):
    """A hub that speaks DHuS."""

    url: Address = Field("", description="the hub's root, below which search and odata/v1 lie")
    page: int = Field(100, ge=1, le=100, description="products asked for at once")


class StacSettings(_Part):
    """Any other STAC API; empty values are filled in for the mirrors that we know (archive/providers/mirror.py)."""

    url: Address = Field("", description="for example https://earth-search.aws.element84.com/v1")
    collection: str = "sentinel-2-l1c"
    assets: dict[str, str] = Field({}, description="asset names of B02 B03 B04 B08 B11 and MTD_TL")
    published: str = Field("", description="property with the time of publication, if items have one")
    tile: str = Field("", description="property that names the tile")
    sign_url: Address = Field("", description="service that answers GET <url>?href=... with a signed href")
    s3_url: Address = Field("", description="endpoint of s3:// hrefs")
    s3_region: str = "eu-central-1"
    requester_pays: bool = Field(False, description="the S3 keys' owner pays for the transfer")
    late_days: float = Field(30.0, ge=0, description="oldest sensing time looked at where no publication time is known")
    page: int = Field(100, ge=1, le=1000, description="products asked for at once")


class ArchiveSettings(_Part):
    """Where products are found."""

    kind: Literal["folder", "simulated", "cdse", "dhus", "stac"] = Field(
        "folder",
        description="folder: products and plain scenes, local or mounted; simulated: the folder that the simulator "
        "fills; cdse: Copernicus Data Space; dhus: a hub that speaks DHuS; stac: another STAC API",
    )
    path: Path = Field(Path("archive"), description="the folder; relative to SEAICE_HOME")
    connection: str = Field(
        "seaice_archive",
        pattern=r"^\w+$",
        description="Airflow connection with the credentials, also read from AIRFLOW_CONN_<NAME>",
    )
    overlap_hours: float = Field(
        48.0,
        ge=0,
        description="how far a scheduled search reaches back before the tile's watermark: what the archive shows that "
        "much later than its own time of publication is still found",
    )
    quota: QuotaSettings = QuotaSettings()
    outage: OutageSettings = OutageSettings()
    http: HttpSettings = HttpSettings()
    cdse: CdseSettings = CdseSettings()
    dhus: DhusSettings = DhusSettings()
    stac: StacSettings = StacSettings()

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, which no service stands behind."""
        return self.kind in ("folder", "simulated")


class SceneSettings(_Part):
    """Settings that decoding, labels, training and maps share."""

    land_mask: str = Field(
        "",
        description="what is land or ice shelf (254) in labels, whatever the method says, and in maps: empty for "
        "nothing, `coastline` for the polygons of OpenStreetMap and GSHHG, else a raster (not 0 is land) or a GeoJSON "
        "file, relative to home, in whose name {tile} stands for the tile; another mask needs another name",
    )
    ceiling: float = Field(
        CEILING,
        gt=0,
        le=1.5,
        description="reflectance shown as 255 in the true colour: what labels by colour and networks see, and what "
        "plain scenes that state no ceiling are decoded by",
    )


#: Fields of older versions and their names today.
_MOVED = {
    "labels.mask": "is scenes.land_mask now",
    "labels.ceiling": "is scenes.ceiling now",
    "training.gate_margin": "is gone: the gate's rules are the same everywhere (docs/models.md); remove it",
}


class LabelSettings(_Part):
    """Auto-labelling of scenes (docs/labels.md)."""

    method: Method = Field("colour", description="the labels that training learns from")
    water_max: int = Field(30, ge=0, le=253, description="V of the darkest colours, called open water")
    thin_max: int = Field(204, ge=1, le=254, description="V up to which ice is called thin / young")
    dilate_m: float = Field(7 * 54.0, gt=0, description="ground size of the filter's dilation, metres")
    median_m: float = Field(155 * 54.0, gt=0, description="ground size of the filter's background median, metres")


def label_parameters(labels: LabelSettings, scenes: SceneSettings) -> dict[str, Any]:
    """Every setting that labels may depend on, as it is written into a label raster and into its version."""
    return {**labels.model_dump(exclude={"method"}), "ceiling": scenes.ceiling, "mask": scenes.land_mask}


def label_version(method: str, labels: LabelSettings, scenes: SceneSettings) -> str:
    """The version of `method`'s labels: its algorithm's number and a hash of the settings it depends on."""
    unused = _UNUSED[method] | (set() if scenes.land_mask else {"mask"})
    used = {name: value for name, value in label_parameters(labels, scenes).items() if name not in unused}
    digest = hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:8]
    return f"{versions.LABELS[method]}-{digest}"


_FILTER_ONLY = {"dilate_m", "median_m"}
_UNUSED: dict[str, set[str]] = {
    "colour": _FILTER_ONLY,
    "iqrah2024": set(),
    "reflectance": _FILTER_ONLY | {"water_max", "thin_max"},
}


class TrainingSettings(_Part):
    """How models are trained."""

    width: int = Field(16, ge=2, le=128, description="channels of the U-Net's first level; 16 is the paper's")
    bands: tuple[str, ...] = Field(
        TRUE_COLOUR,
        min_length=1,
        description="what the network sees: names of bands, or the name of a set such as `sentinel2` for all of a "
        "sensor's; plain true-colour scenes have the default's three only",
    )
    epochs: int = Field(50, ge=1, le=10_000)
    batch: int = Field(16, ge=1, description="chips per rank and step")
    chip: int = Field(256, ge=64, multiple_of=32, description="chip edge, pixels")
    max_chips: int = Field(20_000, ge=1, description="chips a training set is thinned to, evenly over scenes")
    learning_rate: float = Field(1e-3, gt=0)
    ranks: int = Field(1, ge=1, description="Horovod processes")
    promotion: Literal["gate", "person"] = Field(
        "gate",
        description="who promotes what passed the gate: the gate, or a person (seaice model promote)",
    )
    seed: int = 2024
    holdout_every: int = Field(5, ge=2, description="every k-th acquisition day is held out of training")
    min_scenes: int = Field(4, ge=2, description="labelled scenes below which no training is tried")
    min_new_scenes: int = Field(
        24, ge=1, description="newly labelled scenes since the newest model's training below which no training is due"
    )

    @field_validator("bands", mode="before")
    @classmethod
    def _named(cls, bands: Any) -> Any:
        if isinstance(bands, str) and bands not in band_sets():
            raise ValueError(f"there is no set of bands {bands!r}; there are {', '.join(sorted(band_sets()))}")
        return band_sets()[bands] if isinstance(bands, str) else bands

    @field_validator("bands")
    @classmethod
    def _known(cls, bands: tuple[str, ...]) -> tuple[str, ...]:
        known = sorted({band for names in band_sets().values() for band in names})
        if unknown := [band for band in bands if band not in known]:
            raise ValueError(f"no sensor has a band {', '.join(unknown)}; known are {', '.join(known)}")
        if twice := sorted({band for band in bands if bands.count(band) > 1}):
            raise ValueError(f"names {', '.join(twice)} more than once")
        return bands


class MappingSettings(_Part):
    """How maps are made."""

    window: int = Field(15, ge=1, le=255, description="acquisitions in a full window")
    late_after_hours: float = Field(36.0, gt=0, description="hours a ready scene may wait until its tile's map is late")


class NotifySettings(_Part):
    """Where failures and late maps are told, besides the log."""

    webhook_env: str | None = Field(None, description="name of the environment variable that holds a webhook URL")
    email_to: tuple[str, ...] = Field((), description="recipients, through Airflow's smtp_default connection")


class Settings(_Part):
    """Everything a stage needs to know, frozen."""

    home: Path = Field(description="everything the default makes lies below this folder (SEAICE_HOME)")
    ledger: str = Field("", description="SQLAlchemy URL; empty: SQLite in home (SEAICE_LEDGER_URL)")
    store: str = Field("", description="s3://bucket/prefix or a folder; empty: objects/ in home (SEAICE_STORE_URL)")
    reference: Path | None = Field(
        None,
        description="folder of truth or hand labels, <scene_id>.tif or .geojson (docs/label-quality.md), for "
        "evaluation only; relative to home",
    )
    sensors: tuple[str, ...] = Field(
        (), description="Python modules of further sensors, each of which makes its bands and its decoder known"
    )
    archive: ArchiveSettings = ArchiveSettings()
    regions: dict[str, Region] = Field(min_length=1)
    scenes: SceneSettings = SceneSettings()
    labels: LabelSettings = LabelSettings()
    training: TrainingSettings = TrainingSettings()
    mapping: MappingSettings = MappingSettings()
    notify: NotifySettings = NotifySettings()

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("home"), (str, Path)):
            home = Path(data["home"]).absolute()
            data = {**data, "home": str(home)}  # a str: JSON input takes no Path
            data["ledger"] = data.get("ledger") or sqlite_url(home / "ledger.sqlite")
            store = data.get("store") or home / "objects"
            data["store"] = str(store) if isinstance(store, Path) else store
        return data

    @model_validator(mode="before")
    @classmethod
    def _sensors_first(cls, data: Any) -> Any:
        """Import the sensors' modules before a band is looked up."""
        named = data.get("sensors") if isinstance(data, dict) else None
        if isinstance(named, (list, tuple)):
            import_sensors([str(module) for module in named])
        return data

    @cached_property
    def tiles(self) -> tuple[str, ...]:
        """All tiles of all regions, sorted."""
        return tuple(sorted({tile for region in self.regions.values() for tile in region.tiles}))

    def region(self, name: str) -> Region:
        """The region of that name; raises `ConfigError` naming those that there are."""
        if name not in self.regions:
            raise ConfigError(f"there is no region {name!r} in the configuration; it has {', '.join(self.regions)}")
        return self.regions[name]

    def label_version(self, method: str) -> str:
        """The version of `method`'s labels under these settings."""
        return label_version(method, self.labels, self.scenes)

    @property
    def archive_path(self) -> Path:
        """The archive's folder, absolute."""
        return self.home / self.archive.path

    @property
    def reference_path(self) -> Path | None:
        """The folder of reference labels, absolute, or None."""
        return self.home / self.reference if self.reference else None

    @property
    def work(self) -> Path:
        """Folder for files in progress; anything in it may be deleted when nothing runs."""
        return self.home / "work"

    def inbox(self, scene_id: str) -> Path:
        """Folder of a scene's fetched files, until they are decoded."""
        return self.work / "inbox" / scene_id

    def redacted(self) -> dict[str, Any]:
        """The settings as JSON types, without a password in the addresses of ledger and store."""
        return {**self.model_dump(mode="json"), "ledger": redact(self.ledger), "store": redact(self.store)}

    @classmethod
    def load(cls, config: Path | str | None = None) -> Settings:
        """Read the configuration file and the environment.

        `config` or `SEAICE_CONFIG` names the YAML file; without either it is `config/seaice.yaml` of the working
        folder, else the package's own. `SEAICE_HOME`, `SEAICE_LEDGER_URL`, `SEAICE_STORE_URL` and `SEAICE_ARCHIVE`
        override it. Raises `ConfigError` naming the file, and line and name of each wrong field.
        """
        path = config_path(config)
        data, lines = configuration.read(path)
        env = os.environ
        data["home"] = env.get("SEAICE_HOME") or data.get("home") or ".seaice"
        data["ledger"] = env.get("SEAICE_LEDGER_URL") or data.get("ledger", "")
        data["store"] = env.get("SEAICE_STORE_URL") or data.get("store", "")
        archive = data.get("archive", {})
        if env.get("SEAICE_ARCHIVE") and isinstance(archive, dict):
            data["archive"] = {**archive, "path": str(Path(env["SEAICE_ARCHIVE"]).absolute())}
        _area_files_beside(path, data)
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(f"{path}: {'; '.join(_told(e, lines) for e in error.errors())}") from error


def _told(error: Any, lines: dict[configuration.KeyPath, int]) -> str:
    """One wrong field: its line, its name and what is wrong with it, without its value, which may be secret."""
    line = configuration.line_of(lines, error["loc"])
    field = ".".join(map(str, error["loc"]))
    said = f"{field} {_MOVED[field]}" if field in _MOVED else wrong(error)
    return f"{f'line {line}, ' if line else ''}{said}"


def import_sensors(modules: Sequence[str]) -> None:
    """Import the modules of further sensors, which make their bands and decoders known.

    Raises `ConfigError` with what a module raised, whatever that is: it is a person's file.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except (Exception, SystemExit) as error:
            said = redact(f"{type(error).__name__}: {error}")
            raise ConfigError(f"sensors: the module {module} cannot be imported ({said}); mend it") from error


def sqlite_url(file: Path) -> str:
    """The SQLAlchemy URL of an SQLite file, with what a URL would read as its own escaped."""
    return f"sqlite:///{file}".replace("%", "%25").replace("?", "%3F")


def _area_files_beside(config: Path, data: dict[str, Any]) -> None:
    """Name the regions' GeoJSON files absolutely: they lie relative to the configuration file."""
    regions = data.get("regions")
    for region in regions.values() if isinstance(regions, dict) else ():
        if isinstance(region, dict) and isinstance(region.get("area"), str):
            region["area"] = str(config.absolute().parent / region["area"])


#: Names of query parameters whose values are secret.
_HIDDEN = r"[^=&#]*(?:password|passwd|pwd|secret|token|key|sig)[^=&#]*"


def redact(url: str) -> str:
    """`url` with its password, in the user-info or in the query, replaced by ***."""
    if url.startswith("sqlite:"):  # a path, which may hold any sign
        return url
    url = re.sub(r"(://[^:@]*):.*@", r"\1:***@", url, flags=re.DOTALL)
    return re.sub(rf"([?&]{_HIDDEN}=)[^&#]*", r"\1***", url, flags=re.DOTALL | re.IGNORECASE)


def config_path(given: Path | str | None = None) -> Path:
    """The configuration file in force: `given`, SEAICE_CONFIG, `config/seaice.yaml` of the working folder, or the one
    that comes with the package."""
    here = Path("config/seaice.yaml")
    return Path(given or os.environ.get("SEAICE_CONFIG") or (here if here.exists() else shipped("seaice.yaml")))
