"""Checks of the environment and of everything that the settings name; each says what it saw and what to do."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

from seaice_ops.errors import SeaIceError
from seaice_ops.settings import Settings

#: Free bytes below which the disk that holds SEAICE_HOME is too full to work on.
ENOUGH_DISK = 5 * 2**30

#: Seconds by which clocks may differ.
CLOCK_TOLERANCE = 120.0

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Check:
    """The result of one check: `what` was seen of `name`, and if that is not `ok`, the `advice` that helps."""

    name: str
    ok: bool
    what: str
    advice: str


class _WrongError(Exception):
    """A check saw something else than what is needed."""


def check(settings: Settings | None, problem: str | None = None) -> list[Check]:
    """Check the environment, and with `settings` everything that they name; `problem` says why there are none.

    Folders that the settings name are created, and files are written there and removed again. Nothing else is changed.
    """
    checks = [_ask(name, advice, look) for name, advice, look in _ENVIRONMENT]
    if settings is None:
        advice = "correct config/seaice.yaml, or name another file in SEAICE_CONFIG"
        return [*checks, Check("configuration", False, problem or "no settings were given", advice)]
    found = f"{len(settings.regions)} region(s), {len(settings.tiles)} tile(s), home {settings.home}"
    checks.append(Check("configuration", True, found, ""))
    for name, advice, look in _SETTINGS:
        if name in _OF_LEDGER and not next(each for each in checks if each.name == "ledger").ok:
            checks.append(Check(name, True, "not known without the ledger", ""))
        else:
            advice = _SERVICE if name == "archive" and not settings.archive.is_folder else advice
            checks.append(_ask(name, advice, lambda look=look: look(settings)))  # type: ignore[misc]
    return checks


def _ask(name: str, advice: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look(), "")
    except (_WrongError, SeaIceError) as error:
        return Check(name, False, str(error), advice)
    except Exception as error:  # any fault is a finding
        return Check(name, False, f"{type(error).__name__}: {error}".split("\n", 1)[0], advice)


def _python() -> str:
    if sys.version_info[:2] != (3, 11):
        raise _WrongError(f"this is Python {platform.python_version()}, the locked packages need 3.11")
    return f"{platform.python_version()} at {sys.executable}"


def _packages() -> str:
    """Compare the installed versions with the lock, which only a checkout has."""
    lock = ROOT / "requirements" / "runtime.lock"
    if not lock.exists():
        return f"Airflow {_version('apache-airflow')}; a package without a checkout has no lock to compare with"
    wanted = dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", lock.read_text(), re.MULTILINE))
    wrong = [
        f"{name} {_version(name)} instead of {version}" for name, version in wanted.items() if _version(name) != version
    ]
    if wrong:
        raise _WrongError(f"{len(wrong)} of {len(wanted)} differ from the lock: {', '.join(wrong[:5])}")
    return f"all {len(wanted)} as locked, Airflow {_version('apache-airflow')}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _java() -> str:
    try:
        answer = subprocess.run(["java", "-version"], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise _WrongError("there is no java on PATH") from None
    version = re.search(r'version "(\d+)[^"]*"', answer.stderr + answer.stdout)
    if not version or int(version[1]) < 17:
        raise _WrongError(f"java is not version 17 or newer: {(answer.stderr or answer.stdout).splitlines()[:1]}")
    return version[0].removeprefix("version ").strip('"')


def _spark() -> str:
    import pyspark

    if pyspark.__version__ != metadata.version("pyspark") or _version("pyspark-client") != "missing":
        raise _WrongError("the package pyspark-client has overwritten files of pyspark")
    jars = len(list((Path(pyspark.__file__).parent / "jars").glob("*.jar")))
    if not jars:
        raise _WrongError(f"pyspark {pyspark.__version__} has no jars: its client-only variant cannot start Spark")
    submit = shutil.which("spark-submit")
    if not submit:
        raise _WrongError("spark-submit is not on PATH, where Airflow looks for it")
    return f"pyspark {pyspark.__version__} with {jars} jars, {submit}"


def _torch() -> str:
    import torch

    where = f"CUDA {torch.version.cuda} on {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "CPU"
    return f"{torch.__version__} on {where}, {torch.get_num_threads()} thread(s)"


def _horovod() -> str:
    import horovod.torch
    import torch

    version = metadata.version("horovod")
    built_for = version.partition("+torch")[2]
    if built_for and built_for != torch.__version__.replace("+", "."):
        raise _WrongError(f"Horovod was compiled for torch {built_for}, installed is {torch.__version__}")
    if not horovod.torch.gloo_built():
        raise _WrongError(f"Horovod {version} was compiled without Gloo")
    return f"{version} with Gloo{' and NCCL' if horovod.torch.nccl_built() else ''}"


def _projections() -> str:
    from seaice_ops.geo.projections import require_projections

    require_projections()
    return "can be looked up"


def _rasters() -> str:
    import numpy as np
    import rasterio

    from seaice_ops.storage.rasters import Grid, cog_bytes

    with rasterio.Env() as env:
        missing = [name for name in ("JP2OpenJPEG", "COG", "GTiff", "PNG") if name not in env.drivers()]
    if missing:
        raise _WrongError(f"rasterio's GDAL {rasterio.__gdal_version__} lacks {', '.join(missing)}")
    pixels = np.arange(64 * 64, dtype=np.int16).reshape(1, 64, 64)
    data = cog_bytes(pixels, Grid("EPSG:3031", (10, 0, 0, 0, -10, 0), 64, 64), nodata=None)
    with rasterio.MemoryFile(data) as file, file.open() as dataset:
        if dataset.profile["compress"] != "zstd" or not (dataset.read() == pixels).all():
            raise _WrongError("a ZSTD-compressed GeoTIFF does not come back as it was written")
    return f"rasterio {rasterio.__version__}, GDAL {rasterio.__gdal_version__}, reads JPEG 2000, writes COG with ZSTD"


def _home(settings: Settings) -> str:
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=settings.home) as file:
        file.write(b"doctor")
    return f"{settings.home} can be written"


def _ledger(settings: Settings) -> str:
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.settings import redact

    current, head = open_ledger(settings).schema_revision()
    if current != head:
        raise _WrongError(f"the schema is at {current or 'nothing'}, this version of the package needs {head}")
    return f"{redact(settings.ledger)} has schema {current}"


def _store(settings: Settings) -> str:
    from seaice_ops.errors import PublishConflict
    from seaice_ops.ledger.stores import store_of
    from seaice_ops.storage.store import open_store

    try:
        _ledger(settings)
    except (_WrongError, SeaIceError):
        store = open_store(settings.store)  # whose store it is cannot be known
    else:
        store = store_of(settings)
    key = f"doctor/{uuid.uuid4().hex}"
    try:
        store.put(key, b"one")
        if store.get(key) != b"one":
            raise _WrongError(f"{store.url} gives back other bytes than were written")
        try:
            store.create(key, b"two")
        except PublishConflict:
            return f"{store.url} can be written and read, and refuses to publish a name twice"
        raise _WrongError(f"{store.url} overwrites in spite of a conditional write: published maps would not be safe")
    finally:
        store.delete(key)


def _archive(settings: Settings) -> str:
    from seaice_ops.archive.source import open_archive

    if not settings.archive.is_folder:
        return _service(settings)
    found = open_archive(settings).search(
        settings.tiles, "sensed", datetime(2015, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    )
    unusable = sum(product.problem is not None for product in found)
    return f"{settings.archive_path} holds {len(found)} product(s) of our tiles" + (
        f", {unusable} of them unusable" if unusable else ""
    )


def _service(settings: Settings) -> str:
    """Look for credentials of the archive's service, and try a small search."""
    from seaice_ops.archive.source import open_archive
    from seaice_ops.archive.transport.credentials import credentials, variable
    from seaice_ops.ledger.operations import now

    archive, tile = settings.archive, settings.tiles[0]
    kind, known = archive.kind, credentials(archive.connection)
    what = [words for words, there in (("S3 keys", known.s3_keys()), ("an account", known.account())) if there]
    if not what and kind != "stac":
        raise _WrongError(
            f"there are no credentials for {kind} in {variable(archive.connection)} or SEAICE_ARCHIVE_..."
        )
    found = open_archive(settings).search([tile], "published", now() - timedelta(days=1), now())
    return (
        f"{kind} answers: {len(found)} product(s) of tile {tile} published in the last day; credentials: "
        f"{' and '.join(what) or 'none'}"
    )


def _quota(settings: Settings) -> str:
    """The quota must have room, and at the present pace for another week."""
    from seaice_ops.archive.limits.quota import usage
    from seaice_ops.ledger.operations import now
    from seaice_ops.ledger.session import open_ledger

    found = usage(open_ledger(settings), settings.archive, settings.work)
    if found is None:
        return f"a {settings.archive.kind} archive has none"
    if found.again or (found.exhausted_at and found.exhausted_at < now() + timedelta(days=7)):
        raise _WrongError(found.sentence())
    return found.sentence()


def _outage(settings: Settings) -> str:
    from seaice_ops.archive.limits import breaker

    if settings.archive.is_folder:
        return f"a {settings.archive.kind} archive has none"
    from seaice_ops.ledger.session import open_ledger

    state = breaker.current(open_ledger(settings), settings.archive.kind)
    if state.opened_at:
        raise _WrongError(breaker.sentence(settings.archive.kind, state))
    return f"none of {settings.archive.kind} is known" + (
        f", {state.failures} failure(s) in a row" if state.failures else ""
    )


def _land_mask(settings: Settings) -> str:
    from seaice_ops.pixels.coastline import edition
    from seaice_ops.pixels.land import COASTLINE, mask_file

    if not settings.scenes.land_mask:
        return "nothing is masked: land and ice shelf are labelled and mapped as ice"
    if settings.scenes.land_mask == COASTLINE:
        return f"the coastline of roaring-landmask {edition()}"
    files = {tile: mask_file(settings.scenes.land_mask, settings.home, tile) for tile in settings.tiles}
    missing = [tile for tile, path in files.items() if not path.is_file()]
    if missing:
        raise _WrongError(f"there is no file for {', '.join(missing)}, such as {files[missing[0]]}")
    return f"a file for each of {len(settings.tiles)} tile(s)"


def _disk(settings: Settings) -> str:
    folder = next(each for each in (settings.home, *settings.home.parents) if each.exists())
    free = shutil.disk_usage(folder).free
    if free < ENOUGH_DISK:
        raise _WrongError(f"{free / 2**30:.1f} GiB are free below {folder}, less than {ENOUGH_DISK / 2**30:.0f}")
    return f"{free / 2**30:.0f} GiB are free below {folder}"


def _clock(settings: Settings) -> str:
    """Compare this clock with the one of home's file system, and with the ledger's newest run, which must be past."""
    from seaice_ops.ledger.operations import now
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.ops.overview.collect import newest_run

    with tempfile.NamedTemporaryFile(dir=settings.home if settings.home.exists() else None) as file:
        apart = abs(Path(file.name).stat().st_mtime - time.time())
    if apart > CLOCK_TOLERANCE:
        raise _WrongError(f"this machine's clock and that of {settings.home} are {apart:.0f} s apart")
    try:
        with open_ledger(settings).begin() as session:
            last = newest_run(session)
    except SeaIceError:  # the ledger's own check says so
        last = None
    if last and (last - now()).total_seconds() > CLOCK_TOLERANCE:
        raise _WrongError(
            f"this machine says {now():%Y-%m-%d %H:%M} UTC, but the ledger has a run of {last:%Y-%m-%d %H:%M} UTC"
        )
    return f"{now():%Y-%m-%d %H:%M:%S} UTC agrees with the disk and the ledger"


def _notify(settings: Settings) -> str:
    variable, to = settings.notify.webhook_env, settings.notify.email_to
    if variable and not os.environ.get(variable, "").startswith(("http://", "https://")):
        raise _WrongError(f"notify.webhook_env names {variable}, which holds no http address")
    channels = ["log", *(["webhook"] if variable else []), *([f"e-mail to {', '.join(to)}"] if to else [])]
    return f"failures and late maps are told by {', '.join(channels)}"


#: Checks that read the ledger. Where there is none, the ledger's own check says so.
_OF_LEDGER = ("quota", "outage")

_SETUP = "run scripts/setup"

_SERVICE = "see docs/copernicus.md: how to set it up, and what to do when the service is down"

_ENVIRONMENT: tuple[tuple[str, str, Callable[[], str]], ...] = (
    ("Python", f"install Python 3.11 and {_SETUP}", _python),
    ("packages", _SETUP, _packages),
    ("Java", "install a Java 17 runtime (Debian: openjdk-17-jre-headless)", _java),
    ("Spark", f"uninstall pyspark-client, {_SETUP}, and put .venv/bin on PATH", _spark),
    ("torch", _SETUP, _torch),
    ("Horovod", f"{_SETUP}: it compiles Horovod for the installed torch", _horovod),
    ("projections", "unset PROJ_DATA, PROJ_LIB and GDAL_DATA where seaice runs, workers included", _projections),
    ("rasters", f"{_SETUP}; a GDAL of the system must not take the place of rasterio's own", _rasters),
)

_SETTINGS: tuple[tuple[str, str, Callable[[Settings], str]], ...] = (
    ("home", "set SEAICE_HOME to a folder that can be written", _home),
    ("ledger", "run `seaice init`; for PostgreSQL check SEAICE_LEDGER_URL", _ledger),
    (
        "object store",
        "set SEAICE_STORE_URL, for S3 also AWS_ENDPOINT_URL and the keys, to a store with conditional writes",
        _store,
    ),
    (
        "archive",
        "set archive.path or SEAICE_ARCHIVE, or write one with `seaice simulate`",
        _archive,
    ),
    ("land mask", "write the files that scenes.land_mask names, or set it to coastline (docs/labels.md)", _land_mask),
    ("quota", "rebuild fewer seasons at a time, or wait: work goes on by itself when there is room", _quota),
    ("outage", "wait: one worker tries again by itself; see the service's status page", _outage),
    ("disk", "free some space, or set SEAICE_HOME to a larger disk", _disk),
    ("clock", "set the clock of this machine (NTP)", _clock),
    ("notifications", "set the variable, or clear notify.webhook_env", _notify),
)
