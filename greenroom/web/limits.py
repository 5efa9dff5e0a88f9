"""backend.rateLimit -> how many requests one address may make, told as express-rate-limit tells it."""

from __future__ import annotations

import ipaddress
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from greenroom.errors import ConfigError
from greenroom.settings import PluginRateLimit
from greenroom.web.headers import RawHeaders

REMEMBERED = 100_000
"""Addresses counted at a time; beyond that, the one whose window ends first is forgotten."""

BODY = b'{"error":{"name":"Error","message":"Too many requests, please try again later"},"response":{"statusCode":429}}'


class Verdict(NamedTuple):
    """What the limiter says about one request."""

    passes: bool
    headers: RawHeaders
    key: str


class RateLimiter:
    """Counts requests per address in windows that begin with the first one. IPv6 addresses count by /56 network."""

    def __init__(self, config: PluginRateLimit, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._allowed = frozenset(config.ip_allow_list)
        self._window = config.window.total_seconds()
        self._clock = clock
        self._hits: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """By address, how many in a window and its end; in the order in which the windows end."""

    def admit(self, address: str, peer: str) -> Verdict | None:
        """Count a request from an address, which a proxy may have told; None for one that is not limited."""
        if address in self._allowed or peer in self._allowed:
            return None
        key, now = network_of(address), self._clock()
        hits, until = self._hits.get(key, (0, 0.0))
        if until <= now:
            hits, until = 0, now + self._window
            self._hits.pop(key, None)
            if len(self._hits) >= REMEMBERED:
                self._hits.popitem(last=False)
        hits += 1
        self._hits[key] = (hits, until)
        limit = self._config.incoming_request_limit
        headers = [
            (b"X-RateLimit-Limit", b"%d" % limit),
            (b"X-RateLimit-Remaining", b"%d" % max(limit - hits, 0)),
            (b"X-RateLimit-Reset", b"%d" % math.ceil(until)),
        ]
        if hits > limit:
            headers.append((b"Retry-After", b"%d" % max(0, math.ceil(until - now))))
        return Verdict(hits <= limit, headers, key)

    def finished(self, key: str, status: int) -> None:
        """Take back the count of a request that does not count, once its status is known."""
        config = self._config
        skipped = config.skip_successful_requests if status < 400 else config.skip_failed_requests
        if skipped and key in self._hits:
            hits, until = self._hits[key]
            self._hits[key] = (max(hits - 1, 0), until)


def network_of(address: str) -> str:
    """The address itself, or the /56 network of an IPv6 one, so that nobody gets a limit per address of their own."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 56), strict=False))


TrustProxy = bool | int | str | list[str]
_NAMED = {
    "loopback": ("127.0.0.0/8", "::1/128"),
    "linklocal": ("169.254.0.0/16", "fe80::/10"),
    "uniquelocal": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
}


class ClientAddress:
    """backend.trustProxy -> who the client is: how far `X-Forwarded-For` is believed, as express' `trust proxy`."""

    def __init__(self, trust: TrustProxy | None) -> None:
        """Text that says `true`, `false` or a number is read as such: that is how it comes out of a variable.

        Raises ConfigError."""
        trust = _written_out(trust)
        names = trust if isinstance(trust, list) else []
        words = [word.strip() for name in names for word in name.split(",") if word.strip()]
        self._networks = [network for word in words for network in _networks(word)]
        self._hops = math.inf if trust is True else trust if isinstance(trust, int) else 0
        if self._hops < 0:
            raise ConfigError("backend.trustProxy", "a number of proxies is not negative", value=trust)

    def of(self, peer: str, headers: Mapping[bytes, bytes]) -> str:
        """The address of the client, given that of the peer on the socket."""
        if not self._hops and not self._networks:
            return peer
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        addresses = [peer, *(part.strip() for part in reversed(forwarded.split(",")) if part.strip())]
        for index, address in enumerate(addresses):
            if not self._trusts(address, index):
                return address
        return addresses[-1]

    def _trusts(self, address: str, index: int) -> bool:
        if not self._networks:
            return index < self._hops
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _written_out(trust: TrustProxy | None) -> bool | int | list[str] | None:
    if not isinstance(trust, str):
        return trust
    text = trust.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else [text]


def _networks(word: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(network, strict=False) for network in _NAMED.get(word, (word,))]
    except ValueError:
        hint = f"true, a number of proxies, addresses such as 10.0.0.0/8, or {', '.join(_NAMED)}"
        raise ConfigError("backend.trustProxy", "is not an address", value=word, hint=hint) from None
