"""DeleteObject: DEL-01 to DEL-06."""

from __future__ import annotations

from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check

_OTHER_VERSIONS = ("abc", "UIORUnfndfiufdisojhr398493jfdkjFJjkndnqUifhnw89493jJFJ")


@check("DEL-01", operation="DeleteObject", quick=True)
def existing_key(probe: Probe) -> None:
    """Deleting an object answers 204."""
    probe.delete(probe.given_object()).expect("204", about="DELETE of an object")


@check("DEL-02", operation="DeleteObject")
def missing_key(probe: Probe) -> None:
    """Deleting a key that is not there answers 204, and so does deleting an object twice."""
    probe.delete(probe.key("never")).expect("204", about="DELETE of a key that never was")
    key = probe.given_object()
    with probe.setting_up("an object could not be deleted"):
        probe.delete(key).expect("204")
    probe.delete(key).expect("204", about="DELETE of an object that is already deleted")


@check("DEL-03", operation="DeleteObject")
def missing_bucket(probe: Probe) -> None:
    """Deleting in a bucket that does not exist answers NoSuchBucket."""
    reply = probe.request("DELETE", probe.path(probe.key(), probe.missing_bucket))
    reply.expect("404 NoSuchBucket", about="DELETE in a missing bucket")


@check("DEL-06", operation="DeleteObject")
def version_null(probe: Probe) -> None:
    """Deleting the versionId `null` deletes the object."""
    key = probe.given_object()
    probe.delete(key, query=[("versionId", "null")]).expect("204", about="DELETE with versionId=null")
    probe.expect_no_object(key, about="the object after DELETE with versionId=null")


@check("DEL-06", operation="DeleteObject")
def other_versions(probe: Probe) -> None:
    """Deleting another versionId never deletes the object."""
    key = probe.given_object()
    for version in _OTHER_VERSIONS:
        reply = probe.delete(key, query=[("versionId", version)])
        tried = f"DELETE with versionId={version}"
        reply.expect("204", "400 InvalidArgument", "404 NoSuchVersion", about=tried)
    probe.expect_content(key, CONTENT, about="the object after DELETEs of other versions")
