"""Requests and command lines that change buckets and access keys."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.rawclient import key_path, md5_b64
from tests.torture.clients.sending import Sender
from tests.torture.journal import ANOTHER, Place

KEYS = -1
"""The number of the client that changes access keys."""


class Buckets(Sender):
    """Requests that make, change and delete buckets."""

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket that has to be there."""
        for _ in range(3):
            if self._journal.base.get(("bucket", bucket)) or self._create_bucket(bucket):
                return

    def create_bucket(self) -> None:
        """CreateBucket, of one that comes and goes."""
        self._create_bucket(f"{self._name}-temporary-{self._random.randrange(2)}")

    def _create_bucket(self, bucket: str) -> bool:
        """Create a bucket unless it is there; whether it is there now for sure."""
        place = ("bucket", bucket)
        if self._known.get(place):
            return place not in self._doubted
        return self._change("CreateBucket", {place: True}, "PUT", f"/{bucket}", refusals=(409,)) is not None

    def delete_bucket(self) -> None:
        """DeleteBucket, often with unfinished uploads, sometimes with objects: then it must be refused."""
        found = [place for place in self._certain("bucket") if place[1] not in {*self._kept, self._home}]
        if not found:
            return
        bucket = self._random.choice(found)
        inside = [
            place for place, value in self._known.items() if place[1] == bucket[1] and value is not None
        ]
        objects = [place for place in inside if place[0] == "object"]
        if objects and self._random.random() < 0.8:
            for place in objects:
                self._change("DeleteObject", {place: None}, "DELETE", key_path(*place[1:]))
            return
        refusals = (409,) if objects else ()
        answer = self._change(
            "DeleteBucket", dict.fromkeys(inside), "DELETE", f"/{bucket[1]}", refusals=refusals
        )
        if answer is not None and objects:
            self._journal.surprise(f"{bucket} was deleted with {objects} in it")

    def put_cors(self) -> None:
        """PutBucketCors, or DeleteBucketCors."""
        bucket = self._pick("bucket")
        if bucket is None:
            return
        place, path, query = ("cors", bucket[1]), f"/{bucket[1]}", [("cors", "")]
        if self._random.random() < 0.3:
            self._change("DeleteBucketCors", {place: None}, "DELETE", path, query)
            return
        age = str(self._random.getrandbits(20))
        rule = "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
        rule = f"<CORSRule>{rule}<MaxAgeSeconds>{age}</MaxAgeSeconds></CORSRule>"
        body = f"<CORSConfiguration>{rule}</CORSConfiguration>".encode()
        headers = {"content-md5": md5_b64(body)}
        self._change("PutBucketCors", {place: age}, "PUT", path, query, headers, body)


class Keys(Sender):
    """`anys3 key`, as processes of their own beside the server."""

    def change_key(self, action: str = "") -> None:
        """`anys3 key create`, `rotate` or `delete`, whichever is asked for, or any."""
        keys = self._certain("access")
        if not action:
            action = self._random.choice(("create", "rotate", "delete") if len(keys) < 5 else ("delete",))
        if not keys or action == "create":
            self._key("create", None, f"made-{self._random.getrandbits(40):x}", "--create-buckets")
        else:
            place = self._random.choice(keys)
            self._key(action, place, place[1])

    def _key(self, action: str, place: Place | None, *arguments: str) -> None:
        value = ANOTHER if action == "rotate" else None
        operation = self._begin(f"key {action}", {} if place is None else {place: value})
        words = (sys.executable, *self._workload.key_entry, "key", action, *arguments)
        try:
            ended = subprocess.run(
                [*words, "--json", "--dir", str(self._workload.directory)],
                capture_output=True,
                timeout=60,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            self._end(operation, "unknown", "timeout")
            return
        if ended.returncode:
            self._end(operation, "unknown", ended.stderr.decode()[-200:])
            return
        if action != "delete":
            made = json.loads(ended.stdout)
            place = ("access", made["access_key_id"])
            operation.changes[place] = (made["secret_access_key"],)
        self._end(operation, "done")
