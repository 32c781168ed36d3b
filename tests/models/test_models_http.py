"""A model behind HTTP, against a real server of this machine."""

import gzip
import json
import shutil
import sqlite3
import ssl
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from aftertrace.errors import ExperimentError, InputError, StoreError, TrainingError
from aftertrace.models import _http_send
from aftertrace.models._http import open_endpoint
from aftertrace.models._protocol import Model, Noted
from aftertrace.models._records import Records

X = np.arange(60, dtype=np.float64).reshape(30, 2) / 60
TABLE = Records(columns={"age": np.arange(30), "town": np.array(["Ulm", "Bonn", "Ulm"] * 10)})


def posterior(row, shift=0.0):
    share = 1 / (1 + np.exp(-row[0] + row[-1] + shift))
    return [share, 1 - share]


def as_json(value, status=200, **headers):
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


def expected(x, shift=0.0):
    return np.array([posterior(row, shift) for row in x])


def scores(request):
    return as_json({"predictions": expected(request["instances"]).tolist()})


class Service:
    """A server whose answers a function gives; it keeps what was asked."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []
        self.headers = []
        self.paths = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.asked.append(request)
                service.headers.append(dict(self.headers))
                service.paths.append(self.path)
                status, headers, body = service.answer(request)
                self.send_response(status)
                for name, value in {
                    "Content-Length": str(sum(map(len, body)) if isinstance(body, list) else len(body)),
                    **headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                for piece in body if isinstance(body, list) else [body]:  # a list is sent slowly
                    self.wfile.write(piece)
                    time.sleep(0.02 * isinstance(body, list))

            def log_message(self, *_):
                pass

            def handle(self):
                try:
                    super().handle()
                except ConnectionError:  # a client that has read enough
                    self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/score"

    @property
    def records(self):
        """All records that were asked, in order."""
        return [tuple(row) for request in self.asked for row in request["instances"]]


@contextmanager
def serving(answer):
    service = Service(answer)
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        service.server.shutdown()
        thread.join()
        service.server.server_close()


@pytest.fixture
def serve():
    """Starts services, and stops them in the end."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda answer=scores: stack.enter_context(serving(answer))


@pytest.fixture
def naps(monkeypatch):
    """Nobody sleeps; how long they would have."""
    taken = []
    monkeypatch.setattr(_http_send, "sleep", taken.append)
    return taken


@pytest.fixture
def open_(tmp_path):
    """Opens an endpoint of these settings, with a cache of the test."""

    def open_with(**settings):
        lines = [f"{key} = {toml(value)}" for key, value in ({"per_second": 1000} | settings).items()]
        path = tmp_path / "endpoint.toml"
        path.write_text("\n".join(lines))
        return open_endpoint(path, cache=tmp_path / "cache")

    return open_with


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)


# what it does


def test_an_address_alone_is_asked_as_tensorflow_serving_is(serve, tmp_path):
    service = serve()
    model = open_endpoint(service.url, cache=tmp_path)
    assert isinstance(model, Model)
    assert isinstance(model, Noted)
    np.testing.assert_array_equal(model.answer(Records(array=X)), expected(X))
    assert service.asked[0] == {"instances": X.tolist()}
    assert (model.classes, model.notes) == (None, ())
    assert model.fingerprint.startswith(service.url)


@pytest.mark.parametrize(
    ("request_", "sent"),
    [
        ('{"rows": $records}', {"rows": [[0, "Ulm"], [1, "Bonn"]]}),
        ('{"frame": $objects, "n": 2}', {"frame": [{"age": 0, "town": "Ulm"}, {"age": 1, "town": "Bonn"}], "n": 2}),
        ("$record", [0, "Ulm"]),
        ('{"inputs": [$object]}', {"inputs": [{"age": 0, "town": "Ulm"}]}),
    ],
)
def test_requests_are_what_the_template_says(serve, open_, request_, sent):
    together = "$records" in request_ or "$objects" in request_
    service = serve(lambda request: as_json([[0.5, 0.5]] * 2 if together else [0.5, 0.5]))
    model = open_(url=service.url, request=request_, response="")
    assert model.answer(TABLE.select(slice(2))).tolist() == [[0.5, 0.5]] * 2
    assert service.asked[0] == sent


@pytest.mark.parametrize(
    ("response", "classes", "answer"),
    [
        ("", None, [[0.25, 0.75]]),
        ("result.scores", None, {"result": {"scores": [[0.25, 0.75]]}}),
        ("rows.*.p", None, {"rows": [{"id": 1, "p": [0.25, 0.75]}]}),
        ("outputs.0.data", None, {"outputs": [{"name": "p", "data": [[0.25, 0.75]]}]}),
        ("rows", ["no", "yes"], {"rows": [{"yes": 0.75, "no": 0.25}]}),
    ],
)
def test_rows_are_found_where_the_path_leads(serve, open_, response, classes, answer):
    settings = {"response": response} | ({"classes": classes} if classes else {})
    model = open_(url=serve(lambda _: as_json(answer)).url, **settings)
    assert model.answer(Records(array=X[:1])).tolist() == [[0.25, 0.75]]
    assert model.classes == (tuple(classes) if classes else None)


def test_one_number_for_a_record_is_a_score(serve, open_):
    model = open_(url=serve(lambda request: as_json({"predictions": [1.5 for _ in request["instances"]]})).url)
    assert model.answer(Records(array=X)).shape == (30, 1)


def test_missing_numbers_are_null_and_equal_records_one_question(serve, open_):
    service = serve(lambda request: as_json({"predictions": [[0.5, 0.5]] * len(request["instances"])}))
    numbers = Records(array=np.array([[np.nan, 1], [2, 3], [np.nan, 1]], dtype=np.float32))
    texts = Records(columns={"town": np.array(["Ulm", None, np.nan], dtype=object)})
    assert open_(url=service.url).answer(numbers).shape == (3, 2)
    assert open_(url=service.url).answer(texts).shape == (3, 2)
    assert service.asked[0] == {"instances": [[None, 1], [2, 3]]}
    assert service.asked[2] == {"instances": [["Ulm"], [None]]}


def test_requests_hold_at_most_a_batch(serve, open_):
    service = serve()
    np.testing.assert_array_equal(open_(url=service.url, batch=7).answer(Records(array=X)), expected(X))
    assert [len(request["instances"]) for request in service.asked] == [7, 7, 7, 7, 2, 7, 1]  # 8 of them again


def test_progress_counts_what_is_new(serve, tmp_path):
    seen = []
    model = open_endpoint(serve().url, cache=tmp_path, progress=lambda *state: seen.append(state[1:]))
    model.answer(Records(array=np.concatenate([X + k for k in range(5)])))
    assert seen == [(100, 150), (150, 150)]


# pace and failures that pass


def test_pace_is_kept_over_all_calls(serve, open_):
    start = time.monotonic()
    model = open_(url=serve().url, batch=10, per_second=20)
    for part in (X[:10], X[10:20]):
        model.answer(Records(array=part))
    assert time.monotonic() - start >= 0.1  # 4 requests; without pace a fifth of that


def test_proxies_are_not_asked_for_what_is_on_this_machine(serve, open_, monkeypatch):
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    np.testing.assert_array_equal(open_(url=serve().url).answer(Records(array=X)), expected(X))


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_failures_that_may_pass_are_tried_again(serve, open_, naps, status):
    states = iter([status, status, 200, 200])
    service = serve(lambda request: as_json({}, state) if (state := next(states)) != 200 else scores(request))
    np.testing.assert_array_equal(open_(url=service.url).answer(Records(array=X)), expected(X))
    pauses = [nap for nap in naps if nap > 0.001]
    assert len(service.asked) == 4
    assert all(nap <= bound for nap, bound in zip(pauses, (0.5, 1.0), strict=False))


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_says_how_long_to_wait(serve, open_, naps, form):
    from email.utils import formatdate

    value = "20" if form == "seconds" else formatdate(time.time() + 20, usegmt=True)
    states = iter([429, 200, 200])
    service = serve(
        lambda request: as_json({}, 429, **{"Retry-After": value}) if next(states) == 429 else scores(request)
    )
    open_(url=service.url).answer(Records(array=X))
    assert 15 < max(naps) <= 20


def test_a_server_that_asks_for_an_hour_is_left_alone(serve, open_, naps):
    service = serve(lambda request: as_json({}, 503, **{"Retry-After": "3600"}))
    with pytest.raises(TrainingError, match="says 503, which asks to wait 3600 s .tried 1 times.*run the same again"):
        open_(url=service.url).answer(Records(array=X))
    assert len(service.asked) == 1


def test_retries_end(serve, open_, naps):
    service = serve(lambda request: as_json({}, 500))
    with pytest.raises(TrainingError, match="must answer, and says 500 .tried 3 times."):
        open_(url=service.url, retries=2).answer(Records(array=X))
    assert len(service.asked) == 3


def test_a_server_that_is_down(open_, naps):
    with pytest.raises(TrainingError, match="must be reachable, and there is no connection .*refused"):
        open_(url="http://127.0.0.1:9/score", retries=1).answer(Records(array=X))


def test_a_server_that_nobody_vouches_for(serve, open_, naps, tmp_path, monkeypatch):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -addext subjectAltName=IP:127.0.0.1"
    )
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *words.split(), *files], check=True, capture_output=True)
    service = serve()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    service.server.socket = context.wrap_socket(service.server.socket, server_side=True)
    url = service.url.replace("http:", "https:")
    with pytest.raises(TrainingError, match="must be a server that can be trusted, .* cannot be checked"):
        open_(url=url).answer(Records(array=X))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    np.testing.assert_array_equal(open_(url=url).answer(Records(array=X)), expected(X))


def test_a_server_that_is_slow(serve, open_, naps):
    def slow(request):
        time.sleep(0.3)
        return scores(request)

    with pytest.raises(TrainingError, match=r"must answer within 0.05 s \('timeout'\), and did not"):
        open_(url=serve(slow).url, retries=0, timeout=0.05).answer(Records(array=X))


def test_a_server_that_answers_byte_by_byte(serve, open_, naps):
    service = serve(lambda request: (200, {}, [b" "] * 20))
    with pytest.raises(TrainingError, match="must answer within 0.1 s"):
        open_(url=service.url, retries=0, timeout=0.1).answer(Records(array=X))


def test_a_server_that_breaks_off(serve, open_, naps):
    service = serve(lambda request: (200, {"Content-Length": "1000"}, b"{}"))
    service.server.RequestHandlerClass.protocol_version = "HTTP/1.0"
    with pytest.raises(TrainingError, match="must answer by HTTP, and broke off"):
        open_(url=service.url, retries=0).answer(Records(array=X))


# failures that stay


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (as_json({}, 404), "says 404; there must be a model at that address"),
        (as_json({}, 422), "says 422; it must take the request: check 'request'"),
        (as_json({}, 401), "says 401; .*no header takes anything from the environment"),
        ((200, {"Content-Type": "text/html"}, b"<!doctype html><h1>Sign in</h1>"), r"web page \(HTML\)"),
        ((200, {}, b""), "must answer with JSON, and gave none"),
        ((200, {}, b"[" * 100_000), "must answer with JSON, and gave none"),
        (as_json({"prediction": []}), "instead of 'predictions' there are the keys 'prediction' .is 'prediction'"),
        (as_json([1, 2]), "instead of 'predictions' there is a list of 2"),
        (as_json({"predictions": 3}), "must lead to a list of rows, and leads to a number"),
        (as_json({"predictions": [[0.5, 0.5]]}), "must give a row for each record, and gave 1 for 3"),
        (as_json({"predictions": [[0.5, 0.5], [1, 0], [1]]}), "rows of one length, and gave some of 1 and some of 2"),
        (as_json({"predictions": [[0.5, 0.5], [1, 0], [None, 1]]}), "a row must be a list of numbers, .*there is null"),
        (as_json({"predictions": ["cat", "dog", "cat"]}), "there is a text in one"),
        (as_json({"predictions": [[True, False]] * 3}), "there is a truth value in one"),
        (as_json({"predictions": [[]] * 3}), "there is a list of 0 in one"),
        (as_json({"predictions": [{"cat": 1}] * 3}), "must have 'classes', which the endpoint file must then list"),
        (as_json({"predictions": [[float("nan"), 1]] * 3}), "must give finite numbers, and gave NaN"),
        (as_json({"predictions": [[10**400, 1]] * 3}), "must give finite numbers"),
        ((200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(2**24))), "without compression, .* sends 'gzip'"),
        ((200, {"Content-Encoding": "br"}, b"x"), "without compression"),
        ((302, {"Location": "https://a.example:444/in?next=1#x"}, b""), "redirects to 'https://a.example:444/in'; "),
        ((302, {"Location": "//elsewhere.example/"}, b""), "redirects to 'http://elsewhere.example/'"),
        ((302, {}, b""), "redirects to 'nowhere'"),
        ((303, {"Location": "/other"}, b""), "says 303; it must take the request"),
        ((307, {"Location": "/score"}, b""), "redirects more than 3 times"),
    ],
)  # fmt: skip
def test_failures_that_stay_are_said_at_once(serve, open_, naps, answer, message):
    service = serve(lambda request: answer)
    with pytest.raises(TrainingError, match=message) as raised:
        open_(url=service.url).answer(Records(array=X[:3]))
    assert "\n" not in str(raised.value)
    assert len(service.asked) == (4 if "more than 3" in message else 1)


def test_redirects_on_the_same_server_are_followed(serve, open_):
    service = serve()
    service.answer = lambda request: (
        (307, {"Location": "/score/"}, b"") if service.paths[-1] == "/score" else scores(request)
    )
    np.testing.assert_array_equal(open_(url=service.url).answer(Records(array=X)), expected(X))
    assert service.paths[:2] == ["/score", "/score/"]


def test_a_redirect_to_no_address(serve, open_, naps):
    service = serve(lambda request: (302, {"Location": "http://a:b"}, b""))
    with pytest.raises(TrainingError, match="must answer by HTTP, and broke off"):
        open_(url=service.url, retries=0).answer(Records(array=X))


def test_redirects_to_another_port_get_neither_records_nor_headers(serve, open_):
    other = serve()
    service = serve(lambda request: (307, {"Location": other.url}, b""))
    with pytest.raises(TrainingError, match=f"redirects to '{other.url}'"):
        open_(url=service.url).answer(Records(array=X))
    assert other.asked == []


def test_answers_beyond_the_largest_are_not_read(serve, open_, monkeypatch):
    monkeypatch.setattr(_http_send, "_BYTES", 2**20)
    with pytest.raises(TrainingError, match="must answer with at most 1 MiB, and sends more"):
        open_(url=serve(lambda _: (200, {}, b" " * 2**22)).url).answer(Records(array=X))


def test_the_number_of_classes_must_be_that_of_the_file_and_stay(serve, open_):
    with pytest.raises(TrainingError, match="a number for each of the 3 classes of its endpoint file, and gave 2"):
        open_(url=serve().url, classes=["a", "b", "c"]).answer(Records(array=X))
    widths = iter([2, 3])
    service = serve(lambda request: as_json({"predictions": [[0.1] * next(widths)]}))
    with pytest.raises(TrainingError, match="rows of one length, and gave 2 numbers, then 3"):
        open_(url=service.url, batch=1).answer(Records(array=X[:2]))


# secrets


def test_secrets_come_from_the_environment_and_are_nowhere_else(serve, open_, tmp_path, monkeypatch, naps):
    secret = "s3cret-0815"
    monkeypatch.setenv("SCORING_TOKEN", secret)
    service = serve()
    settings = {"url": service.url, "headers": {"Authorization": "Bearer ${SCORING_TOKEN}", "X-Team": "audit"}}
    model = open_(**settings)
    model.answer(Records(array=X))
    assert service.headers[0]["Authorization"] == f"Bearer {secret}"
    assert service.headers[0]["X-Team"] == "audit"
    said = [model.fingerprint, repr(model), repr(model._settings)]
    for status in (401, 400, 500):
        service.answer = lambda request, status=status: as_json({"echo": secret}, status)
        with pytest.raises(TrainingError) as raised:
            open_(**settings, retries=0).answer(Records(array=X + 1))
        said.append(str(raised.value))
    assert "check the value of Authorization (SCORING_TOKEN)" in said[3]
    assert not any(secret in text for text in said)
    assert not any(secret.encode() in path.read_bytes() for path in (tmp_path / "cache").iterdir())


def test_another_secret_finds_the_answers_that_are_kept(serve, open_, monkeypatch):
    service = serve()
    settings = {"url": service.url, "headers": {"X-Api-Key": "${SCORING_TOKEN}"}}
    fingerprints = set()
    for value in ("one", "two"):
        monkeypatch.setenv("SCORING_TOKEN", value)
        model = open_(**settings)
        model.answer(Records(array=X))
        fingerprints.add(model.fingerprint)
    assert len(fingerprints) == 1
    assert len(service.records) == 30 + 8 + 8


@pytest.mark.parametrize(
    ("value", "message"),
    [(None, "variable SCORING_TOKEN must hold its value, and is not set"), ("tok\n", "is there a line break in it")],
)
def test_variables_must_be_there_before_anything_is_asked(serve, open_, monkeypatch, value, message):
    monkeypatch.delenv("SCORING_TOKEN", raising=False)
    if value:
        monkeypatch.setenv("SCORING_TOKEN", value)
    with pytest.raises(ExperimentError, match=f"headers.Authorization: .*{message}") as raised:
        open_(url="https://models.example.com", headers={"Authorization": "Bearer ${SCORING_TOKEN}"})
    assert "tok\n" not in str(raised.value)


# the cache


def test_a_killed_audit_goes_on_where_it_was(serve, open_):
    asked = []

    def dies(request):
        asked.append(request)
        return as_json({}, 404) if len(asked) == 3 else scores(request)

    service = serve(dies)
    with pytest.raises(TrainingError):
        open_(url=service.url, batch=10).answer(Records(array=X))
    service.asked.clear()
    np.testing.assert_array_equal(open_(url=service.url, batch=10).answer(Records(array=X)), expected(X))
    assert set(service.records) == {tuple(row) for row in X[20:]} | set(service.records[:8])  # and a check of 8
    assert len(service.records) == 8 + 10


def test_a_killed_process_has_kept_what_it_was_answered(serve, tmp_path):
    released = threading.Event()

    def stops_at_the_fourth(request):
        if len(service.asked) == 4:
            process.kill()
            released.wait(10)
        return scores(request)

    service = serve(stops_at_the_fourth)
    path = tmp_path / "endpoint.toml"
    path.write_text(f"url = {json.dumps(service.url)}\nbatch = 5\nper_second = 1000")
    code = (
        "import numpy, pathlib, sys\n"
        "from aftertrace.models._http import open_endpoint\n"
        "from aftertrace.models._records import Records\n"
        "x = numpy.arange(60, dtype=float).reshape(30, 2) / 60\n"
        "open_endpoint(sys.argv[1], cache=pathlib.Path(sys.argv[2])).answer(Records(array=x))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path), str(tmp_path / "cache")])
    assert process.wait(60) == -9
    released.set()
    service.asked, service.answer = [], scores
    np.testing.assert_array_equal(open_endpoint(path, cache=tmp_path / "cache").answer(Records(array=X)), expected(X))
    assert len(service.records) == 15 + 8  # three batches were kept


def test_the_same_object_asks_nothing_twice(serve, open_):
    service = serve()
    model = open_(url=service.url)
    for records in (Records(array=X[:20]), Records(array=X), Records(array=X[:8]), Records(array=X[::-1])):
        np.testing.assert_array_equal(model.answer(records), expected(records.array))
    assert len(service.records) == 30 + 8


def test_other_settings_have_other_answers(serve, open_):
    service = serve()
    for settings in ({}, {"version": "2"}, {"headers": {"X-Model": "b"}}, {"classes": ["a", "b"]}):
        open_(url=service.url, **settings).answer(Records(array=X))
    assert len(service.records) == 4 * 38
    open_(url=service.url, batch=50, per_second=999, budget=50, timeout=9).answer(Records(array=X))
    assert len(service.records) == 4 * 38 + 8


def test_the_cache_is_private_and_holds_no_record(serve, open_, tmp_path):
    service = serve(lambda request: as_json({"predictions": [[0.5, 0.5]] * len(request["instances"])}))
    open_(url=service.url).answer(TABLE)
    (file,) = (tmp_path / "cache").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"Bonn" not in file.read_bytes()


@pytest.mark.parametrize("damage", ["answer = x'00'", "answer = zeroblob(16)", "seal = NULL", "answer = 'text'"])
def test_damaged_answers_are_asked_again(serve, open_, tmp_path, damage):
    service = serve()
    open_(url=service.url).answer(Records(array=X))
    (file,) = (tmp_path / "cache").iterdir()
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(f"UPDATE answers SET {damage}")
    connection.close()
    np.testing.assert_array_equal(open_(url=service.url).answer(Records(array=X)), expected(X))
    assert len(service.records) == 38 * 2


def test_a_file_that_is_no_cache_is_named(serve, open_, tmp_path):
    service = serve()
    open_(url=service.url).answer(Records(array=X))
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="must be a file of kept answers, and is damaged .*Delete it"):
        open_(url=service.url).answer(Records(array=X))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="must be a file for answers that can be written"):
        open_endpoint("https://models.example.com", cache=tmp_path / "file").answer(Records(array=X))


# answers that change


def test_answers_by_chance_are_noted(serve, open_):
    rng = np.random.default_rng(0)
    service = serve(lambda request: as_json({"predictions": rng.dirichlet([2, 2], len(request["instances"])).tolist()}))
    for _ in range(2):  # fresh, then kept
        model = open_(url=service.url)
        model.answer(Records(array=X))
        assert "other answers when asked again about the same records, by up to 0." in model.notes[0]


def test_rounding_is_no_change(serve, open_):
    rng = np.random.default_rng(0)
    service = serve(
        lambda request: as_json({"predictions": (expected(request["instances"]) + rng.normal() * 1e-8).tolist()})
    )
    model = open_(url=service.url)
    model.answer(Records(array=X))
    assert model.notes == ()


def test_another_model_at_the_address_is_an_error_and_not_the_old_answers(serve, open_):
    service = serve()
    open_(url=service.url).answer(Records(array=X))
    service.answer = lambda request: as_json({"predictions": expected(request["instances"], 0.1).tolist()})
    with pytest.raises(TrainingError, match=r"another model has come to that address. Say .* \('version'\), or delete"):
        open_(url=service.url).answer(Records(array=X))
    np.testing.assert_array_equal(open_(url=service.url, version="2").answer(Records(array=X)), expected(X, 0.1))


def test_who_names_the_version_vouches_for_answers_that_are_kept(serve, open_):
    """So that a model can be asked before its update takes the address."""
    service = serve()
    open_(url=service.url, version="1").answer(Records(array=X))
    service.answer = lambda request: as_json({"predictions": expected(request["instances"], 0.1).tolist()})
    service.asked.clear()
    np.testing.assert_array_equal(open_(url=service.url, version="1").answer(Records(array=X)), expected(X))
    assert service.asked == []
    with pytest.raises(TrainingError, match="another model has come to that address"):  # new ones beside kept ones
        open_(url=service.url, version="1").answer(Records(array=np.concatenate([X, X + 1])))


# the budget


def test_what_exceeds_the_budget_is_not_begun(serve, open_):
    service = serve()
    with pytest.raises(InputError, match="cover 30 records and 8 more .* of 37 it has 37 left. None of them was sent"):
        open_(url=service.url, budget=37).answer(Records(array=X))
    with pytest.raises(InputError, match="the budget must cover 30 records"):
        open_(url=service.url, budget=37).check_budget(Records(array=X))
    assert service.asked == []
    open_(url=service.url, budget=38).answer(Records(array=X))
    assert len(service.records) == 38


def test_kept_answers_do_not_count_but_their_check_does(serve, open_):
    service = serve()
    open_(url=service.url).answer(Records(array=X))
    more = Records(array=np.concatenate([X, X + 1]))
    with pytest.raises(InputError, match="cover 30 records and 16 more .* 30 answers are kept"):
        open_(url=service.url, budget=45).answer(more)
    model = open_(url=service.url, budget=46)
    model.answer(more)
    with pytest.raises(InputError, match="of 46 it has 8 left"):
        model.answer(Records(array=X + 2))
    assert len(service.records) == 38 + 38


# records that cannot be asked about


@pytest.mark.parametrize(
    ("records", "request_", "message"),
    [
        (Records(array=np.array([[np.inf, 1]])), "$records", "must be finite numbers, texts"),
        (Records(array=np.array([["2020-01-01"]], dtype="M8[D]")), "$records", "date is none of them"),
        (Records(array=np.array([[1 + 1j]])), "$records", "complex is none of them"),
        (Records(array=X), "$objects", r"takes records with names of columns.*write \$records"),
        (Records(array=X), "$object", r"write \$record in"),
    ],
)
def test_records_that_json_cannot_hold(open_, records, request_, message):
    with pytest.raises(InputError, match=message):
        open_(url="https://models.example.com", request=request_).answer(records)


# the settings


def test_all_problems_of_a_file_are_said_together(open_):
    with pytest.raises(ExperimentError) as raised:
        open_(
            url="ftp://models.example.com", method="GET", header={}, request="$rows", response=3, classes=["a", "a"],
            batch=0, per_second=-1, retries=True, timeout="10", budget=0, allow_http=1, version=2,
            headers={"Authorization": "Bearer abc", "Host": "x", "X-A": "a\nb"},
        )  # fmt: skip
    for part in (
        "url: must be an address such as 'https://",
        "method: must be 'POST' or 'PUT', got 'GET'",
        "'header': unknown key (is 'headers' meant?)",
        "request: must hold one of $records, $objects, $record, $object once, got $rows",
        "response: must be a dotted path",
        "classes: must be a list of two or more different texts",
        "batch: must be a whole number from 1",
        "per_second: must be a number of requests above 0",
        "retries: must be a whole number from 0 to 20, got 'True'",
        "timeout: must be a number of seconds",
        "budget: must be a whole number",
        "allow_http: must be true or false",
        "version: must be a text",
        "headers.Authorization: must take its value from the environment",
        "headers: must have names of headers that are free to choose, got 'Host'",
        "headers.X-A: must be a text of printable ASCII",
    ):
        assert part in str(raised.value)
    assert len(raised.value.problems) == 16
    assert "abc" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "url: must be the address of the model, got nothing"),
        ({"url": "https://user:pw@models.example.com"}, "url: must hold no secret"),
        ({"url": "https://models.example.com/score?api_key=x"}, "url: must hold no secret"),
        ({"url": "https://models.example.com/${KEY}"}, "url: must hold no secret"),
        ({"url": "https://models.example.com:x"}, "url: must be an address"),
        ({"url": "http://models.example.com"}, "url: must begin with https"),
        ({"url": "https://models.example.com", "request": '{"x": "$records"}'}, "write [$]records without quotes"),
        ({"url": "https://models.example.com", "request": "[$records, $records]"}, "once, got [$]records, [$]records"),
        ({"url": "https://models.example.com", "request": "{}"}, "got none"),
        ({"url": "https://models.example.com", "request": "$record", "batch": 5}, "batch: must be 1 or absent"),
    ],
)
def test_settings_that_are_refused(open_, settings, message):
    with pytest.raises(ExperimentError, match=message):
        open_(**settings)


@pytest.mark.parametrize("settings", [{"headers": "X-Key: hunter2"}, {"url": "htps://user:hunter2@models.example.com"}])
def test_settings_that_are_refused_show_no_secret(open_, settings):
    with pytest.raises(ExperimentError) as raised:
        open_(**({"url": "https://models.example.com"} | settings))
    assert "hunter2" not in str(raised.value)


def test_unencrypted_addresses_elsewhere_must_be_meant(open_, tmp_path):
    assert open_(url="http://scorer.internal:8000/score", allow_http=True)
    assert open_endpoint("http://localhost:8000/score", cache=tmp_path)
    with pytest.raises(ExperimentError, match="must begin with https"):
        open_endpoint("http://scorer.internal:8000/score", cache=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"url = 'x\n", "must be TOML, and is not"),
        (b"\xff\xfe", "must be TOML, and is not"),
        (b"x = " + b"[" * 30_000, "must be TOML, and is not"),
        (b"a = 1\n" * 1_000_000, "at most 64 KiB, and is longer"),
    ],
)
def test_files_that_are_no_endpoint(tmp_path, content, message):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    start = time.monotonic()
    with pytest.raises(ExperimentError, match=message) as raised:
        open_endpoint(path)
    assert len(raised.value.problems) == 1
    assert time.monotonic() - start < 1


def test_what_is_neither_file_nor_address(tmp_path):
    with pytest.raises(ExperimentError, match="must be a file that can be read, got: No such file"):
        open_endpoint(tmp_path / "absent.toml")
    with pytest.raises(InputError, match="must be an address .* or a file ending in .toml"):
        open_endpoint("file:///etc/passwd")


def test_without_httpx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(InputError, match=r"pip install 'aftertrace\[http\]'"):
        open_endpoint("https://models.example.com")


def test_proxies_that_cannot_be_used_are_named_without_their_password(monkeypatch, tmp_path):
    monkeypatch.setenv("HTTPS_PROXY", "gopher://user:hunter2@proxy")
    with pytest.raises(InputError, match="proxies and certificates of the environment") as raised:
        open_endpoint("https://models.example.com", cache=tmp_path).answer(Records(array=X))
    assert "hunter2" not in str(raised.value)


def test_the_default_cache_is_the_users(monkeypatch, tmp_path, serve):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    open_endpoint(serve().url).answer(Records(array=X))
    assert list((tmp_path / "aftertrace" / "answers").glob("127.0.0.1-*.sqlite"))
