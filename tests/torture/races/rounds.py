"""Rounds: who does what at the same time, made from a seed, and the models that judge what came of it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.rawclient import RawClient
from tests.torture.races.checker import Model
from tests.torture.races.contents import body_of, etag_of, etag_of_one_part
from tests.torture.races.models import Bucket, Key, Upload, Version
from tests.uploads import begin

Step = dict[str, Any]
Scripts = list[list[Step]]
"""What each lane does."""
SIZES = (0, 30, 3_000, 100_000, 140_000, 700_000)
"""Within the index, and in files of their own (above 128 KiB)."""
CHANCES = (30, 30, 20, 8, 8, 4)


@dataclass(slots=True)
class Round:
    """What is played, and what judges it."""

    kind: str
    scripts: Scripts
    models: Mapping[str, Model]
    """One for each subject."""
    cleaning: list[str] = field(default_factory=list)
    """Paths to be deleted afterwards."""


class Maker:
    """Makes rounds. Lanes take turns at workers; labels are never used twice."""

    def __init__(self, s3: RawClient, seed: int, lanes: int, *, is_broken: bool = False) -> None:
        """`is_broken`: workers are killed, so what can't be judged without an answer is left out."""
        self.s3 = s3
        self.chance = random.Random(seed)
        self.lanes = lanes
        self.is_broken = is_broken
        self.number = 0

    def label(self) -> str:
        """Return a name that no other write has."""
        self.number += 1
        return f"w{self.number}"

    def _make(self, choices: Mapping[str, int], path: str, **more: Any) -> Step:
        names = list(choices)
        name = self.chance.choices(names, [choices[one] for one in names])[0]
        step: Step = {"do": name, "path": path, "worker": self.chance.randrange(8), **more}
        if self.chance.random() < 0.2:
            step["pause_s"] = self.chance.random() * 0.004
        return step

    # --- keys ---------------------------------------------------------------------------------------------

    KEY_STEPS: Mapping[str, int] = {
        "put": 24,
        "get": 26,
        "head": 14,
        "delete": 8,
        "list": 8,
        "copy": 7,
        "tag": 6,
        "tags": 4,
        "delete_many": 5,
        "complete": 5,
        "abort": 3,
    }

    def keys(self, bucket: str, *, keys: int = 2, steps: int = 9) -> Round:
        """Return a round on a few keys of one bucket: every operation on objects, much at once."""
        prefix = f"{self.label()}-"
        paths = [f"/{bucket}/{prefix}{number}" for number in range(keys)]
        models: dict[str, Model] = {}
        uploads: dict[str, list[Step]] = {}
        for path in paths:
            present = self._present(path) if self.chance.random() < 0.5 else None
            models[path] = Key(present)
            uploads[path] = [self._upload(bucket, path) for _ in range(2)]
        scripts = [[self._key_step(paths, prefix, uploads) for _ in range(steps)] for _ in range(self.lanes)]
        return Round("keys", scripts, models, paths)

    def _present(self, path: str) -> Version:
        label = self.label()
        body = body_of(label, self._size())
        answer = self.s3.request("PUT", path, headers={"x-amz-meta-write": label}, body=body)
        assert answer.verdict == (200, "")
        return Version(etag_of(body), label)

    def _size(self) -> int:
        return self.chance.choices(SIZES, CHANCES)[0]

    def _upload(self, bucket: str, path: str) -> Step:
        label = self.label()
        upload = begin(self.s3, bucket, path.split("/", 2)[2], {"x-amz-meta-write": label})
        body = body_of(label, self._size())
        part = upload.put(1, body)
        return {
            "upload": upload.upload_id,
            "part": part,
            "etag": etag_of_one_part(body),
            "content": etag_of(body),
            "label": label,
        }

    def _key_step(self, paths: list[str], prefix: str, uploads: dict[str, list[Step]]) -> Step:
        chance = self.chance
        path = chance.choice(paths)
        choices = {**self.KEY_STEPS, "copy": 0} if self.is_broken else self.KEY_STEPS
        step = self._make(choices, path)
        name = step["do"]
        if name in ("put", "copy"):
            step |= {"label": self.label(), "size": self._size(), "source": chance.choice(paths)}
            condition = chance.random()
            if condition < 0.3:
                step["none_match"] = True
            elif condition < 0.6 and name == "put":
                step["if_match"] = "last"
            if name == "put" and chance.random() < 0.2:
                step["tags"] = str(chance.randrange(1, 10))
        elif name == "delete":
            step["if_match"] = chance.choice((None, None, "last", "*"))
        elif name == "tag":
            step["tags"] = chance.choice(("", *"123456789"))
        elif name == "list":
            step |= {"prefix": prefix, "paths": paths}
        elif name == "delete_many":
            step |= {"paths": paths, "if_match": chance.choice((None, "last"))}
        elif name in ("complete", "abort"):
            step |= chance.choice(uploads[path])
            step["none_match"] = chance.random() < 0.4
        return step

    # --- uploads ------------------------------------------------------------------------------------------

    UPLOAD_STEPS: Mapping[str, int] = {
        "part": 30,
        "parts": 14,
        "complete_parts": 24,
        "abort_upload": 5,
        "get_parts": 14,
    }
    PART_BYTES = 1_000

    def uploads(self, bucket: str, *, steps: int = 6) -> Round:
        """Return a round on two uploads, each on a key of its own: Complete, Abort and UploadPart at once.

        Parts are small, so a completion lists one; the two bodies of a part are sent again and again, as by clients
        that repeat what they got no answer to.
        """
        models: dict[str, Model] = {}
        made = []
        for _ in range(2):
            key = self.label()
            upload = begin(self.s3, bucket, key)
            models[upload.path] = Upload()
            made.append((upload.path, upload.upload_id, [self.label(), self.label()]))
        scripts = [[self._upload_step(made) for _ in range(steps)] for _ in range(self.lanes)]
        return Round("uploads", scripts, models, list(models))

    def _upload_step(self, made: list[tuple[str, str, list[str]]]) -> Step:
        path, upload_id, labels = self.chance.choice(made)
        step = self._make(self.UPLOAD_STEPS, path, upload=upload_id, size=self.PART_BYTES)
        number = self.chance.choice((1, 1, 2))
        label = self.chance.choice((labels[0], *labels))
        if step["do"] == "part":
            step |= {"number": number, "label": label}
        elif step["do"] == "complete_parts":
            step["listed"] = [(number, etag_of(body_of(label, self.PART_BYTES)))]
        return step

    # --- buckets ------------------------------------------------------------------------------------------

    BUCKET_STEPS: Mapping[str, int] = {
        "create_bucket": 10,
        "delete_bucket": 16,
        "head_bucket": 8,
        "keys": 10,
        "put_key": 14,
        "remove_key": 16,
        "get_key": 8,
        "begin_upload": 5,
        "uploads": 4,
        "set_cors": 4,
        "cors": 6,
    }

    def buckets(self, *, steps: int = 8) -> Round:
        """Return a round on one bucket that comes and goes while it is written to."""
        path = f"/bucket-{self.label()}"
        assert self.s3.request("PUT", path).status == 200
        scripts = [[self._bucket_step(path) for _ in range(steps)] for _ in range(self.lanes)]
        return Round("buckets", scripts, {path: Bucket()}, [f"{path}/k0", f"{path}/k1", path])

    def _bucket_step(self, path: str) -> Step:
        step = self._make(self.BUCKET_STEPS, path)
        if step["do"] in ("put_key", "remove_key", "get_key"):
            step["key"] = self.chance.choice(("k0", "k1"))
            step["size"] = self.chance.choice((1, 1, 200_000))
        elif step["do"] == "begin_upload":
            step["key"] = self.label()
        elif step["do"] == "set_cors":
            step["rule"] = self.chance.choice((None, f"http://{self.label()}.example"))
        return step

    def clean(self, played: Round) -> None:
        """Delete what a round has left, so that a long run does not fill the disk."""
        for path in played.cleaning:
            self.s3.request("DELETE", path)
