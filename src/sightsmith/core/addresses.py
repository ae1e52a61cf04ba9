"""Addresses in messages."""

import re

from sightsmith.core.images import printable

_VALUE = re.compile(r"=[^/&]*")  # of a parameter in a path, as in cam/user=me_password=secret


def without_secrets(address: str) -> str:
    """Return an address for messages: user, password, query, and values of parameters in its path as stars.

    All up to the last `@` counts as user and password, because a password may hold any other sign unescaped.
    """
    scheme, mark, rest = address.partition("://")
    _, signed, rest = rest.rpartition("@")
    path, asked, _ = rest.partition("?")
    return printable(f"{scheme}{mark}{'***@' if signed else ''}{_VALUE.sub('=***', path)}{'?***' if asked else ''}")
