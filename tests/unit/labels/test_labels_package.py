"""The package as one file for a cluster."""

from __future__ import annotations

import subprocess
import sys
import zipfile

from seaice_ops.labels.spark.package import APPLICATION, spark_conf, zip_package


def test_the_same_code_gives_the_same_file_and_leaves_it_alone(tmp_path):
    first, second = zip_package(tmp_path / "a" / "code.zip"), zip_package(tmp_path / "b" / "code.zip")
    assert first.read_bytes() == second.read_bytes()
    written = first.stat()
    assert zip_package(first).stat() == written
    first.write_bytes(b"old")
    assert zip_package(first).read_bytes() == second.read_bytes()
    assert [path.name for path in first.parent.iterdir()] == ["code.zip"]


def test_it_holds_code_only(tmp_path):
    with zipfile.ZipFile(zip_package(tmp_path / "code.zip")) as archive:
        names = archive.namelist()
    assert "seaice_ops/labels/stage.py" in names
    assert names == sorted(names)
    assert not [name for name in names if "__pycache__" in name or not name.startswith("seaice_ops/")]


def test_the_labelling_code_runs_from_it_alone(tmp_path):
    packed = zip_package(tmp_path / "code.zip")
    code = (
        f"import sys; sys.path.insert(0, {str(packed)!r})\n"
        "import seaice_ops.labels.spark.application as job\n"
        "print(job.__file__, sorted(name for name in sys.modules if name in ('torch', 'airflow')))"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert result.stdout.strip() == f"{packed}/seaice_ops/labels/spark/application.py []"


def test_a_task_keeps_to_its_core(tmp_path):
    code = (
        "import cv2, os\nfrom seaice_ops.labels.spark.application import on_one_core\n"
        "on_one_core()\nprint(cv2.getNumThreads(), os.environ['GDAL_NUM_THREADS'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert result.stdout.split() == ["1", "1"]


def test_the_application_and_its_interpreter_exist():
    assert APPLICATION.is_file()
    assert spark_conf()["spark.pyspark.python"] == sys.executable
    assert not any("extraJavaOptions" in name for name in spark_conf())  # a site's own, for its trust store and proxies
