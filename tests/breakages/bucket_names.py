"""Servers broken for the checks of bucket names."""

from __future__ import annotations

import re

from tests.broken_servers import Breakage, all_of, answering, breaks, error_answer, patched, saying, when


def naming(sentence: str, pattern: str) -> Breakage:
    """A server with another idea of what a bucket may be called."""
    known = re.compile(pattern)
    return patched(
        sentence, "anys3.protocol.names._is_bucket_name", lambda name: known.fullmatch(name) is not None
    )


AS_FREE = patched("no name is reserved", "anys3.protocol.names._is_free", lambda name: True)


def lacking(word: str) -> Breakage:
    """A server that does not know one of the reserved affixes."""
    return patched(
        f"{word} is not reserved",
        "anys3.protocol.names._is_free",
        lambda name: word in name,
    )


breaks("BN-01/longest-name", naming("names have at most 60 characters", r"[a-z0-9.-]{3,60}"))
breaks("BN-01/longest-name", naming("dashes are refused", r"[a-z0-9]{3,63}|a3-r[0-9]*"))
breaks("BN-01/digits-and-dashes", naming("a name begins with a letter", r"[a-z][a-z0-9.-]{2,62}"))
breaks("BN-01/digits-and-dashes", naming("dashes stand alone", r"(?!.*--)[a-z0-9.-]{3,63}"))
breaks(
    "BN-02/too-long",
    all_of(
        "names have any length",
        naming("names have up to 255 characters", r"[a-z0-9.-]{3,255}"),
        patched("longer names are looked up", "anys3.server.application.MAX_BUCKET_NAME", 255),
    ),
)
breaks("BN-02/too-long", saying("InvalidArgument", instead_of="InvalidBucketName", method="PUT"))
breaks(
    ("BN-02/too-short", "BN-04/like-an-address", "BN-07/in-other-operations"),
    saying("AccessDenied", instead_of="InvalidBucketName"),
)
breaks(
    ("BN-02/too-short", "BN-04/like-an-address", "BN-07/in-other-operations"),
    saying("InternalError", instead_of="InvalidBucketName"),
)
breaks("BN-03/other-characters", naming("upper case is accepted", r"[A-Za-z0-9.-]{3,63}"))
breaks("BN-03/other-characters", naming("underscores are accepted", r"[a-z0-9._-]{3,63}"))
breaks("BN-03/other-characters", naming("spaces are accepted", r"[a-z0-9. -]{3,63}"))
breaks("BN-03/other-characters", naming("letters of any script are accepted", r"[a-zé0-9.-]{3,63}"))
breaks("BN-03/odd-ends", naming("dashes may be at the beginning", r"[a-z0-9-][a-z0-9.-]{1,61}[a-z0-9]"))
breaks("BN-03/odd-ends", naming("dashes may be at the end", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9-]"))
breaks("BN-03/odd-ends", naming("dots may be at the beginning", r"[a-z0-9.][a-z0-9.-]{1,61}[a-z0-9]"))
breaks("BN-03/odd-ends", naming("dots may be at the end", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9.]"))
breaks("BN-04/two-dots", naming("dots may be together", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"))
breaks(
    "BN-05/single-dots",
    all_of(
        "dots are refused with another code",
        naming("dots are refused", r"[a-z0-9-]{3,63}"),
        saying("InvalidArgument", instead_of="InvalidBucketName"),
    ),
)
breaks(
    "BN-05/single-dots",
    answering(
        "a bucket with dots holds no objects",
        lambda request, _: (
            error_answer("NoSuchBucket") if b".dots/" in request.path and when(request, "PUT") else None
        ),
    ),
)
breaks(
    ("BN-06/dot-beside-dash", "BN-06/reserved-prefixes", "BN-06/reserved-suffixes"),
    AS_FREE,
)
breaks("BN-06/reserved-prefixes", lacking("sthree-"))
breaks("BN-06/reserved-suffixes", lacking("--table-s3"))
breaks("BN-06/dot-beside-dash", lacking("-."))
