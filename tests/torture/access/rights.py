"""What keys with narrow grants may do, and that nothing else is done for them: on every operation, by every way."""

from __future__ import annotations

import copy

from anys3.model import AccessKey, Grant
from anys3.spec import catalogue
from tests.exemplars import Scene
from tests.rawclient import md5_b64
from tests.torture.access import table
from tests.torture.access.table import Tally, verdict_of
from tests.torture.access.world import ROOT, Client, World

OPERATIONS = sorted(catalogue.operations())
ANYBODY = {"CorsPreflight"}
ANY_KEY = ANYBODY | {"ListBuckets"}
READS = {
    "HeadBucket", "ListObjects", "ListObjectsV2", "ListObjectVersions",
    "GetBucketLocation", "GetBucketVersioning", "GetBucketAcl", "GetObjectLockConfiguration",
    "GetObject", "HeadObject", "GetObjectAcl", "GetObjectAttributes",
    "GetObjectTagging",
}  # fmt: skip
WRITES = {
    "PutObject", "PostObject", "DeleteObject", "DeleteObjects",
    "PutObjectTagging", "DeleteObjectTagging", "CreateMultipartUpload", "UploadPart",
    "ListParts", "ListMultipartUploads", "CompleteMultipartUpload", "AbortMultipartUpload",
}  # fmt: skip
COPIES = {"CopyObject", "UploadPartCopy"}
SETTINGS = {"GetBucketCors", "PutBucketCors", "DeleteBucketCors", "DeleteBucket"}
MAY = {
    "reader": ANY_KEY | READS,
    "writer": ANY_KEY | WRITES,
    "both": ANY_KEY | READS | WRITES | COPIES,
    "owner": ANY_KEY | READS | WRITES | COPIES | SETTINGS,
    "elsewhere": ANY_KEY,
    "nothing": ANY_KEY,
    "creator": ANY_KEY | {"CreateBucket"},
}
"""What each kind of key may do in BUCKET."""

BUCKET = "grants-bucket"
SECRET = "grants-secret"
TARGET = "grants-target"


def sources(secret: str = SECRET, target: str = TARGET) -> list[str]:
    """Return spellings of a copy source in the forbidden bucket."""
    return [
        f"/{secret}/k",
        f"{secret}/k",
        f"{secret}%2Fk",
        f"%2F{secret}%2Fk",
        f"//{secret}/k",
        f"/{target}/../{secret}/k",
        f"{target}%2F..%2F{secret}%2Fk",
        f"/{target}/%2e%2e/{secret}/k",
        f"/{target}/..%252F{secret}%252Fk",
        f"/{target}/k/../../{secret}/k",
        f"../{secret}/k",
        f"/{secret}/k?versionId=null",
        f"/{secret.upper()}/k",
        f"http://127.0.0.1/{secret}/k",
        f"arn:aws:s3:::{secret}/k",
    ]


def grants() -> dict[str, tuple[dict[str, Grant], bool]]:
    """Return the grants of each kind of key, and whether it may create buckets."""
    whole = Grant(read=True, write=True, owner=True)
    both = Grant(read=True, write=True)
    return {
        "reader": ({BUCKET: Grant(read=True)}, False),
        "writer": ({BUCKET: Grant(write=True)}, False),
        "both": ({BUCKET: both}, False),
        "owner": ({BUCKET: whole, f"{BUCKET}-empty": whole}, False),
        "elsewhere": ({TARGET: both}, False),
        "nothing": ({}, False),
        "creator": ({}, True),
    }


class Rights:
    """A world with a key of each kind; it is put back as it was after each trial that changed it."""

    def __init__(self) -> None:
        """Make the keys, the buckets and the scene."""
        self.keys = {
            name: AccessKey(
                f"AKIA{name.upper()}", f"secret/of+{name}/000000000000000000000", name,
                grants=given, may_create_buckets=may_create,
            )
            for name, (given, may_create) in grants().items()
        }  # fmt: skip
        self.world = World(*self.keys.values())
        self.root = self.world.client(ROOT)
        self.scene = Scene(self.root, BUCKET)
        self.scene.prepare()
        for name in (SECRET, TARGET):
            self.root.request("PUT", f"/{name}")
            self.root.request("PUT", f"/{name}/k", body=name.encode())
        elsewhere = self.client("elsewhere")
        self.upload = elsewhere.request("POST", f"/{TARGET}/m", [("uploads", "")]).text("UploadId") or ""
        self.tally = Tally()
        self._saved = copy.deepcopy(vars(self.world.store))
        self.before = self.world.dump()

    def client(self, name: str) -> Client:
        """Return a client with a key."""
        return self.world.client(self.keys[name])

    def restore(self) -> bool:
        """Put the store back as it was; return whether anything had changed but a counter."""
        if self.world.dump() == self.before:
            return False
        generation = self.world.store.generation()
        vars(self.world.store).update(copy.deepcopy(self._saved))
        self.world.store._generation = generation + 1  # rows that were remembered are read again
        self.before = self.world.dump()
        return True

    def operations(self) -> None:
        """Try each kind of key on every operation, by every right way."""
        for name, allowed in MAY.items():
            mine = Scene(self.client(name), BUCKET)
            mine.upload_id, mine.etag = self.scene.upload_id, self.scene.etag
            for operation in OPERATIONS:
                for way, make in table.RIGHT.items():
                    one = mine.exemplar(operation)
                    is_plain = one.is_form or operation in ANYBODY
                    data = one.render(mine.s3) if is_plain else make(mine.s3, one)
                    verdict = verdict_of(mine.s3.send(data, one.method))
                    has_changed = self.restore()
                    self.tally.combinations += 1
                    self.judge(f"{name}, {operation}, {way}", verdict, one, has_changed, operation in allowed)

    def judge(
        self, what: str, verdict: tuple[int, str], one: object, has_changed: bool, is_allowed: bool
    ) -> None:
        """Compare with what the key may do."""
        status = one.status  # type: ignore[attr-defined]
        if is_allowed:
            if verdict[0] != status:
                self.tally.note(f"{what}: {verdict}, expected {status}")
            return
        self.tally.refusals += 1
        head = one.method == "HEAD"  # type: ignore[attr-defined]
        if verdict != (403, "" if head else "AccessDenied"):
            self.tally.note(f"{what}: {verdict}, expected AccessDenied")
        if has_changed:
            self.tally.note(f"{what}: the store has changed")

    def copies(self) -> None:
        """Try every spelling of a forbidden source, as the source of a copy and of a part."""
        mine = self.client("elsewhere")
        part = [("partNumber", "1"), ("uploadId", self.upload)]
        for source in sources():
            headers = {"x-amz-copy-source": source}
            answers = [
                mine.request("PUT", f"/{TARGET}/stolen", headers=headers),
                mine.request("PUT", f"/{TARGET}/m", part, headers),
            ]
            self.tally.combinations += len(answers)
            self.tally.refusals += len(answers)
            for answer in answers:
                if answer.status not in (400, 403, 404):
                    self.tally.note(f"copy of {source}: {answer.status}")
            if self.restore():
                self.tally.note(f"copy of {source}: the store has changed")

    def deletions(self) -> None:
        """Delete keys of a bucket with a grant beside keys that spell one of a bucket without."""
        mine = self.client("elsewhere")
        names = ["none", f"../{SECRET}/k", f"/{SECRET}/k", f"{SECRET}/k", f"..%2F{SECRET}%2Fk"]
        document = (
            f"<Delete>{''.join(f'<Object><Key>{one}</Key></Object>' for one in names)}</Delete>".encode()
        )
        headers = {"content-md5": md5_b64(document)}
        self.tally.combinations += 2
        if mine.request("POST", f"/{TARGET}", [("delete", "")], headers, document).status != 200:
            self.tally.note("a deletion in the key's own bucket was refused")
        if self.root.request("GET", f"/{SECRET}/k").body != SECRET.encode():
            self.tally.note("a key of another bucket was deleted")
        self.restore()
        refused = mine.request("POST", f"/{SECRET}", [("delete", "")], headers, document)
        if refused.verdict != (403, "AccessDenied") or self.restore():
            self.tally.note(f"a deletion in a forbidden bucket: {refused.verdict}")


def narrow() -> Rights:
    """Try all of it."""
    rights = Rights()
    rights.operations()
    rights.copies()
    rights.deletions()
    return rights
