"""Whether a text is a URL to JavaScript, that is, whether `new URL(text)` takes it (URL Standard of the WHATWG).

Python's own parsers accept or refuse other texts; links of entities must be judged as upstream judges them. Only validity is
worked out here. International host names are mapped with NFKC and lower case, which is UTS 46 but for rare characters.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from urllib.parse import unquote_to_bytes

_SPECIAL = frozenset({"http", "https", "ws", "wss", "ftp"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_AUTHORITY = re.compile(r"[^/?#]*")
_SPECIAL_AUTHORITY = re.compile(r"[/\\]*([^/\\?#]*)")
_PLAIN_HTTP = re.compile(r"https?://[a-z0-9-]*[a-z][a-z0-9-]*(?:\.[a-z0-9-]*[a-z][a-z0-9-]*)*(?:[/?#][^\x00-\x20]*)?")
_FORBIDDEN_IN_HOST = re.compile(r"[\x00\t\n\r #/:<>?@\[\\\]^|]")
_FORBIDDEN_IN_DOMAIN = re.compile(r"[\x00-\x20\"#%/:<>?@\[\\\]^`{|}\x7f]")
_DRIVE = re.compile(r"[A-Za-z][:|]")
_IGNORED = re.compile("[\u00ad\u034f\u180b-\u180d\u200b\u2060\u2064\ufe00-\ufe0f\ufeff]")
_FULL_STOPS = re.compile("[\u3002\uff0e\uff61]")
_C0_OR_SPACE = "".join(map(chr, range(33)))


def is_url(text: str) -> bool:
    """Whether the text is an absolute URL."""
    if _PLAIN_HTTP.fullmatch(text) is not None and "xn--" not in text:
        return True
    text = re.sub(r"[\t\n\r]", "", text.strip(_C0_OR_SPACE))
    scheme = _SCHEME.match(text)
    if scheme is None:
        return False
    name, rest = scheme[1].lower(), text[scheme.end() :]
    if name in _SPECIAL:
        found = _SPECIAL_AUTHORITY.match(rest)
        return found is not None and _is_authority(found[1], special=True)
    if name == "file":
        return _is_file(rest)
    if rest.startswith("//"):
        found = _AUTHORITY.match(rest, 2)
        return found is not None and _is_authority(found[0], special=False)
    return True


def _is_file(rest: str) -> bool:
    slashes = rest.replace("\\", "/")
    if not slashes.startswith("//"):
        return True
    found = _AUTHORITY.match(slashes, 2)
    host = found[0] if found is not None else ""
    return not host or _DRIVE.fullmatch(host) is not None or _is_domain_or_address(host)


def _is_authority(authority: str, *, special: bool) -> bool:
    """`[user[:password]@]host[:port]`, where only schemes that are not special may have no host at all."""
    _, at, place = authority.rpartition("@")
    host, colon, port = _split_port(place)
    if not host and (special or at or colon):
        return False
    if port and not (port.isascii() and port.isdigit() and int(port[-6:] if port.strip("0") else "0") <= 65535):
        return False
    if len(port.lstrip("0")) > 5:
        return False
    return _is_domain_or_address(host) if special else _is_opaque_host(host)


def _split_port(place: str) -> tuple[str, str, str]:
    """At the first colon that does not stand in brackets."""
    inside = False
    for index, character in enumerate(place):
        if character == ":" and not inside:
            return place[:index], ":", place[index + 1 :]
        inside = character == "[" or (inside and character != "]")
    return place, "", ""


def _is_opaque_host(host: str) -> bool:
    return _is_bracketed(host) if host.startswith("[") else _FORBIDDEN_IN_HOST.search(host) is None


def _is_domain_or_address(host: str) -> bool:
    if host.startswith("["):
        return _is_bracketed(host)
    domain = _to_ascii(unquote_to_bytes(host.encode("utf-8", "replace")).decode("utf-8", "replace"))
    if not domain or _FORBIDDEN_IN_DOMAIN.search(domain) is not None:
        return False
    return _is_address(domain) if _ends_in_number(domain) else True


def _is_bracketed(host: str) -> bool:
    if not host.endswith("]") or "%" in host:
        return False
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


def _to_ascii(domain: str) -> str | None:
    """Lower-cased and mapped; None when a label may not stand in a host name. Labels that need punycode stay as they are."""
    if domain.isascii() and "xn--" not in domain.lower():
        return domain.lower()
    mapped = _FULL_STOPS.sub(".", _IGNORED.sub("", domain))
    mapped = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", mapped).casefold())
    labels = mapped.split(".")
    return ".".join("x" if not label.isascii() else label for label in labels) if all(map(_is_label, labels)) else None


def _is_label(label: str) -> bool:
    if label.startswith("xn--"):
        try:
            decoded = label[4:].encode("ascii").decode("punycode")
        except UnicodeError:
            return False
        return bool(decoded) and not decoded.isascii() and _is_label(decoded)
    if label.isascii():
        return True
    categories = [unicodedata.category(character) for character in label]
    forbidden = _FORBIDDEN_IN_DOMAIN.search(label) is not None
    return (
        not forbidden
        and categories[0][0] != "M"
        and not {"Cn", "Co", "Cs", "Cc"} & set(categories)
        and "\ufffd" not in label
    )


def _ends_in_number(domain: str) -> bool:
    parts = domain.split(".")
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts[-1].isdigit() or _ipv4_number(parts[-1]) is not None


def _is_address(domain: str) -> bool:
    """An IPv4 address in any of the shapes that the standard takes: fewer parts, octal, hexadecimal."""
    parts = domain.split(".")
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    numbers = [_ipv4_number(part) for part in parts]
    found = [number for number in numbers if number is not None]
    if len(found) != len(parts) or len(parts) > 4:
        return False
    return all(number <= 255 for number in found[:-1]) and found[-1] < 256 ** (5 - len(found))


def _ipv4_number(part: str) -> int | None:
    if not part:
        return None
    base, digits = 10, part
    if part[:2] in ("0x", "0X"):
        base, digits = 16, part[2:]
    elif len(part) > 1 and part[0] == "0":
        base, digits = 8, part[1:]
    if re.fullmatch(r"[0-9a-fA-F]*", digits) is None:
        return None
    try:
        return int(digits, base) if digits else 0
    except ValueError:
        return None


_SCRIPT = re.compile(r"[\x00-\x20]*" + r"[\r\n\t]*".join("javascript") + r"[\r\n\t]*:", re.IGNORECASE)


def is_script_url(text: str) -> bool:
    """Whether a browser would run it as a `javascript:` URL, however it is disguised (upstream's pattern)."""
    return _SCRIPT.match(text) is not None
