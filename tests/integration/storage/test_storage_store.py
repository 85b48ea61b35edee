"""The object store over a folder and over S3: one suite for both."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from rasterio.windows import Window

from helpers.racing import race
from helpers.servers import free_port
from seaice_ops.errors import ConfigError, ObjectDamaged, ObjectMissing, PublishConflict, TransientError
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import Grid, cog_bytes, open_raster, read_raster
from seaice_ops.storage.store import ObjectStore, make_folder, open_store
from seaice_ops.storage.verified import open_verified

KEYS = st.sampled_from(["a", "a-1", "maps/01CCV/item.json", "maps/01CCV/x.tif", "maps/01CCVx/y", "m=1/v+2_3.json"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.binary(max_size=40)),
        st.tuples(st.just("create"), KEYS, st.sampled_from([b"", b"one", b"two"])),
        st.tuples(st.just("delete"), KEYS, st.none()),
    ),
    max_size=12,
)


@profile(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_store_behaves_like_a_dictionary(stored: Settings, steps: list[tuple[str, str, bytes]]) -> None:
    store, model = open_store(stored.store), dict[str, bytes]()
    for key in list(store.list()):
        store.delete(key)
    for verb, key, data in steps:
        if verb == "put":
            assert store.put(key, data) == hashlib.sha256(data).hexdigest()
            model[key] = data
        elif verb == "delete":
            store.delete(key)
            model.pop(key, None)
        elif model.get(key, data) == data:
            assert store.create(key, data) is (key not in model)
            model[key] = data
        else:
            with pytest.raises(PublishConflict, match=key.replace("+", r"\+")):
                store.create(key, data)
    assert list(store.list()) == sorted(model)
    assert list(store.list("maps/01CCV")) == sorted(k for k in model if k.startswith("maps/01CCV/"))
    for key in KEYS.elements:
        assert store.exists(key) is (key in model)
        if key in model:
            assert store.get(key) == model[key]


def test_a_file_of_any_size_is_put_whole_and_replaces(stored: Settings, tmp_path: Path) -> None:
    store, path = open_store(stored.store), tmp_path / "pixels"
    for size in (0, 10, 17_000_003):  # the last one travels in several parts
        data = np.random.default_rng(size).bytes(size)
        path.write_bytes(data)
        assert store.put_file("maps/01CCV/class.tif", path) == hashlib.sha256(data).hexdigest()
        assert store.get("maps/01CCV/class.tif") == data
    path.unlink()
    with pytest.raises(FileNotFoundError, match="pixels"):
        store.put_file("maps/01CCV/class.tif", path)
    assert list(store.list()) == ["maps/01CCV/class.tif"]


def test_an_absent_object_is_missing_and_named(stored: Settings) -> None:
    store = open_store(stored.store)
    for use in (store.get, lambda key: read_raster(store, key)):
        with pytest.raises(ObjectMissing, match=r"scenes/01CCV/none\.tif does not exist"):
            use("scenes/01CCV/none.tif")
    assert not store.exists("scenes/01CCV/none.tif")
    store.delete("scenes/01CCV/none.tif")


@pytest.mark.parametrize(
    "key",
    [
        "../x",
        "a/../../x",
        "a/..",
        "..",
        ".",
        "/etc/x",
        "a//b",
        "a/",
        "",
        "./a",
        "a/.hidden",
        "a b",
        "a%2e",
        "a#1",
        "a\nb",
    ],
)
def test_a_key_that_is_none_is_refused_by_every_verb(stored: Settings, key: str) -> None:
    store = open_store(stored.store)
    verbs = (store.get, store.exists, store.delete, store.gdal_path)
    for use in (*verbs, lambda k: store.put(k, b"1"), lambda k: store.create(k, b"1"), lambda k: read_raster(store, k)):
        with pytest.raises(ConfigError, match="cannot name an object"):
            use(key)
    assert list(store.list()) == []
    assert not (stored.home / "x").exists()


RACES = 20


def _create(settings: Settings, writer: int) -> list[tuple[str, str]]:
    """Create RACES items that every writer makes alike and RACES that each makes differently; what came of each."""
    store = open_store(settings.store)
    answers = []
    for number in range(RACES):
        for kind, data in (("alike", b"same" * 1000), ("own", f"writer {writer}".encode() * 500)):
            try:
                new = store.create(f"maps/{kind}-{number}/item.json", data)
                answers.append((kind, "written" if new else "was there"))
            except PublishConflict:
                answers.append((kind, "refused"))
    return answers


def test_of_eight_creators_of_one_object_one_wins(stored: Settings) -> None:
    answers = race(_create, [(stored, writer) for writer in range(8)])
    for number in range(RACES):
        alike, own = ([a[2 * number + offset] for a in answers] for offset in (0, 1))
        assert sorted(alike) == [("alike", "was there")] * 7 + [("alike", "written")]
        assert sorted(own) == [("own", "refused")] * 7 + [("own", "written")]
        kept = open_store(stored.store).get(f"maps/own-{number}/item.json")
        assert kept == f"writer {own.index(('own', 'written'))}".encode() * 500


def _replace(settings: Settings, fill: int) -> set[int]:
    """Replace and read one object many times; the distinct bytes ever seen in one read."""
    store, mixed = open_store(settings.store), set()
    for _ in range(15):
        store.put("work.bin", bytes([fill]) * 300_000)
        seen = store.get("work.bin")
        if len(seen) != 300_000 or len(set(seen)) != 1:
            mixed.add(len(seen))
    return mixed


def test_a_reader_never_sees_half_an_object(stored: Settings) -> None:
    assert race(_replace, [(stored, fill) for fill in range(3)]) == [set()] * 3


def a_raster(size: int = 1536) -> tuple[np.ndarray, Grid]:
    noise = np.random.default_rng(3).integers(0, 10_000, (3, size, size), dtype=np.int16)
    return noise, Grid("EPSG:32701", (10.0, 0.0, 399960.0, 0.0, -10.0, 1600020.0), size, size)


def test_a_cog_is_opened_by_its_key_and_read_by_windows(stored: Settings) -> None:
    values, grid = a_raster(1100)
    store = open_store(stored.store)
    store.put("scenes/01CCV/s.tif", cog_bytes(values, grid, nodata=-32768, names=("B04", "B03", "B02")))
    with open_raster(store, "scenes/01CCV/s.tif") as dataset:
        assert dataset.descriptions == ("B04", "B03", "B02") and dataset.nodata == -32768
        assert dataset.profile["tiled"] and dataset.overviews(1)
        window = Window(700, 300, 256, 128)
        assert np.array_equal(dataset.read(window=window), values[:, 300:428, 700:956])
    read, read_grid = read_raster(store, "scenes/01CCV/s.tif")
    assert np.array_equal(read, values) and read_grid == grid


def test_a_replaced_raster_is_read_anew(stored: Settings) -> None:
    store = open_store(stored.store)
    for fill in (1, 2, 3):
        values, grid = np.full((1, 64, 64), fill, np.uint8), Grid("EPSG:3031", (10, 0, 0, 0, -10, 0), 64, 64)
        store.put("probabilities/m/01CCV/s.tif", cog_bytes(values, grid, nodata=None))
        assert (read_raster(store, "probabilities/m/01CCV/s.tif")[0] == fill).all()


@contextmanager
def counting_proxy(endpoint: str) -> Iterator[tuple[str, list[int]]]:
    """An address that passes GET and HEAD on to `endpoint`, and the sizes of the answers' bodies."""
    sizes: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = httpx.request(self.command, endpoint + self.path, headers=dict(self.headers))
            sizes.append(len(answer.content))
            self.send_response(answer.status_code)
            for name in ("Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(answer.content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", sizes
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_verified_raster_on_s3_is_read_from_it_once(
    s3_server: str, s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = open_store(s3_url)
    values, grid = a_raster()
    whole = cog_bytes(values, grid, nodata=None)
    sha256 = store.put("s.tif", whole)
    with counting_proxy(s3_server) as (address, sizes):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", None)
        with open_verified(open_store(s3_url), "s.tif", sha256) as dataset:
            assert np.array_equal(dataset.read(), values)
    assert len(whole) <= sum(sizes) < 1.1 * len(whole) and not list(tmp_path.iterdir())
    store.put("s.tif", whole[:-1])
    with pytest.raises(ObjectDamaged), open_verified(store, "s.tif", sha256):
        pass


def test_a_window_of_a_cog_on_s3_costs_a_part_of_it(
    s3_server: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(s3_url)
    values, grid = a_raster()
    whole = cog_bytes(values, grid, nodata=None)
    store.put("s.tif", whole)
    with counting_proxy(s3_server) as (address, sizes):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with open_raster(store, "s.tif") as dataset:
            window = dataset.read(1, window=Window(1030, 1030, 200, 200))
    assert np.array_equal(window, values[0, 1030:1230, 1030:1230])
    assert 0 < sum(sizes) < len(whole) / 4


def test_settings_of_a_store_that_cannot_be_are_configuration_errors(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot create the object folder"):
        make_folder(str(tmp_path / "file" / "objects"))
    with pytest.raises(ConfigError, match="there is no object folder"):
        open_store(str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(ConfigError, match="neither a folder nor s3"):
        open_store("gs://bucket/prefix")


def test_a_store_without_its_bucket_or_its_server_is_readable_trouble(
    s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seaice_ops.storage.store._RETRY", {"max_retries": 0})
    store = open_store("s3://no-such-bucket")
    for write in (store.put, store.create):
        with pytest.raises((ConfigError, TransientError), match="no-such-bucket"):
            write("a", b"1")
    with pytest.raises(ConfigError, match=r"has no store\.json"):
        open_store("s3://no-such-bucket", "0a1b")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    store = open_store(s3_url)
    for use in (store.get, store.exists, lambda key: store.create(key, b"1")):
        with pytest.raises(TransientError, match="does not answer") as caught:
            use("a")
        assert "test-secret" not in str(caught.value) and "\n" not in str(caught.value)


WRITER = """
import sys
from seaice_ops.storage.store import open_store
store = open_store(sys.argv[1])
print("ready", flush=True)
for number in range(10_000):
    store.put(f"scenes/{number % 7}.tif", bytes([number % 251]) * 3_000_000)
    store.create(f"maps/{number}.json", bytes([number % 251]) * 50_000)
"""


def test_a_killed_writer_leaves_no_partial_object_in_sight(tmp_path: Path) -> None:
    for attempt in range(6):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        try:
            assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
            time.sleep(0.05 + 0.037 * attempt)
        finally:
            writer.kill()
            writer.wait(30)
        assert_whole(open_store(str(tmp_path)))
    assert open_store(str(tmp_path)).put("scenes/0.tif", b"again")


def assert_whole(store: ObjectStore) -> None:
    keys = list(store.list())
    assert keys and all(key.endswith((".tif", ".json")) for key in keys)
    for key in keys:
        data = store.get(key)
        assert len(data) == (3_000_000 if key.endswith(".tif") else 50_000) and len(set(data)) == 1, key


def test_files_of_unfinished_writes_are_not_listed(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.put("scenes/a.tif", b"whole")
    Path(store.url, "scenes", "a.tif#1").write_bytes(b"ha")
    Path(store.url, "scenes", "b.tif#1").write_bytes(b"ha")
    assert list(store.list()) == ["scenes/a.tif"] and not store.exists("scenes/b.tif")
    store.put("scenes/a.tif", b"anew")
    assert store.create("scenes/b.tif", b"whole") and store.get("scenes/a.tif") == b"anew"
    assert sorted(p.name for p in Path(store.url, "scenes").iterdir() if "#" not in p.name) == ["a.tif", "b.tif"]
