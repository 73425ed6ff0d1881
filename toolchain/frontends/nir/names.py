"""Validity of the names of nodes, fields and metadata: short, no control characters."""

from __future__ import annotations

__all__ = ["name_fault"]


def name_fault(name: str, most_bytes: int) -> str | None:
    """Return why ``name`` is invalid, or None if it is valid."""
    if len(name.encode("utf-8", "surrogatepass")) > most_bytes:
        return f"name longer than {most_bytes} bytes: {name[:40]!r}..."
    if not name.strip() or not name.isprintable() or "/" in name or name in (".", ".."):
        return f"{name!r} is not a valid name; names are printable and contain no slash"
    return None
