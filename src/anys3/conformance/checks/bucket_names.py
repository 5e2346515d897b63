"""What a bucket may be called: BN-01 to BN-07.

A bucket is only ever made under a name that holds the run id. Names of two characters, and those like an IPv4
address, can't hold it: they are asked for, not made.
"""

from __future__ import annotations

from collections.abc import Iterable

from anys3.conformance.kit import spare
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import equal

_INVALID = "400 InvalidBucketName"
_MISSING = "404 NoSuchBucket"
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


@check("BN-01", operation="CreateBucket", needs=("buckets",), lock="spare")
def longest_name(probe: Probe) -> None:
    """A name of 63 characters, of letters, digits and dashes, is accepted."""
    _expect_accepted(probe, probe.spare)


@check("BN-01", operation="CreateBucket", needs=("buckets",), lock="spare")
def digits_and_dashes(probe: Probe) -> None:
    """A name may begin and end with a digit, and have dashes one after another."""
    _expect_accepted(probe, f"0-{_id(probe)}--a-9")


@check("BN-02", operation="CreateBucket", needs=("buckets",), lock="spare")
def too_long(probe: Probe) -> None:
    """A name of more than 63 characters is refused with 400 InvalidBucketName."""
    _expect_refused(probe, (probe.spare.ljust(64, "a"), probe.spare.ljust(200, "a")))


@check("BN-02", operation="ListObjectsV2")
def too_short(probe: Probe) -> None:
    """No bucket has a name of 1 or 2 characters."""
    for name in ("a", "a3"):
        _expect_none(probe, name)


@check("BN-03", operation="CreateBucket", needs=("buckets",), lock="spare")
def other_characters(probe: Probe) -> None:
    """A name with upper case, an underscore, a space or a letter that is not ASCII is refused."""
    base = f"a3-{_id(probe)}"
    _expect_refused(probe, (f"{base}-Upper", f"{base}_under", f"{base} space", f"{base}-é"))


@check("BN-03", operation="CreateBucket", needs=("buckets",), lock="spare")
def odd_ends(probe: Probe) -> None:
    """A name that begins or ends with a dash or a dot is refused."""
    base = f"a3-{_id(probe)}"
    _expect_refused(probe, (f"-{base}", f"{base}-", f".{base}", f"{base}."))


@check("BN-04", operation="CreateBucket", needs=("buckets",), lock="spare")
def two_dots(probe: Probe) -> None:
    """A name with two dots one after the other is refused."""
    _expect_refused(probe, (f"a3-{_id(probe)}..a",))


@check("BN-04", operation="ListObjectsV2")
def like_an_address(probe: Probe) -> None:
    """No bucket has a name of the form of an IPv4 address."""
    for name in ("192.168.5.4", "999.999.999.999"):
        _expect_none(probe, name)


@check("BN-05", operation="CreateBucket", needs=("buckets",), lock="spare")
def single_dots(probe: Probe) -> None:
    """A name with single dots works in the path, or is refused with 400 InvalidBucketName."""
    name = f"a3.{_id(probe)}.dots"
    with spare.trial(probe, name) as reply:
        reply.expect("200", _INVALID, about=f"CreateBucket of {name}")
        if reply.status != 200:
            probe.report("bucket names with dots are refused")
            return
        path = probe.path(probe.key(), name)
        probe.request("PUT", path, body=CONTENT).expect("200", about=f"PUT into the bucket {name}")
        found = probe.request("GET", path).expect("200", about=f"GET from the bucket {name}")
        equal(found.body, CONTENT, f"the object in the bucket {name}")


@check("BN-06", operation="CreateBucket", needs=("buckets",), lock="spare")
def dot_beside_dash(probe: Probe) -> None:
    """A name with a dot beside a dash is refused."""
    base = f"a3-{_id(probe)}"
    _expect_refused(probe, (f"{base}.-a", f"{base}-.a"))


@check("BN-06", operation="CreateBucket", needs=("buckets",), lock="spare")
def reserved_prefixes(probe: Probe) -> None:
    """A name with a reserved prefix is refused."""
    _expect_refused(probe, [f"{prefix}{_id(probe)}" for prefix in _RESERVED_PREFIXES])


@check("BN-06", operation="CreateBucket", needs=("buckets",), lock="spare")
def reserved_suffixes(probe: Probe) -> None:
    """A name with a reserved suffix is refused."""
    _expect_refused(probe, [f"a3-{_id(probe)}{suffix}" for suffix in _RESERVED_SUFFIXES])


@check("BN-07", operation="ListObjectsV2")
def in_other_operations(probe: Probe) -> None:
    """An invalid name in any other operation is answered 400 InvalidBucketName or 404 NoSuchBucket."""
    upper, under = f"a3-{_id(probe)}-Upper", f"a3-{_id(probe)}_under"
    too_long = f"a3-{_id(probe)}".ljust(64, "a")
    for name, method, key, query in (
        (upper, "GET", "", "list-type=2"),
        (under, "GET", "", "location"),
        (too_long, "HEAD", "", ""),
        (under, "DELETE", "", ""),
        (too_long, "PUT", probe.key(), ""),
        (upper, "GET", probe.key(), ""),
    ):
        reply = probe.request(method, probe.path(key, name), query)
        reply.expect(_INVALID, _MISSING, about=f"{method} with the invalid bucket name {name}")


def _id(probe: Probe) -> str:
    return probe.ground.journal.run_id


def _expect_accepted(probe: Probe, name: str) -> None:
    with spare.trial(probe, name) as reply:
        reply.expect("200", about=f"CreateBucket of {name}")
        probe.request("HEAD", spare.bucket_path(name)).expect("200", about=f"HEAD of the new bucket {name}")


def _expect_refused(probe: Probe, names: Iterable[str]) -> None:
    """Expect each to be refused; of the first, also that no bucket is there."""
    first, *rest = names
    spare.refuse(probe, first, _INVALID, about=f"CreateBucket of {first!r}")
    for name in rest:
        with spare.trial(probe, name) as reply:
            reply.expect(_INVALID, about=f"CreateBucket of {name!r}")


def _expect_none(probe: Probe, name: str) -> None:
    for method, query in (("GET", "list-type=2"), ("HEAD", "")):
        reply = probe.request(method, spare.bucket_path(name), query)
        reply.expect(
            _INVALID, _MISSING, about=f"{method} of the bucket {name}, which no bucket can be called"
        )
