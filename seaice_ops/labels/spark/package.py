"""The parts of a Spark application that labels: its script, this package's code as one file, the interpreter."""

from __future__ import annotations

import importlib.util
import io
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import seaice_ops
from seaice_ops import files

_ROOT = Path(seaice_ops.__file__).parent
_SUFFIXES = {".py", ".yaml", ".json"}

#: What spark-submit runs.
APPLICATION = _ROOT / "labels" / "spark" / "spark_job.py"


def zip_package(target_path: Path, sensors: Sequence[str] = ()) -> Path:
    """Pack this package's code for `--py-files`; the same code gives the same bytes, and an equal file is left alone.

    `sensors` are the modules of further sensors. They are packed too; what else they import must be installed where
    executors run. The file appears whole (a rename), so that an application that is reading the old one keeps it.
    """
    data = _packed({name: path for module in sensors for name, path in _module_files(module)})
    if target_path.exists() and target_path.read_bytes() == data:
        return target_path
    files.write(target_path, data)
    return target_path


def _packed(more: Mapping[str, Path]) -> bytes:
    ours = {str(path.relative_to(_ROOT.parent)): path for path in _ROOT.rglob("*") if path.suffix in _SUFFIXES}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted({**more, **ours}.items()):
            if path.is_file():
                # A ZipInfo of its own: the file's date and mode stay out of the archive.
                archive.writestr(zipfile.ZipInfo(name), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _module_files(module: str) -> Iterator[tuple[str, Path]]:
    """The source files of a module or package and of the packages that it lies in, by their names in the archive."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        spec = importlib.util.find_spec(".".join(parts[:depth]))
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            continue  # a namespace package has no file of its own
        origin = Path(spec.origin)
        folder = "/".join(parts[:depth] if origin.name == "__init__.py" else parts[: depth - 1])
        yield f"{folder}/{origin.name}".lstrip("/"), origin
        if depth == len(parts) and origin.name == "__init__.py":
            for path in origin.parent.rglob("*.py"):
                yield f"{folder}/{path.relative_to(origin.parent)}", path


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
