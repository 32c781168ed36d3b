"""Downloads: whole files or none. A server of our own on this machine stands for the world."""

import gzip
import hashlib
import io
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aftertrace.data import Adult, Fetched, available, fetch, load, verify
from aftertrace.data import _catalogue as catalogue
from aftertrace.data import _fetch as module
from aftertrace.data._catalogue import Download, PublishedFile
from aftertrace.errors import DataError

FIRST, SECOND = b"first file " * 20_000, b"second file " * 3
FOLDER = "set"


def md5(content):
    return "md5:" + hashlib.md5(content).hexdigest()


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def packed(*members):
    """A tar.gz of (name, content) or (name, link); the time in it is fixed."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return whole.getvalue()


class World(ThreadingHTTPServer):
    """Answers by path: status, content, and what it says that content's length is (None: nothing)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.requests, self.accepted = {}, [], []
        self.base = f"http://127.0.0.1:{self.server_port}/"

    def gives(self, name, content, *, status=200, says="length"):
        self.answers["/" + name] = status, content, len(content) if says == "length" else says


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        self.server.accepted.append(self.headers["Accept-Encoding"])
        status, content, says = self.server.answers.get(self.path, (404, b"no such page", 12))
        self.send_response(status)
        if says is not None:
            self.send_header("Content-Length", str(says))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words):
        pass


@pytest.fixture
def world():
    server = World()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def publish(monkeypatch):
    """Put the downloads of a set of two files into the catalogue."""

    def put(*downloads):
        info = replace(catalogue.known("adult"), name=FOLDER, files=(), downloads=downloads)
        for place in (catalogue, module):
            monkeypatch.setattr(place, "CATALOGUE", (info,))

    return put


@pytest.fixture
def two(world, publish):
    """Two files, each at an address of its own."""
    publish(
        Download(world.base + "first", (PublishedFile(f"{FOLDER}/first", sha256(FIRST)),)),
        Download(world.base + "second", (PublishedFile(f"{FOLDER}/second", md5(SECOND)),)),
    )
    world.gives("first", FIRST)
    world.gives("second", SECOND)
    return world


@pytest.fixture
def archived(world, publish):
    """Both files in an archive, which the test may choose."""

    def put(content):
        files = (PublishedFile(f"{FOLDER}/first", sha256(FIRST)), PublishedFile(f"{FOLDER}/second", md5(SECOND)))
        publish(Download(world.base + "set.tar.gz", files, archive=md5(content)))
        world.gives("set.tar.gz", content)
        return world

    return put


def files(folder):
    """All that is in a folder, hidden or not: name to content (None of a folder)."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


BOTH = {FOLDER: None, f"{FOLDER}/first": FIRST, f"{FOLDER}/second": SECOND}


def refused(folder, *, left):
    """The one line that a fetch fails with, when `left` is all that is in the folder."""
    with pytest.raises(DataError) as caught:
        fetch(FOLDER, data_dir=folder)
    assert files(folder) == left
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_arrive_whole_and_are_not_asked_for_again(two, tmp_path):
    first, second = tmp_path / FOLDER / "first", tmp_path / FOLDER / "second"
    assert fetch(FOLDER, data_dir=tmp_path) == [
        Fetched(f"{FOLDER}/first", first, True),
        Fetched(f"{FOLDER}/second", second, True),
    ]
    assert files(tmp_path) == BOTH
    assert two.requests == ["/first", "/second"]
    assert two.accepted == ["identity"] * 2
    assert {each.status for each in verify(tmp_path)} == {"complete"}

    before = first.stat().st_mtime_ns
    assert [each.is_new for each in fetch(FOLDER, data_dir=tmp_path)] == [False, False]
    assert len(two.requests) == 2
    assert first.stat().st_mtime_ns == before


def test_only_absent_files_are_fetched_and_found_in_the_folder_itself(two, tmp_path):
    (tmp_path / "first").write_bytes(FIRST)
    found = fetch(FOLDER, data_dir=tmp_path)
    assert [(each.path, each.is_new) for each in found] == [
        (tmp_path / "first", False),
        (tmp_path / FOLDER / "second", True),
    ]
    assert two.requests == ["/second"]


def test_folder_is_made_as_named_by_the_environment(two, tmp_path, monkeypatch):
    monkeypatch.setenv("AFTERTRACE_DATA", str(tmp_path / "new" / "data"))
    fetch(FOLDER)
    assert files(tmp_path / "new" / "data") == BOTH


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_files_are_as_readable_as_others(two, tmp_path):
    (tmp_path / "own").touch()
    fetch(FOLDER, data_dir=tmp_path)
    assert (tmp_path / FOLDER / "first").stat().st_mode == (tmp_path / "own").stat().st_mode


def test_progress_is_in_bytes_and_ends_at_all_of_them(two, tmp_path):
    seen = []
    fetch(FOLDER, data_dir=tmp_path, progress=lambda *each: seen.append(each))
    of_first = [(done, total) for stage, done, total in seen if stage == "first: files"]
    assert of_first == sorted(of_first)
    assert len(of_first) > 3
    assert of_first[-1] == (len(FIRST), len(FIRST))
    assert seen[-1] == ("second: files", len(SECOND), len(SECOND))


def test_a_server_that_says_no_length_is_fine(two, tmp_path):
    two.gives("first", FIRST, says=None)
    seen = []
    fetch(FOLDER, data_dir=tmp_path, progress=lambda *each: seen.append(each))
    assert files(tmp_path) == BOTH
    assert {stage for stage, _, _ in seen} == {"second: files"}


def short(world):
    """Closed in the middle of what was announced."""
    world.gives("second", SECOND[:10], says=len(SECOND))


def short_and_silent(world):
    """Too little, and nothing was announced: only the checksum tells."""
    world.gives("second", SECOND[:10], says=None)


def changed(world):
    world.gives("second", SECOND[::-1])


def gone(world):
    world.gives("second", b"gone", status=404)


def broken(world):
    world.gives("second", b"no", status=503)


FAULTS = [
    (short, f"second: must give the whole file of {len(SECOND)} bytes, and stopped before its end; nothing of it"),
    (short_and_silent, f"second: it must have the checksum {md5(SECOND)}, and the 10 bytes that came have another"),
    (changed, f"must have the checksum {md5(SECOND)}, and the {len(SECOND)} bytes that came have another"),
    (gone, "second: must give a file, and the server answered 404 Not Found; nothing of it was kept"),
    (broken, "answered 503 Service Unavailable"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_a_fault_leaves_nothing_and_the_next_call_goes_on(two, tmp_path, fault, message):
    fault(two)
    text = refused(tmp_path, left={FOLDER: None, f"{FOLDER}/first": FIRST})
    assert text.startswith(two.base)
    assert message in text
    assert text.endswith(f"get {FOLDER}/second by another way and put it in {tmp_path}.")
    two.gives("second", SECOND)
    fetch(FOLDER, data_dir=tmp_path)
    assert files(tmp_path) == BOTH
    assert two.requests == ["/first", "/second", "/second"]


def test_a_long_transfer_that_stops_leaves_nothing(two, tmp_path):
    two.gives("first", FIRST[:150_000], says=len(FIRST))
    text = refused(tmp_path, left={})
    assert f"first: must give the whole file of {len(FIRST)} bytes, and stopped before its end; nothing of it" in text
    assert not (tmp_path / FOLDER).exists()


def test_folders_made_for_nothing_are_removed_again(two, tmp_path):
    two.answers.clear()
    with pytest.raises(DataError, match="404"):
        fetch(FOLDER, data_dir=tmp_path / "new" / "data")
    assert files(tmp_path) == {}


def test_offline(publish, tmp_path):
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/first"
        publish(Download(url, (PublishedFile(f"{FOLDER}/first", sha256(FIRST)),)))
        text = refused(tmp_path, left={})
    assert text.startswith(f"{url}: must be reachable, and there is no connection to it (is this machine online?); ")


def test_a_server_that_falls_silent(publish, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/first"
        publish(Download(url, (PublishedFile(f"{FOLDER}/first", sha256(FIRST)),)))
        began = time.monotonic()
        assert "must answer within 0.2 s, and did not" in refused(tmp_path, left={})
        assert time.monotonic() - began < 10


def test_an_interruption_leaves_nothing(two, tmp_path):
    def stop(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(FOLDER, data_dir=tmp_path, progress=stop)
    assert files(tmp_path) == {}


@pytest.mark.parametrize("place", [f"{FOLDER}/second", "second"])
def test_other_content_is_never_overwritten(two, tmp_path, place):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / place).write_bytes(b"mine")
    text = refused(tmp_path, left={FOLDER: None, place: b"mine"})
    assert text == (
        f"{FOLDER}: must be absent or as published, and {tmp_path / place} is neither (a subset, an edited or a "
        f"damaged file); nothing is overwritten: move what is there away, or name another folder with `data_dir`."
    )
    assert two.requests == []


def test_a_link_to_nowhere_and_a_folder_are_not_replaced(two, tmp_path):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "first").symlink_to(tmp_path / "nowhere")
    (tmp_path / FOLDER / "second").mkdir()
    with pytest.raises(DataError, match="first, .*second are neither"):
        fetch(FOLDER, data_dir=tmp_path)
    assert (tmp_path / FOLDER / "first").is_symlink()
    assert two.requests == []


def test_what_comes_meanwhile_is_not_overwritten(two, tmp_path):
    def write(stage, done, total):
        (tmp_path / FOLDER).mkdir(exist_ok=True)
        (tmp_path / FOLDER / "first").write_bytes(b"mine")

    with pytest.raises(DataError, match="nothing is overwritten"):
        fetch(FOLDER, data_dir=tmp_path, progress=write)
    assert files(tmp_path) == {FOLDER: None, f"{FOLDER}/first": b"mine"}


def test_a_folder_that_is_a_file(two, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"file.*must be readable, and its folder writable.*mend that, or name another"):
        fetch(FOLDER, data_dir=tmp_path / "file")
    assert files(tmp_path) == {"file": b"mine"}


GOOD = ((f"{FOLDER}/unlabelled", b"not wanted"), (f"{FOLDER}/second", SECOND), (f"./{FOLDER}/first", FIRST))


def test_of_an_archive_only_the_files_of_the_set_are_kept(archived, tmp_path):
    world = archived(packed(*GOOD))
    assert [each.is_new for each in fetch(FOLDER, data_dir=tmp_path)] == [True, True]
    assert files(tmp_path) == BOTH
    assert not any(each.is_new for each in fetch(FOLDER, data_dir=tmp_path))
    assert world.requests == ["/set.tar.gz"]


def test_an_archive_brings_what_is_absent_and_leaves_the_rest(archived, tmp_path):
    archived(packed(*GOOD))
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "first").write_bytes(FIRST)
    os.utime(tmp_path / FOLDER / "first", (1, 1))
    assert [each.is_new for each in fetch(FOLDER, data_dir=tmp_path)] == [False, True]
    assert (tmp_path / FOLDER / "first").stat().st_mtime == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed(*GOOD, ("../evil", b"evil")), "archive of paths inside a folder, and holds '../evil'"),
        (packed((f"{FOLDER}/../../evil", b"evil"), *GOOD), "paths inside a folder, and holds 'set/../../evil'"),
        (packed(("/tmp/evil", b"evil"), *GOOD), "paths inside a folder, and holds '/tmp/evil'"),
        (packed(GOOD[0], GOOD[1], (f"{FOLDER}/first", "/etc/hostname")), "must hold set/first once, as a plain file"),
        (packed(*GOOD, GOOD[1]), "must hold set/second once, as a plain file"),
        (packed(GOOD[1]), "must be an archive with set/first in it, and has no such file"),
        (packed(GOOD[1], (f"{FOLDER}/first", b"other")), f"its set/first must have the checksum {sha256(FIRST)}"),
        (packed(*GOOD)[:-500], "must be an archive in tar.gz, and cannot be read as one"),
        (gzip.compress(b"no archive"), "must be an archive in tar.gz, and cannot be read as one"),
        (b"<html>no archive</html>", "must be an archive in tar.gz, and cannot be read as one"),
    ],
    ids=["above", "through", "absolute", "link", "twice", "absent", "other", "cut", "no tar", "no gzip"],
)
def test_archives_that_are_not_as_they_must_be_leave_nothing(archived, tmp_path, content, message):
    folder = tmp_path / "data"
    folder.mkdir()
    archived(content)
    assert message in refused(folder, left={})
    assert files(tmp_path) == {"data": None}


def test_the_checksum_of_an_archive_comes_before_its_content(archived, tmp_path):
    world = archived(packed(*GOOD))
    other = packed(*GOOD, ("../evil", b"evil"))
    world.gives("set.tar.gz", other)
    assert f"it must have the checksum {md5(packed(*GOOD))}" in refused(tmp_path, left={})


def test_a_whole_file_is_complete_beside_a_known_subset(tmp_path, monkeypatch):
    known = catalogue.KnownFile("set/first", sha256(SECOND)[7:], "a part of it", "known subset")
    published = Download("http://127.0.0.1/first", (PublishedFile("set/first", md5(FIRST)),))
    info = replace(catalogue.known("adult"), name="set", files=(known,), downloads=(published,))
    monkeypatch.setattr(catalogue, "CATALOGUE", (info,))
    (tmp_path / "set").mkdir()
    seen = []
    for content in (SECOND, FIRST, b"other"):
        (tmp_path / "set" / "first").write_bytes(content)
        [found] = verify(tmp_path)
        seen.append((found.status, found.detail))
    assert seen == [
        ("known subset", "a part of it"),
        ("complete", "as published"),
        ("unknown", "changed, truncated or another edition: SHA-256 differs"),
    ]


def test_the_catalogue_of_downloads():
    downloads = {info.name: info.downloads for info in available() if info.downloads}
    assert {name: len(each) for name, each in downloads.items()} == {"adult": 2, "mnist": 4, "cifar-10": 1, "stl-10": 1}
    for download in (each for several in downloads.values() for each in several):
        assert download.archive is not None or len(download.files) == 1
        assert download.url.endswith(".tar.gz" if download.archive else f"/{download.files[0].file.rpartition('/')[2]}")
        for checksum in (*(each.checksum for each in download.files), download.archive or md5(b"")):
            kind, _, digits = checksum.partition(":")
            assert len(bytes.fromhex(digits)) == hashlib.new(kind).digest_size
    everything = [each for several in downloads.values() for one in several for each in one.files]
    assert len({each.file for each in everything}) == len({each.checksum for each in everything}) == 17


def test_stl10_is_fetched_under_the_names_that_its_loader_wants(tmp_path):
    """The loader says which file is absent, as `fetch` would call it; so do the others."""
    from aftertrace.data import Cifar10, Mnist, Stl10

    for kind in (Stl10, Cifar10, Mnist):
        [*names] = [each.file for one in catalogue.known(kind.name).downloads for each in one.files]
        for part in ("train", "test"):
            with pytest.raises(DataError) as caught:
                load(kind(part=part), data_dir=tmp_path)
            assert any(str(tmp_path / name) in str(caught.value) for name in names)


@pytest.mark.parametrize("name", ["digits", "breast-cancer", "wine"])
def test_sets_inside_scikit_learn_need_nothing(name, tmp_path):
    assert fetch(name, data_dir=tmp_path) == []
    assert files(tmp_path) == {}


def test_sets_that_only_a_person_may_get_say_where_from_and_where_to(tmp_path):
    with pytest.raises(DataError) as caught:
        fetch("us-accidents", data_dir=tmp_path)
    assert str(caught.value) == (
        f"us-accidents: must be fetched by hand from Kaggle, data set US Accidents of S. Moosavi (CC BY-NC-SA 4.0, "
        f"research only): aftertrace may not. Put the table (.csv or .csv.gz) in {tmp_path / 'us_accidents'}, and name "
        f"it with data.file unless it is called US_Accidents_March23_sample.csv.gz."
    )
    with pytest.raises(DataError, match=r"location: must be fetched by hand from the New York check-ins of MARC"):
        fetch("location", data_dir=tmp_path)
    assert files(tmp_path) == {}


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(DataError, match=r"one of digits, .*, us-accidents; got 'minst' \(is 'mnist' meant\?\)\."):
        fetch("minst")


def test_neither_import_nor_load_reaches_for_the_network(tmp_path):
    code = """
import socket, sys
from pathlib import Path
def refuse(*args, **kwargs):
    raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refuse
from aftertrace.data import Adult, Digits, load, verify
from aftertrace.errors import DataError
load(Digits())
verify(Path(sys.argv[1]))
try:
    load(Adult(), data_dir=Path(sys.argv[1]))
except DataError:
    sys.exit(str({"pooch", "requests", "urllib3"} & set(sys.modules) or "") or 0)
sys.exit("loaded what is not there")
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.environ.get("AFTERTRACE_DATA"), reason="needs the data folder")
def test_files_of_the_data_folder_are_as_the_catalogue_of_downloads_says():
    """The checksums against real files: nothing is requested, for there is nothing to bring."""
    load(Adult())
    for name in ("adult", "mnist"):
        if all(each.status == "complete" for each in verify() if each.data_set == name):
            assert not any(each.is_new for each in fetch(name))
