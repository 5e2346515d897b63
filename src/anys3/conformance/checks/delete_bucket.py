"""DeleteBucket: DB-01 to DB-06."""

from __future__ import annotations

from anys3.conformance.kit import spare
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

POLL_S = 60.0
"""How long ListBuckets may still show a bucket that was deleted (DB-04, LB-02)."""
_ROUNDS = 2


@check("DB-01", operation="DeleteBucket", needs=("buckets",), lock="spare", quick=True)
def empty_bucket(probe: Probe) -> None:
    """Deleting an empty bucket is answered 204, and it is gone."""
    with spare.given(probe) as bucket:
        probe.request("DELETE", probe.path(bucket=bucket)).expect("204", about="DELETE of an empty bucket")
        probe.request("HEAD", probe.path(bucket=bucket)).expect("404", about="HEAD of a deleted bucket")


@check("DB-02", "ERR-02", operation="DeleteBucket")
def missing_bucket(probe: Probe) -> None:
    """Deleting a bucket that does not exist is answered 404 NoSuchBucket."""
    reply = probe.request("DELETE", probe.path(bucket=probe.missing_bucket))
    reply.expect("404 NoSuchBucket", about="DELETE of a bucket that does not exist")


@check("DB-03", operation="DeleteBucket", needs=("buckets",), lock="spare")
def bucket_with_object(probe: Probe) -> None:
    """Deleting a bucket with an object is refused with 409 BucketNotEmpty, and the object stays."""
    with spare.given(probe) as bucket:
        path = probe.path(probe.given_object(bucket=bucket), bucket)
        reply = probe.request("DELETE", probe.path(bucket=bucket))
        reply.expect("409 BucketNotEmpty", about="DELETE of a bucket with an object")
        found = probe.request("GET", path).expect("200", about="GET after the deletion was refused")
        equal(found.body, CONTENT, "the object after the deletion of its bucket was refused")


@check("DB-04", operation="DeleteBucket", needs=("buckets",), lock="spare")
def gone_for_all(probe: Probe) -> None:
    """After the deletion, objects, HeadBucket and ListObjectsV2 of the name are answered 404 NoSuchBucket."""
    with spare.given(probe) as bucket:
        path = probe.path(probe.key(), bucket)
        _delete(probe, bucket)
        for method, target, query, body in (
            ("GET", path, "", b""),
            ("PUT", path, "", CONTENT),
            ("DELETE", path, "", b""),
            ("HEAD", probe.path(bucket=bucket), "", b""),
            ("GET", probe.path(bucket=bucket), "list-type=2", b""),
        ):
            about = f"{method} {target}?{query}".rstrip("?") + " after the bucket was deleted"
            probe.request(method, target, query, body=body).expect("404 NoSuchBucket", about=about)


@check("DB-04", operation="DeleteBucket", needs=("buckets",), lock="spare")
def omitted_in_list(probe: Probe) -> None:
    """ListBuckets omits a deleted bucket, after a minute at most."""
    with spare.given(probe) as bucket:
        _delete(probe, bucket)

        def is_omitted() -> bool:
            reply = probe.request("GET", "/").expect("200", about="ListBuckets")
            return bucket not in reply.texts("Buckets/Bucket/Name")

        require(
            probe.until(is_omitted, POLL_S),
            f"ListBuckets: expected the deleted bucket to be omitted within {POLL_S:g} s, got it still",
        )


@check("DB-04", operation="CreateBucket", needs=("buckets",), lock="spare")
def empty_again(probe: Probe) -> None:
    """A bucket that is made again under the name of a deleted one is empty; old objects never reappear."""
    with spare.given(probe) as bucket:
        path = probe.path(probe.given_object(bucket=bucket), bucket)
        _delete(probe, bucket)
        spare.create(probe, bucket).expect("200", about="CreateBucket under the name of a deleted bucket")
        about = "of a bucket that was made again"
        listed = probe.list_keys(bucket=bucket).expect("200", about=f"ListObjectsV2 {about}")
        equal(listed.texts("Contents/Key"), [], f"the keys {about}")
        probe.request("GET", path).expect("404 NoSuchKey", about=f"GET of an old object {about}")


@check("DB-05", operation="DeleteBucket", needs=("buckets",), lock="spare", where="multipart")
def unfinished_upload(probe: Probe) -> None:
    """An unfinished upload does not block the deletion, and goes with the bucket; or it is 409 BucketNotEmpty."""
    with spare.given(probe) as bucket:
        path = probe.path(probe.key(), bucket)
        with probe.setting_up("a multipart upload could not be started"):
            began = probe.request("POST", path, "uploads").expect("200")
        upload = [("uploadId", began.need_text("UploadId"))]
        try:
            _expect_discarded(probe, bucket, path, upload)
        finally:
            probe.request("DELETE", path, upload)


@check("DB-06", operation="DeleteBucket", needs=("buckets",), lock="spare")
def put_against_deletion(probe: Probe) -> None:
    """Of a PUT and the deletion of its bucket at the same time, one fails; a PUT with 200 is never lost."""
    path, bucket = probe.path(probe.key(), probe.spare), probe.path(bucket=probe.spare)
    for _ in range(_ROUNDS):
        with spare.given(probe):
            put, deletion = probe.race(
                lambda: probe.request("PUT", path, body=CONTENT), lambda: probe.request("DELETE", bucket)
            )
            _expect_one_won(probe, put, deletion, path)


def _expect_discarded(probe: Probe, bucket: str, path: str, upload: list[tuple[str, str]]) -> None:
    reply = probe.request("DELETE", probe.path(bucket=bucket))
    reply.expect("204", "409 BucketNotEmpty", about="DELETE of a bucket with an unfinished upload")
    if reply.status == 409:
        probe.report("an unfinished upload blocks the deletion of its bucket")
        return
    part = [("partNumber", "1"), *upload]
    sent = probe.request("PUT", path, part, body=CONTENT)
    sent.expect("404", about="UploadPart after the bucket was deleted")
    spare.create(probe, bucket).expect("200", about="CreateBucket under the name of a deleted bucket")
    about = "UploadPart of an upload that was begun before the bucket was deleted and made again"
    probe.request("PUT", path, part, body=CONTENT).expect("404 NoSuchUpload", about=about)


def _expect_one_won(probe: Probe, put: Reply, deletion: Reply, path: str) -> None:
    put.expect("200", "404 NoSuchBucket", about="PUT at the same time as the deletion of its bucket")
    deletion.expect("204", "409 BucketNotEmpty", about="DELETE of a bucket at the same time as a PUT into it")
    if put.status == 200:
        said = f"the PUT was answered {put.said} and the deletion of its bucket {deletion.said}"
        found = probe.request("GET", path).expect("200", about=f"GET after {said}")
        equal(found.body, CONTENT, f"the object after {said}")


def _delete(probe: Probe, bucket: str) -> None:
    """Empty and delete a bucket, or block the check."""
    with probe.setting_up("the spare bucket could not be deleted"):
        for owner, key in list(probe.ground.journal.made.objects):
            if owner == bucket and key.startswith(probe.prefix):
                probe.request("DELETE", probe.path(key, bucket)).expect("204")
        probe.request("DELETE", probe.path(bucket=bucket)).expect("204")
