"""The configured URL in its parts, and whether the settings allow its host."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from clipita.errors import ConfigError

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
DEFAULT_PORTS = {"http": 9200, "https": 443}


@dataclass(frozen=True)
class Address:
    """A cluster's address; its text has no user and password."""

    scheme: str
    host: str
    port: int
    prefix: str
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


def parse_all(urls: str) -> list[Address]:
    """The addresses of nodes of one cluster, with commas between them.

    Raises:
        ConfigError: one is not the address of a server; or they differ in scheme, user or password.
    """
    addresses = [parse(url.strip()) for url in urls.split(",")]
    if len({(each.scheme, each.username, each.password) for each in addresses}) > 1:
        raise ConfigError(
            "The nodes in the OpenSearch URL differ in scheme, user or password.",
            hint="Write all of them with http:// or all with https://, and give the user by username and password.",
        )
    return addresses


def parse(url: str) -> Address:
    """Parse a URL; a ConfigError where it is not the address of a server."""
    # No error text repeats any of the URL: until it is parsed, any part of it may be the password.
    hint = "Write it as https://host:9200; a user or password before the host must be percent-encoded."
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError:
        raise ConfigError("The OpenSearch URL cannot be parsed.", hint=hint) from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.query or parts.fragment or "@" in parts.path:
        raise ConfigError("The OpenSearch URL is not the address of a server.", hint=hint)
    return Address(
        scheme=parts.scheme,
        host=parts.hostname,
        port=DEFAULT_PORTS[parts.scheme] if port is None else port,
        prefix=parts.path.rstrip("/"),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def check_allowed(address: Address, allowed: tuple[str, ...]) -> None:
    """Refuse a host that is not among `allowed`; an empty list allows all.

    An entry is `host` or `host:port`, with `*` for any characters, such as `*.search.internal:9200`.
    """
    names = (address.host, f"{address.host}:{address.port}")
    if allowed and not any(fnmatch.fnmatchcase(name, entry.lower()) for name in names for entry in allowed):
        raise ConfigError(
            f"{address} is not among allowed_hosts ({', '.join(allowed)}); nothing was sent there.",
            hint="Check the URL, or add the host to allowed_hosts in [opensearch].",
        )
