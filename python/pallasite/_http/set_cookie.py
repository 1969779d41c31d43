"""What browsers demand of a cookie's attributes: one that breaks these rules they drop without a word.

Source: RFC 6265bis (draft-ietf-httpbis-rfc6265bis-22) sections 4.1.3 and 5.7; CHIPS for Partitioned.
"""

from __future__ import annotations


def check_prefix(name: str, path: str | None, domain: str | None, secure: bool) -> None:
    """Raises ValueError for ``__Secure-`` without Secure, and for ``__Host-`` without it, with a Domain or another path
    than "/". Browsers take the prefixes in any case.
    """
    prefix = name[:9].lower()
    if prefix == "__secure-":
        if not secure:
            raise ValueError(f"browsers drop the cookie {name!r} unless it is secure")
    elif prefix.startswith("__host-") and (not secure or domain is not None or path != "/"):
        raise ValueError(f'browsers drop the cookie {name!r} unless it is secure, has the path "/" and no domain')


def check_cross_site(name: str, same_site: str | None, secure: bool, partitioned: bool) -> None:
    """Raises ValueError for ``SameSite=None`` or ``Partitioned`` without Secure."""
    if secure:
        return
    if same_site is not None and same_site.lower() == "none":
        raise ValueError(f"browsers drop the cookie {name!r}: SameSite=None needs it to be secure")
    if partitioned:
        raise ValueError(f"browsers drop the cookie {name!r}: Partitioned needs it to be secure")
