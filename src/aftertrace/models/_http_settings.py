"""What an endpoint file says: where a model answers over HTTP, and how it wants to be asked."""

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from aftertrace._hashing import digest
from aftertrace._spelling import nearest
from aftertrace.errors import ExperimentError
from aftertrace.models._http_address import address_problems, is_secret_name, shown
from aftertrace.models._http_json import placeholder_of, template_problem

Check = Callable[[Any], bool]
_BYTES = 2**16
"""An endpoint file is a page of text; what is larger is another file."""
_FORMAT = 1
"""Of kept answers. 1: a row of float64 per record."""
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = {"host", "content-length", "content-type", "transfer-encoding", "accept-encoding", "connection"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How one model behind HTTP is asked; `url` is all that must be given.

    `headers` are as written, with `${NAME}` for what comes from the environment. `request` is JSON with one of
    `$records`, `$objects`, `$record` and `$object` in it, `response` the dotted path to the rows in the answer.
    `version` is any text that tells apart models which follow each other at one address. `batch`: most records per
    request; `per_second`: most requests; `retries`: of one request; `timeout`: seconds for one answer; `budget`: most
    records sent; `allow_http`: whether records may travel unencrypted to another machine.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    request: str = '{"instances": $records}'
    response: str = "predictions"
    classes: tuple[str, ...] | None = None
    version: str = ""
    batch: int = 100
    per_second: float = 10
    retries: int = 5
    timeout: float = 10
    budget: int = 10_000
    allow_http: bool = False

    @property
    def identity(self) -> str:
        """SHA-256 of what decides an answer, with `${NAME}` as written: no secret enters, and no pace or budget."""
        decides = (self.url, self.method, self.headers, self.request, self.response, self.classes, self.version)
        return digest((_FORMAT, *decides))

    def variables(self) -> dict[str, list[str]]:
        """By header, the environment variables that it takes its value from."""
        return {name: found for name, text in self.headers.items() if (found := _VARIABLE.findall(text))}

    def resolved_headers(self) -> dict[str, str]:
        """Headers with what the environment holds. Raises `ExperimentError`, which never shows a value."""
        problems = list(_environment_problems(self.variables()))
        if problems:
            raise ExperimentError(problems, source=shown(self.url))
        return {name: _VARIABLE.sub(lambda found: os.environ[found[1]], text) for name, text in self.headers.items()}


def read_settings(path: Path) -> Settings:
    """The settings of an endpoint file. Raises `ExperimentError` with all that is wrong in it."""
    try:
        with path.open("rb") as file:
            content = file.read(_BYTES + 1)
    except OSError as error:
        raise ExperimentError([f"must be a file that can be read, got: {error.strerror}"], source=str(path)) from error
    if len(content) > _BYTES:
        problem = f"must be an endpoint file of at most {_BYTES // 1024} KiB, and is longer; is it another file?"
        raise ExperimentError([problem], source=str(path))
    try:
        table = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        problem = f"must be TOML, and is not: {str(error).splitlines()[0]}"
        raise ExperimentError([problem], source=str(path)) from error
    return settings_of(table, source=str(path))


def settings_of(table: Mapping[str, Any], *, source: str) -> Settings:
    """Settings from a table of them. Raises `ExperimentError` with all that is wrong."""
    problems = [*_unknown_keys(table), *_wrong_values(table)]
    if problems:
        raise ExperimentError(problems, source=source)
    classes = table.get("classes")
    return Settings(**{**table, "classes": None if classes is None else tuple(classes)})


def _unknown_keys(table: Mapping[str, Any]) -> Iterator[str]:
    known = [each.name for each in fields(Settings)]
    for key in table:
        if key not in known:
            yield f"{key!r}: unknown key{nearest(key, known)}; known are {', '.join(known)}"


def _wrong_values(table: Mapping[str, Any]) -> Iterator[str]:
    if "url" not in table:
        yield "url: must be the address of the model, got nothing"
    else:
        yield from address_problems(table["url"], allow_http=table.get("allow_http") is True)
    for name, (is_right, must) in _VALUES.items():
        if name in table and not is_right(table[name]):
            got = "" if name == "headers" else f", got {str(table[name])[:80]!r}"  # there may be a secret in them
            yield f"{name}: must be {must}{got}"
    if isinstance(headers := table.get("headers"), dict):
        yield from _header_problems(headers)
    if isinstance(request := table.get("request"), str):
        problem = template_problem(request)
        if problem:
            yield f"request: {problem}"
        elif not placeholder_of(request).endswith("s") and table.get("batch", 1) != 1:
            yield f"batch: must be 1 or absent, since 'request' holds one record, got {table['batch']!r}"


def _whole(low: int, high: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(high: float) -> Check:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= high


def _are_classes(value: object) -> bool:
    return (
        isinstance(value, list) and all(isinstance(each, str) for each in value) and 2 <= len(set(value)) == len(value)
    )


_VALUES: Mapping[str, tuple[Check, str]] = {
    "method": (lambda value: value in ("POST", "PUT"), "'POST' or 'PUT'"),
    "headers": (lambda value: isinstance(value, dict), "a table of texts"),
    "request": (lambda value: isinstance(value, str), "a text of JSON such as '{\"instances\": $records}'"),
    "response": (lambda value: isinstance(value, str), "a dotted path such as 'result.scores'"),
    "classes": (_are_classes, "a list of two or more different texts"),
    "version": (lambda value: isinstance(value, str), "a text"),
    "batch": (_whole(1, 100_000), "a whole number from 1 to 100000"),
    "per_second": (_number(100_000), "a number of requests above 0"),
    "retries": (_whole(0, 20), "a whole number from 0 to 20"),
    "timeout": (_number(3600), "a number of seconds above 0 and at most 3600"),
    "budget": (_whole(1, 10**12), "a whole number of records from 1 on"),
    "allow_http": (lambda value: isinstance(value, bool), "true or false"),
}
"""What each setting must be; `url` is looked at by itself."""


def _header_problems(headers: Mapping[str, object]) -> Iterator[str]:
    for name, text in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OWN_HEADERS:
            yield f"headers: must have names of headers that are free to choose, got {name[:80]!r}"
        elif not isinstance(text, str) or not _is_header_text(text):
            yield f"headers.{name}: must be a text of printable ASCII without spaces at its ends"
        elif is_secret_name(name) and not _VARIABLE.search(text):
            yield (
                f"headers.{name}: must take its value from the environment, such as '${{SCORING_TOKEN}}', "
                f"so that no secret is in a file, and has it written out"
            )


def _environment_problems(variables: Mapping[str, list[str]]) -> Iterator[str]:
    for header, names in variables.items():
        for name in names:
            value = os.environ.get(name, "")
            if not value:
                yield f"headers.{header}: the environment variable {name} must hold its value, and is not set"
            elif not _is_header_text(value):
                yield (
                    f"headers.{header}: the environment variable {name} must be printable ASCII without spaces at its "
                    f"ends, and is not; is there a line break in it?"
                )


def _is_header_text(text: str) -> bool:
    """Whether a header can have that value."""
    return text.isascii() and text.isprintable() and text == text.strip()
