"""text (and a base) -> Url: the URL parser of browsers and Node (url.spec.whatwg.org), by which upstream resolves."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from greenroom.errors import InputError
from greenroom.javascript.texts import well_formed


class InvalidUrlError(InputError):
    """Invalid URL"""

    name = "TypeError"  # what `new URL()` throws


PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "file": None}
"""The schemes whose URLs always have a host (or, for `file`, a hierarchy), and their default ports."""

_AROUND = "".join(map(chr, range(0x21)))
_NEVER = re.compile(r"[\t\n\r]")
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_DRIVE = re.compile(r"[A-Za-z][:|]")
_FORBIDDEN_IN_HOST = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|]")
_FORBIDDEN_IN_DOMAIN = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|%\x7f]")
_PLAIN_HTTP = re.compile(r"https?://[0-9-]*+[a-z][a-z0-9-]*+(?:\.[0-9-]*+[a-z][a-z0-9-]*+)*+(?:[/?#][^\x00-\x20]*+)?")
"""What is a URL beyond doubt, if nothing in it is in punycode: nearly all that are asked about."""
_PLAIN = re.compile(r"(https?)://((?:[a-z0-9-]++\.)*+[a-z][a-z0-9-]*+)((?:/[A-Za-z0-9_.~-]*+)++)")
"""What parsing leaves as it is, if there is no punycode in it and no segment begins with a dot: nearly all addresses of files."""
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN", "EN", "ES", "CS", "ET", "ON", "BN", "NSM"})
_MAY_END = frozenset({"R", "AL", "EN", "AN"})
_DOT = {".", "%2e"}
_TWO_DOTS = {"..", ".%2e", "%2e.", "%2e%2e"}

# What stays as it is, per component, besides ASCII letters and digits.
_IN_FRAGMENT = "!#$%&'()*+,-./:;=?@[\\]^_{|}~"
_IN_QUERY = "!$%&'()*+,-./:;=?@[\\]^_`{|}~"
_IN_SPECIAL_QUERY = _IN_QUERY.replace("'", "")
_IN_PATH = "!$%&'()*+,-./:;=@[\\]^_|~"
_IN_USERINFO = "!$%&'()*+,-._~"
_IN_OPAQUE = "".join(map(chr, range(0x20, 0x7F)))


@dataclass(frozen=True)
class Url:
    """One parsed URL. `path` is a tuple of segments, or a string where the scheme has no hierarchy (`mailto:x`)."""

    scheme: str
    username: str = ""
    password: str = ""
    hostname: str | None = None
    port: int | None = None
    path: tuple[str, ...] | str = ()
    query: str | None = None
    fragment: str | None = None

    @property
    def special(self) -> bool:
        return self.scheme in PORTS

    @property
    def host(self) -> str:
        """Hostname and, unless it is the scheme's own, port."""
        return (self.hostname or "") + ("" if self.port is None else f":{self.port}")

    @property
    def pathname(self) -> str:
        return self.path if isinstance(self.path, str) else "".join(f"/{segment}" for segment in self.path)

    @property
    def search(self) -> str:
        """The query with its question mark; empty where there is none or an empty one."""
        return f"?{self.query}" if self.query else ""

    @property
    def href(self) -> str:
        """The URL as text, normalised."""
        text = f"{self.scheme}:{self._authority()}{self.pathname}"
        if self.query is not None:
            text += f"?{self.query}"
        if self.fragment is not None:
            text += f"#{self.fragment}"
        return text

    def _authority(self) -> str:
        if self.hostname is None:
            hidden = not isinstance(self.path, str) and len(self.path) > 1 and self.path[0] == ""
            return "/." if hidden else ""
        user = self.username + (f":{self.password}" if self.password else "")
        return f"//{user}@{self.host}" if user else f"//{self.host}"

    def with_path(self, path: str) -> Url:
        """The same URL with another path, in which `?` and `#` are ordinary characters."""
        if isinstance(self.path, str):
            return self
        path = well_formed(path)
        return replace(self, path=_path(path.replace("?", "%3F").replace("#", "%23"), self))

    def with_search(self, search: str) -> Url:
        query = search.removeprefix("?")
        return replace(self, query=_encode(query, _IN_SPECIAL_QUERY if self.special else _IN_QUERY) if search else None)

    def with_fragment(self, fragment: str) -> Url:
        return replace(self, fragment=_encode(fragment, _IN_FRAGMENT))

    def with_parameter(self, **parameters: str) -> Url:
        """The same URL with these query parameters set; all of the query is then written in form encoding."""
        pairs = self.parameters()
        for name, value in parameters.items():
            at = [index for index, (key, _) in enumerate(pairs) if key == name]
            pairs = [pair for index, pair in enumerate(pairs) if index not in at[1:]]
            if at:
                pairs[at[0]] = (name, value)
            else:
                pairs.append((name, value))
        return replace(self, query="&".join(f"{_form(key)}={_form(value)}" for key, value in pairs))

    def parameters(self) -> list[tuple[str, str]]:
        return parse_qsl(self.query or "", keep_blank_values=True, errors="replace")


@lru_cache(maxsize=256)  # who asks one thing about a URL mostly goes on to ask another
def parse(text: str, base: str | Url | None = None) -> Url:
    """Raises InvalidUrlError, as `new URL(text, base)` throws a TypeError."""
    if plain := _plain(text):
        scheme, hostname, path = plain.groups()
        return Url(scheme, hostname=hostname, path=tuple(path[1:].split("/")))
    text = well_formed(text)
    text = _NEVER.sub("", text.strip(_AROUND))
    found = _SCHEME.match(text)
    context = parse(base) if isinstance(base, str) else base
    if found is None:
        return _relative(text, context)
    scheme, rest = found[1].lower(), text[found.end() :]
    if scheme == "file":
        return _file(rest, context)
    if scheme in PORTS:
        if context is not None and context.scheme == scheme and not rest.startswith("//"):
            return _relative(rest, context)
        return _absolute(scheme, rest.lstrip("/\\"))
    if rest.startswith("//"):
        return _absolute(scheme, rest[2:])
    return _without_authority(scheme, rest)


def _plain(text: str) -> re.Match[str] | None:
    return None if "/." in text or "xn--" in text else _PLAIN.fullmatch(text)


def folder_of(text: str) -> str | None:
    """What `./` means at a URL of the commonest form, found without parsing it; None for any other."""
    return text[: text.rindex("/") + 1] if _plain(text) else None


def host_of(text: str) -> str:
    """`Url.host` of a URL; of the commonest form it is found without parsing. Raises InvalidUrlError."""
    plain = _plain(text)
    return parse(text).host if plain is None else plain[2]


def is_url(text: str) -> bool:
    """Whether `new URL(text)` takes it."""
    if _PLAIN_HTTP.fullmatch(text) is not None and "xn--" not in text:
        return True
    try:
        parse(text)
    except InvalidUrlError:
        return False
    return True


def _without_authority(scheme: str, rest: str) -> Url:
    path, query, fragment = _split(rest)
    url = Url(scheme, query=_query(query, special=False), fragment=_fragment(fragment))
    if path.startswith("/"):
        return replace(url, path=_path(path, url))
    if query is not None or fragment is not None:
        path = re.sub(r" $", "%20", path)
    return replace(url, path=_encode(path, _IN_OPAQUE))


def _absolute(scheme: str, rest: str) -> Url:
    special = scheme in PORTS
    end = re.search(r"[/\\?#]" if special else r"[/?#]", rest)
    authority, rest = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    userinfo, _, address = authority.rpartition("@")
    username, _, password = userinfo.partition(":")
    hostname, port = _host_and_port(address, scheme)
    if not hostname and (special or "@" in authority or address.startswith(":")):
        raise InvalidUrlError
    url = Url(scheme, _encode(username, _IN_USERINFO), _encode(password, _IN_USERINFO), hostname, port)
    return _with_rest(url, rest)


def _with_rest(url: Url, rest: str) -> Url:
    path, query, fragment = _split(rest)
    segments = _path(path, url) if path or url.special else ()
    return replace(url, path=segments, query=_query(query, special=url.special), fragment=_fragment(fragment))


def _relative(text: str, base: Url | None) -> Url:
    if base is None or (isinstance(base.path, str) and not text.startswith("#")):
        raise InvalidUrlError
    if isinstance(base.path, str):
        return replace(base, fragment=_fragment(text[1:]))
    if base.scheme == "file":
        return _file(text, base)
    slashes = text.replace("\\", "/") if base.special else text
    if slashes.startswith("//"):
        return _absolute(base.scheme, text.lstrip("/\\") if base.special else text[2:])
    return _below(text, base)


def _below(text: str, base: Url) -> Url:
    path, query, fragment = _split(text)
    if path:
        rooted = path.startswith(("/", "\\") if base.special else "/")
        above: tuple[str, ...] = () if rooted else base.path[:-1]  # type: ignore[assignment]
        base = replace(base, path=_path(path, base, above), query=None)
    if path or query is not None:
        base = replace(base, query=_query(query, special=base.special))
    elif base.query == "":  # of an empty query only the question mark is there to be inherited; Node does not
        base = replace(base, query=None)
    return replace(base, fragment=_fragment(fragment))


def _file(rest: str, base: Url | None) -> Url:
    slashes = rest.replace("\\", "/")
    if slashes.startswith("//"):
        return _file_with_host(rest[2:])
    if base is None or base.scheme != "file":
        return _with_rest(Url("file", hostname=""), rest if slashes.startswith("/") else f"/{rest}")
    here = replace(base, path=() if isinstance(base.path, str) else base.path)
    if _DRIVE.match(rest) and re.match(r"$|[/\\?#]", rest[2:]):
        return _with_rest(replace(here, query=None), f"/{rest}")
    drive = here.path[0] if here.path and re.fullmatch(r"[A-Za-z]:", here.path[0]) else ""
    if slashes.startswith("/") and drive and not re.match(r"/[A-Za-z][:|](?:$|[/?#])", slashes):
        return _with_rest(replace(here, query=None), f"/{drive}{rest}")
    return _below(rest, here)


def _file_with_host(rest: str) -> Url:
    end = re.search(r"[/\\?#]", rest)
    host, path = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    if _DRIVE.fullmatch(host):
        host, path = "", f"/{rest}"
    hostname = _domain(host) if host else ""
    return _with_rest(Url("file", hostname="" if hostname == "localhost" else hostname), path)


def _split(text: str) -> tuple[str, str | None, str | None]:
    text, hash_, fragment = text.partition("#")
    path, mark, query = text.partition("?")
    return path, query if mark else None, fragment if hash_ else None


def _query(query: str | None, *, special: bool) -> str | None:
    return None if query is None else _encode(query, _IN_SPECIAL_QUERY if special else _IN_QUERY)


def _fragment(fragment: str | None) -> str | None:
    return None if fragment is None else _encode(fragment, _IN_FRAGMENT)


def _path(path: str, url: Url, above: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Segments of a path below others, without dots."""
    if url.special:
        path = path.replace("\\", "/")
    segments = list(above)
    parts = path.removeprefix("/").split("/")
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part.lower() in _TWO_DOTS:
            if segments and not (
                url.scheme == "file" and len(segments) == 1 and re.fullmatch("[A-Za-z]:", segments[0])
            ):
                segments.pop()
            if last:
                segments.append("")
        elif part.lower() in _DOT:
            if last:
                segments.append("")
        else:
            drive = url.scheme == "file" and not segments and _DRIVE.fullmatch(part)
            segments.append(f"{part[0]}:" if drive else _encode(part, _IN_PATH))
    return tuple(segments)


def _host_and_port(address: str, scheme: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::([0-9]*))?", address)
    if found is None:
        raise InvalidUrlError
    port = int(found[2]) if found[2] else None
    if port is not None and port > 65535:
        raise InvalidUrlError
    hostname = _domain(found[1]) if scheme in PORTS else _opaque_host(found[1])
    return hostname, None if port == PORTS.get(scheme) else port


def _opaque_host(host: str) -> str:
    if host.startswith("["):
        return _ipv6(host)
    if _FORBIDDEN_IN_HOST.search(host):
        raise InvalidUrlError
    return _encode(host, _IN_OPAQUE)


def _domain(host: str) -> str:
    if host.startswith("["):
        return _ipv6(host)
    domain = unquote_to_bytes(host.encode()).decode("utf-8", "replace")
    domain = domain.lower() if domain.isascii() else domain
    if not domain.isascii() or "xn--" in domain:
        domain = _to_ascii(domain)
    if not domain or _FORBIDDEN_IN_DOMAIN.search(domain):
        raise InvalidUrlError
    labels = domain.removesuffix(".").split(".")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        return _ipv4(labels)
    return domain


def _to_ascii(domain: str) -> str:
    """Domain to ASCII by UTS 46, with nothing asked of hyphens and lengths."""
    import idna  # its tables take a while to load, and are hardly ever needed

    try:
        labels = idna.uts46_remap(domain, std3_rules=False).split(".")
        unicode = [_decoded_label(label) for label in labels]
        if any(idna.uts46_remap(label, std3_rules=False) != label for label in unicode):
            raise InvalidUrlError
        for label in unicode:
            _check_label(label)
    except UnicodeError as error:  # idna's own errors are of this kind
        raise InvalidUrlError from error
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in unicode)


def _decoded_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    decoded = label[4:].encode("ascii").decode("punycode")
    if decoded.isascii():
        raise InvalidUrlError
    return decoded


def _check_label(label: str) -> None:
    """Combining marks do not come first, joiners only join, and directions do not mix."""
    import idna

    if not _is_one_way(label) or (label and unicodedata.category(label[0]).startswith("M")):
        raise InvalidUrlError
    for index, character in enumerate(label):
        if character in "\u200c\u200d" and not idna.valid_contextj(label, index):
            raise InvalidUrlError


def _is_one_way(label: str) -> bool:
    """The rules of RFC 5893, section 2, as far as Node keeps them."""
    ways = [unicodedata.bidirectional(character) for character in label]
    if not {"R", "AL", "AN"}.intersection(ways):
        return True
    end = max((index for index, way in enumerate(ways) if way != "NSM"), default=0)
    if ways[0] == "L":
        return not {"R", "AL", "AN"}.intersection(ways[:end])
    return _RIGHT_TO_LEFT.issuperset(ways) and not {"EN", "AN"}.issubset(ways) and ways[end] in _MAY_END


def _ipv6(host: str) -> str:
    if not host.endswith("]") or "%" in host:
        raise InvalidUrlError
    try:
        address = ipaddress.IPv6Address(host[1:-1])
    except ValueError as error:
        raise InvalidUrlError from error
    if mapped := address.ipv4_mapped:  # which later versions of Python print with dots
        return f"[::ffff:{int(mapped) >> 16:x}:{int(mapped) & 0xFFFF:x}]"
    return f"[{address}]"


def _ipv4(labels: list[str]) -> str:
    """Up to four numbers, decimal, octal or hexadecimal; the last fills what is left: `0x7f.1` is `127.0.0.1`."""
    numbers = [_ipv4_number(label) for label in labels]
    *front, last = numbers
    if len(numbers) > 4 or any(number > 255 for number in front) or last >= 256 ** (5 - len(numbers)):
        raise InvalidUrlError
    value = last + sum(number << 8 * (3 - index) for index, number in enumerate(front))
    return str(ipaddress.IPv4Address(value))


def _ipv4_number(label: str) -> int:
    if not (label.isascii() and label.isalnum()):  # of `-1`, `+1` and `1_0` Python would make numbers
        raise InvalidUrlError
    try:
        if label.startswith("0x"):
            return int(label[2:] or "0", 16)
        return int(label, 8) if len(label) > 1 and label.startswith("0") else int(label)
    except ValueError as error:
        raise InvalidUrlError from error


def _encode(text: str, keep: str) -> str:
    if _UNRESERVED.fullmatch(text):  # most segments are; the general way takes ten times as long
        return text
    return quote(text.encode(), safe=keep.encode())


def _form(text: str) -> str:
    return quote(text, safe="* ").replace("~", "%7E").replace(" ", "+")
