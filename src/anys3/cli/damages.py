"""Damage as `anys3 scrub`, `anys3 backup` and `anys3 store copy` tell it."""

from __future__ import annotations

from anys3.store.damage import Damage


def where(damage: Damage) -> str:
    """Return what a damage concerns, in words."""
    if not damage.bucket and not damage.key:
        return "the index"
    words = [f"upload {damage.upload_id}"] if damage.upload_id else []
    words += [f"part {damage.part_number}"] if damage.part_number else []
    details = f" ({', '.join(words)})" if words else ""
    return f"{damage.bucket}/{damage.key.decode('utf-8', 'backslashreplace')}{details}"


def as_json(damage: Damage) -> dict[str, object]:
    """Return one damage, in the shape that all commands with --json share."""
    return {
        "kind": damage.kind,
        "bucket": damage.bucket or None,
        "key": damage.key.decode("utf-8", "backslashreplace") or None,
        "upload_id": damage.upload_id or None,
        "part_number": damage.part_number or None,
        "file": damage.file or None,
        "reason": damage.reason,
    }
