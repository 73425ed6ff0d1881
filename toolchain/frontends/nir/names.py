"""Names of nodes, fields and metadata: short, and nothing that a terminal would obey."""

from __future__ import annotations

__all__ = ["name_fault"]


def name_fault(name: str, most_bytes: int) -> str | None:
    """Why ``name`` is none, or None where it is one."""
    if len(name.encode("utf-8", "surrogatepass")) > most_bytes:
        return f"a name of more than {most_bytes} bytes: {name[:40]!r}..."
    if not name.strip() or not name.isprintable() or "/" in name or name in (".", ".."):
        return f"{name!r} is no name; takes printable text without a slash"
    return None
