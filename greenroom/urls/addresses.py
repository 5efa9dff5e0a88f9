"""Which addresses nobody may be led to by a name or a redirect: this machine, its cloud's metadata, and what is no host. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

_Address: TypeAlias = IPv4Address | IPv6Address
_Network: TypeAlias = IPv4Network | IPv6Network

_REFUSED: tuple[tuple[str, tuple[str, ...]], ...] = (
    # These are within ranges that are private or public otherwise, hence first.
    (
        "an address of a cloud's metadata",
        ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    ),
    ("a loopback address", ("127.0.0.0/8", "::1")),
    ("a link-local address", ("169.254.0.0/16", "fe80::/10")),
    ("an unspecified address", ("0.0.0.0/8", "::")),
    ("a multicast address", ("224.0.0.0/4", "ff00::/8")),
    (
        "a reserved address",
        ("192.0.0.0/24", "240.0.0.0/4", "100::/64", "2001::/23", "2001:db8::/32", "fec0::/10", "5f00::/16"),
    ),
)
_NETWORKS: tuple[tuple[str, tuple[_Network, ...]], ...] = tuple(
    (words, tuple(ip_network(text) for text in texts)) for words, texts in _REFUSED
)
_WRAPPED: tuple[tuple[IPv6Network, int], ...] = tuple(
    (IPv6Network(network), shift)
    for network, shift in (
        ("::ffff:0:0/96", 0),  # IPv4-mapped
        ("::ffff:0:0:0/96", 0),  # IPv4-translated
        ("64:ff9b::/96", 0),  # NAT64
        ("64:ff9b:1::/48", 0),  # NAT64 of one's own, as far as it ends in the address
        ("2002::/16", 80),  # 6to4
        ("::/96", 0),  # IPv4-compatible, and long gone
    )
)
"""Ways to write an IPv4 address as IPv6, and by how many bits it stands off the end."""


def literal(hostname: str) -> str | None:
    """The address that a URL's hostname is, without brackets; None for a name."""
    text = hostname.removeprefix("[").removesuffix("]")
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def danger(address: str) -> str | None:
    """What is wrong with an address, in words: `a loopback address`. None if it may be connected to.

    Private networks may: that is where a company's Git hosts live. Raises ValueError for what is no address."""
    ip = ip_address(address.partition("%")[0])
    return next((words for form in _forms(ip) for words, networks in _NETWORKS if _in_any(form, networks)), None)


def _forms(ip: _Address) -> tuple[_Address, ...]:
    """The address, and the one that is wrapped in it."""
    for network, shift in _WRAPPED:
        if ip.version == 6 and ip in network and int(ip) > 1:
            return ip, IPv4Address(int(ip) >> shift & 0xFFFFFFFF)
    return (ip,)


def _in_any(ip: _Address, networks: tuple[_Network, ...]) -> bool:
    return any(ip in network for network in networks)
