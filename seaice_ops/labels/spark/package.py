"""The parts of a Spark application that labels: its script, this package's code as one file, the interpreter."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import seaice_ops
from seaice_ops import files

_ROOT = Path(seaice_ops.__file__).parent
_SUFFIXES = {".py", ".yaml", ".json"}

#: What spark-submit runs.
APPLICATION = _ROOT / "labels" / "spark" / "spark_job.py"


def zip_package(target_path: Path) -> Path:
    """Pack this package's code for `--py-files`; the same code gives the same bytes, and an equal file is left alone.

    The file appears whole (a rename), so that an application that is reading the old one keeps it.
    """
    data = _packed()
    if target_path.exists() and target_path.read_bytes() == data:
        return target_path
    files.write(target_path, data)
    return target_path


def _packed() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(_ROOT.rglob("*")):
            if path.suffix in _SUFFIXES and path.is_file():
                # A ZipInfo of its own: the file's date and mode stay out of the archive.
                name = str(path.relative_to(_ROOT.parent))
                archive.writestr(zipfile.ZipInfo(name), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


#: Java only hands scenes on, while Python works on the same cores: its second compiler would take a good part of them.
#: A site's own options (`extraJavaOptions`) come after these and hold.
_LIGHT_JAVA = "-XX:TieredStopAtLevel=1"


def spark_conf() -> dict[str, str]:
    """Spark properties of the application where executors have this interpreter at the same path."""
    return {
        "spark.pyspark.python": sys.executable,
        "spark.pyspark.driver.python": sys.executable,
        "spark.driver.defaultJavaOptions": _LIGHT_JAVA,
        "spark.executor.defaultJavaOptions": _LIGHT_JAVA,
    }
