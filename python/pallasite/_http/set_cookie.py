"""The rules browsers apply to a cookie's attributes. A cookie that breaks them is dropped silently.

Source: RFC 6265bis (draft-ietf-httpbis-rfc6265bis-22) sections 4.1.3 and 5.7; CHIPS for Partitioned.
"""

from __future__ import annotations


def check_prefix(name: str, path: str | None, domain: str | None, secure: bool) -> None:
    """Check the ``__Secure-`` and ``__Host-`` prefixes, which browsers recognise in any case.

    Raises:
        ValueError: ``__Secure-`` without Secure; ``__Host-`` without Secure, with a Domain, or with a path other than
            "/".
    """
    prefix = name[:9].lower()
    if prefix == "__secure-":
        if not secure:
            raise ValueError(f"the __Secure- prefix requires secure=True (browsers drop cookie {name!r} otherwise)")
    elif prefix.startswith("__host-") and (not secure or domain is not None or path != "/"):
        raise ValueError(
            f'the __Host- prefix requires secure=True, path="/" and no domain (browsers drop cookie {name!r} otherwise)'
        )


def check_cross_site(name: str, same_site: str | None, secure: bool, partitioned: bool) -> None:
    """Check the attributes of a cookie that is sent with cross-site requests.

    Raises:
        ValueError: ``SameSite=None`` or ``Partitioned`` without Secure.
    """
    if secure:
        return
    if same_site is not None and same_site.lower() == "none":
        raise ValueError(f"SameSite=None requires secure=True (browsers drop cookie {name!r} otherwise)")
    if partitioned:
        raise ValueError(f"Partitioned requires secure=True (browsers drop cookie {name!r} otherwise)")
