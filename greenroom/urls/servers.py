"""The address of a server, as somebody gives it to a command."""

from __future__ import annotations

from greenroom.errors import ConfigError


def server_address(given: str, said_by: str) -> str:
    """What was given, if a server may be there. Raises ConfigError for `said_by` (`--server`, a path of the config): a server whose
    address is misspelt may well be running."""
    from yarl import URL  # here, for commands that ask no server load faster without

    try:
        url = URL(given)
    except ValueError:
        url = URL()
    if url.scheme in ("http", "https") and url.host:
        return given
    like = "" if "://" in given else f", such as http://{given}"
    raise ConfigError(
        said_by, f"{given} is not the address of a server, which begins with http:// or https:// and names a host{like}"
    )
