"""Addresses of endpoints: which are taken, and how they are shown."""

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import SplitResult, parse_qsl, urlsplit

_SECRET = re.compile(r"auth|key|token|secret|passw|cookie|credential|signature|^code$|^sig$", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Whether a header or part of a query by that name would hold a secret."""
    return bool(_SECRET.search(name))


def shown(url: str) -> str:
    """An address for people: without its query and without credentials."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def is_local(url: str) -> bool:
    """Whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def address_problems(url: object, *, allow_http: bool) -> Iterator[str]:
    """What is wrong with the address of an endpoint; nothing if all is well."""
    parts = _split(url)
    if not isinstance(url, str) or parts is None:
        got = "another one" if {"@", "?"} & set(str(url)) else repr(str(url)[:80])  # there may be a secret in it
        yield f"url: must be an address such as 'https://models.example.com/score', got {got}"
        return
    secret = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if is_secret_name(name)]
    if "@" in parts.netloc or "${" in url or secret:
        yield (
            "url: must hold no secret, and has credentials, ${...} or a query that looks like one in it; put it into a "
            'header from the environment, such as headers = { Authorization = "Bearer ${SCORING_TOKEN}" }'
        )
    elif parts.scheme == "http" and not (allow_http or is_local(url)):
        yield (
            "url: must begin with https, since records would travel unencrypted to another machine; "
            "where that network is yours, say allow_http = true in an endpoint file"
        )


def _split(url: object) -> SplitResult | None:
    """The parts of a web address, or None where it is none."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number up to 65535
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None
