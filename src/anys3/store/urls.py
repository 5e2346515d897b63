"""URLs of engines, as they may be shown: without what proves who somebody is."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, unquote

_SECRET = ("password", "passwd", "secret", "token", "passfile")
_HIDDEN = "***"


def scheme_of(url: str) -> str:
    """Return the scheme, in lower case; "" if there is none.

    >>> scheme_of("s3://bucket"), scheme_of("file:here"), scheme_of("/here")
    ('s3', 'file', '')
    """
    scheme, colon, _ = url.partition(":")
    return scheme.lower() if colon and scheme.isalnum() else ""


def redact(url: str) -> str:
    """Return the URL without passwords, well-formed or not.

    >>> redact("postgresql://me:se:cr@et@h1,h2:5433/db?pool=5&password=x")
    'postgresql://me:***@h1,h2:5433/db?pool=5&password=***'
    """
    if scheme_of(url) == "file":
        return url
    beginning, slashes, rest = url.partition("://")
    if not slashes:
        beginning, rest = "", url
    # The last @ ends who one is, even if a password that should have been escaped holds some, or a slash.
    who, at, place = rest.rpartition("@")
    user, colon, _ = who.partition(":")
    shown = f"{beginning}{slashes}{user}{colon and colon + _HIDDEN}{at}{place}"
    path, mark, query = shown.partition("?")
    return path + mark + "&".join(_shown(pair) for pair in query.split("&")) if mark else path


def lasting(url: str) -> str:
    """Return the URL as it may be kept: without passwords, and without what it says of the current directory."""
    return f"file:{file_path(url)}" if scheme_of(url) == "file" else redact(url)


def file_path(url: str) -> Path:
    """Return the directory of a `file:` URL, absolute.

    >>> file_path("file:/srv/a"), file_path("file:///srv/a")
    (PosixPath('/srv/a'), PosixPath('/srv/a'))
    """
    return Path(unquote(url.partition(":")[2].removeprefix("//"))).resolve()


def place_of(url: str) -> tuple[str, ...]:
    """Return what tells the place of a URL from others, not the way there.

    >>> place_of("rados://pool?conf=/etc/a&namespace=n") == place_of("rados://pool?conf=/b&namespace=n")
    True
    """
    if scheme_of(url) == "file":
        return ("file", str(file_path(url)))
    path, _, query = url.partition("?")
    given = parse_qs(query)
    return (
        scheme_of(url),
        path.rpartition("@")[2].rstrip("/"),
        *given.get("endpoint", [""]),
        *given.get("namespace", [""]),
    )


def _shown(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={_HIDDEN}" if equals and any(word in name.lower() for word in _SECRET) else pair


def redact_in(text: str, *urls: str) -> str:
    """Return a text, such as a library's error, in which neither these URLs nor their passwords stand.

    >>> redact_in("no login as me with hunter2", "postgresql://me:hunter2@h/db")
    'no login as me with ***'
    """
    for url in filter(None, urls):
        text = text.replace(url, redact(url))
        for secret in _secrets(url):
            text = text.replace(secret, _HIDDEN)
    return text


def _secrets(url: str) -> set[str]:
    """Return the passwords of a URL, as they stand there and as they are meant; very short ones are left out."""
    who = url.partition("://")[2].rpartition("@")[0]
    found = {who.partition(":")[2]}
    for pair in url.partition("?")[2].split("&"):
        name, _, value = pair.partition("=")
        if any(word in name.lower() for word in _SECRET):
            found.add(value)
    return {one for secret in found for one in (secret, unquote(secret)) if len(one) > 3}
