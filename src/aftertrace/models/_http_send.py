"""Requests to an endpoint: paced, tried again where that may help, and never trusting what comes back."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from aftertrace.errors import InputError, TrainingError
from aftertrace.models._http_address import is_local, shown
from aftertrace.models._http_settings import Settings

if TYPE_CHECKING:
    import httpx

_BYTES = 2**26
"""The largest answer that is read."""
_REDIRECTS = 3
_LONGEST_PAUSE = 60.0
"""In seconds, between two tries of a request."""
_FIRST_PAUSE = 0.5


class _PassingError(Exception):
    """A failure that may pass by itself; the server may say how many seconds to wait."""

    def __init__(self, what: str, wait: float = 0.0) -> None:
        super().__init__(what)
        self.wait = wait


class Pace:
    """Keeps requests apart, across senders."""

    def __init__(self, per_second: float) -> None:
        self._apart = 1 / per_second
        self._next = 0.0

    def wait(self) -> None:
        """Return when the next request may begin."""
        now = monotonic()
        if now < self._next:
            sleep(self._next - now)
        self._next = max(now, self._next) + self._apart


@contextmanager
def open_sender(settings: Settings, headers: Mapping[str, str], pace: Pace) -> Iterator["Sender"]:
    """A sender for as long as its connection is open."""
    with _client(settings, headers) as client:
        yield Sender(client, settings, pace)


def _client(settings: Settings, headers: Mapping[str, str]) -> "httpx.Client":
    httpx = import_httpx()
    own = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
    # a proxy of the environment cannot reach the services of this machine
    direct = dict.fromkeys(("http://", "https://", "all://")) if is_local(settings.url) else None
    try:
        return httpx.Client(headers={**own, **headers}, timeout=settings.timeout, mounts=direct)
    except (OSError, ValueError, ImportError) as error:  # its message may hold the password of a proxy
        raise InputError(
            f"The proxies and certificates of the environment (HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE) must be usable, "
            f"and are not ({type(error).__name__}); mend or unset them."
        ) from error


def import_httpx() -> Any:
    """The library, which is an extra. Raises `InputError` where it is absent."""
    try:
        import httpx
    except ImportError as error:
        raise InputError("A model behind HTTP needs httpx: pip install 'aftertrace[http]', and try again.") from error
    return httpx


class Sender:
    """Sends requests one after the other, at a pace, and again after failures that may pass.

    Between tries it waits a random time whose bound doubles ("full jitter"), or as long as the server asks for.
    """

    def __init__(self, client: "httpx.Client", settings: Settings, pace: Pace) -> None:
        self._client = client
        self._settings = settings
        self._pace = pace
        self._where = shown(settings.url)

    def send(self, body: str) -> object:
        """The JSON value of the answer. Raises `TrainingError`, which repeats nothing that was sent or received."""
        tries = self._settings.retries + 1
        for attempt in range(tries):
            self._pace.wait()
            try:
                return self._answer(body)
            except _PassingError as error:
                failure = error
            if failure.wait > _LONGEST_PAUSE:
                break
            if attempt + 1 < tries:
                bound = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE)
                sleep(max(failure.wait, secrets.SystemRandom().uniform(0, bound)))
        waiting = f", which asks to wait {failure.wait:.0f} s" if failure.wait > _LONGEST_PAUSE else ""
        raise TrainingError(
            f"{self._where} {failure}{waiting} (tried {attempt + 1} times). What it answered before is kept: run the "
            f"same again when it is well."
        )

    def _answer(self, body: str) -> object:
        url = self._settings.url
        for _ in range(_REDIRECTS + 1):
            response, content = self._exchange(url, body)
            if response.status_code not in (301, 302, 307, 308):
                self._check_status(response)
                return self._value(response, content)
            url = self._redirected(url, response)
        raise TrainingError(f"{self._where} must answer, and redirects more than {_REDIRECTS} times; check 'url'.")

    def _exchange(self, url: str, body: str) -> tuple["httpx.Response", bytes]:
        import httpx

        try:
            with self._client.stream(self._settings.method, url, content=body.encode()) as response:
                return response, self._read(response) if response.is_success else b""
        except httpx.TimeoutException as error:
            raise self._late() from error
        except httpx.ConnectError as error:
            if "CERTIFICATE" in str(error):
                raise TrainingError(
                    f"{self._where} must be a server that can be trusted, and its certificate cannot be checked; "
                    f"SSL_CERT_FILE names a file of certificates of your own."
                ) from error
            raise _PassingError(f"must be reachable, and there is no connection ({error})") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _PassingError(f"must answer by HTTP, and broke off ({type(error).__name__})") from error

    def _late(self) -> _PassingError:
        return _PassingError(f"must answer within {self._settings.timeout:g} s ('timeout'), and did not")

    def _read(self, response: "httpx.Response") -> bytes:
        """All of an answer as it was sent: unpacking it is where a small one would become a huge one."""
        coding = response.headers.get("content-encoding", "identity")
        if coding != "identity":
            raise TrainingError(f"{self._where} must answer without compression, as asked, and sends {coding[:40]!r}.")
        end = monotonic() + self._settings.timeout
        content = bytearray()
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > _BYTES:
                raise TrainingError(
                    f"{self._where} must answer with at most {_BYTES // 2**20} MiB, and sends more; is 'url' that of a "
                    f"model? A smaller 'batch' makes smaller answers."
                )
            if monotonic() > end:  # a byte at a time would never exceed the time for one read
                raise self._late()
        return bytes(content)

    def _redirected(self, url: str, response: "httpx.Response") -> str:
        import httpx

        here, target = httpx.URL(url), response.next_request.url if response.next_request else None
        if target is not None and (target.scheme, target.host, target.port) == (here.scheme, here.host, here.port):
            return str(target)
        there = "nowhere" if target is None else shown(str(target))[:200]
        raise TrainingError(
            f"{self._where} must answer itself, and redirects to {there!r}; that is not followed, since records and "
            f"headers would go there. If that is the model, make it the 'url'."
        )

    def _check_status(self, response: "httpx.Response") -> None:
        status = response.status_code
        if response.is_success:
            return
        if status in (408, 429) or status >= 500:
            raise _PassingError(f"must answer, and says {status}", _seconds(response.headers.get("retry-after", "")))
        match status:
            case 401 | 403:
                advice = f"it must accept who asks: {self._credentials()}"
            case 404 | 405 | 410:
                advice = "there must be a model at that address and for that method: check 'url' and 'method'"
            case _:
                advice = "it must take the request: check 'request' and the columns of the records"
        raise TrainingError(f"{self._where} says {status}; {advice}.")

    def _credentials(self) -> str:
        given = [f"{header} ({', '.join(names)})" for header, names in self._settings.variables().items()]
        if not given:
            return "no header takes anything from the environment; add one to the endpoint file"
        return f"check the value of {', '.join(given)}"

    def _value(self, response: "httpx.Response", content: bytes) -> object:
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            is_page = "html" in response.headers.get("content-type", "") or content.lstrip()[:1] == b"<"
            kind = "a web page (HTML): is there a login, or a page in front of the model?" if is_page else "none."
            raise TrainingError(f"{self._where} must answer with JSON, and gave {kind} Check 'url'.") from error


def _seconds(retry_after: str) -> float:
    """How long a server asks to wait: seconds or a date; 0 where it says nothing that can be read."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
