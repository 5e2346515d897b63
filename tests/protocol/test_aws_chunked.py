"""The framing of aws-chunked bodies: AWS's examples, cut everywhere, and broken in every way."""

from __future__ import annotations

import base64
import zlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol.aws_chunked import MAX_LINE, MAX_TRAILER, Decoder
from anys3.protocol.sigv4 import Seal, Signer
from anys3.spec.errors import S3Error

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
CRC = b"x-amz-checksum-crc32"


def new_seal(seed: bytes = b"0" * 64) -> Seal:
    return Seal(Signer(SECRET, b"20130524", "us-east-1", b"host"), b"20130524T000000Z", seed)


def frame(chunks: list[bytes], trailer: bytes = b"", seal: Seal | None = None) -> bytes:
    """Return a body, signed if there is a seal."""
    body = b""
    for chunk in [*chunks, b""]:
        body += b"%x" % len(chunk)
        if seal is not None:
            body += b";chunk-signature=" + seal.chunk(sha256(chunk).hexdigest())
        body += b"\r\n" + chunk + (b"\r\n" if chunk else b"")
    return body + trailer + b"\r\n"


def decode(
    pieces: list[bytes], length: int, announced: bytes | None = None, seal: Seal | None = None
) -> tuple[bytes, bytes | None]:
    decoder = Decoder(seal, announced, length)
    decoded = [bytes(view) for piece in pieces for view in decoder.feed(piece)]
    decoder.finish()
    return b"".join(decoded), decoder.trailer


def refusal(body: bytes, length: int, announced: bytes | None = None, seal: Seal | None = None) -> str:
    with pytest.raises(S3Error) as caught:
        decode([body], length, announced, seal)
    return caught.value.code


def crc_line(data: bytes) -> bytes:
    return CRC + b":" + base64.b64encode(zlib.crc32(data).to_bytes(4, "big")) + b"\r\n"


# AWS's example: docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html

AWS_SEED = b"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
AWS_BODY = (
    b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
    + b"a" * 65536
    + b"\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
    + b"a" * 1024
    + b"\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
)


@pytest.mark.requirement("PAY-06")
def test_the_chunk_signatures_of_awss_example_are_accepted() -> None:
    assert decode([AWS_BODY], 66560, seal=new_seal(AWS_SEED)) == (b"a" * 66560, None)


@pytest.mark.requirement("PAY-06")
@pytest.mark.parametrize("offset", [30, 200, 65_700, 65_900, 66_800])
def test_a_changed_byte_of_a_signed_body_is_refused(offset: int) -> None:
    body = bytearray(AWS_BODY)
    body[offset] = ord("b") if body[offset] != ord("b") else ord("c")
    assert refusal(bytes(body), 66560, seal=new_seal(AWS_SEED)) == "SignatureDoesNotMatch"


# AWS's example: docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html

TRAILER_SEED = b"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILER_BODY = (
    b"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"
    + b"a" * 65536
    + b"\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n"
    + b"a" * 1024
    + b"\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
    + b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    + b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
)


@pytest.mark.requirement("PAY-07")
def test_the_trailer_signature_of_awss_example_is_accepted_and_no_other() -> None:
    name = b"x-amz-checksum-crc32c"
    assert decode([TRAILER_BODY], 66560, name, new_seal(TRAILER_SEED)) == (b"a" * 66560, b"sOO8/Q==")
    for changed in (TRAILER_BODY.replace(b"d81f", b"d81e"), TRAILER_BODY.replace(b"sOO8/Q", b"sOO8/A")):
        assert refusal(changed, 66560, name, new_seal(TRAILER_SEED)) == "SignatureDoesNotMatch"
    unsigned = TRAILER_BODY[: TRAILER_BODY.index(b"x-amz-trailer-signature")] + b"\r\n"
    assert refusal(unsigned, 66560, name, new_seal(TRAILER_SEED)) == "SignatureDoesNotMatch"
    twice = TRAILER_BODY[:-2] + b"x-amz-trailer-signature:0\r\n\r\n"
    assert refusal(twice, 66560, name, new_seal(TRAILER_SEED)) == "MalformedTrailerError"


# Cuts

BODIES = [
    pytest.param(frame([b"hello ", b"world"]), None, False, id="unsigned"),
    pytest.param(frame([b"hello world"], crc_line(b"hello world")), CRC, False, id="trailer"),
    pytest.param(frame([b"hello world"], seal=new_seal()), None, True, id="signed"),
]


@pytest.mark.requirement("PAY-05", "PAY-09")
@pytest.mark.parametrize(("body", "announced", "is_signed"), BODIES)
def test_a_body_may_arrive_in_any_pieces(body: bytes, announced: bytes | None, is_signed: bool) -> None:
    for cut in range(len(body) + 1):
        seal = new_seal() if is_signed else None
        assert decode([body[:cut], body[cut:]], 11, announced, seal)[0] == b"hello world"
    seal = new_seal() if is_signed else None
    assert decode([body[i : i + 1] for i in range(len(body))], 11, announced, seal)[0] == b"hello world"


@pytest.mark.requirement("PAY-08", "PAY-11")
@pytest.mark.known_mistake(6)
@pytest.mark.parametrize(("body", "announced", "is_signed"), BODIES)
def test_a_body_that_is_cut_short_is_refused_wherever_it_is_cut(
    body: bytes, announced: bytes | None, is_signed: bool
) -> None:
    """CVE-2026-49017: a truncated aws-chunked body kept a server busy for ever."""
    for cut in range(len(body)):
        code = refusal(body[:cut], 11, announced, new_seal() if is_signed else None)
        assert code in {"IncompleteBody", "MalformedTrailerError"}


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 50))
def test_what_was_framed_is_what_comes_out(chunks: list[bytes], step: int) -> None:
    data = b"".join(chunks)
    body = frame(chunks, crc_line(data))
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    assert decode(pieces, len(data), CRC) == (data, crc_line(data)[len(CRC) + 1 : -2])


def test_pieces_are_slices_of_what_was_fed() -> None:
    body = frame([b"x" * 100_000])
    (piece,) = Decoder(None, None, 100_000).feed(body)
    assert piece.obj is body


# Broken framing


@pytest.mark.requirement("PAY-08")
@pytest.mark.known_mistake(5, 7)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"hello world",
        b"\r\n",
        b"5",
        b"5\r\nhello",
        b"5\nhello\n0\n\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"5\r\nhello\r\n0\r\n",
        b"5\r\nhello\r\n0\r\n\r\nX",
        b"5\r\nhello\r\n0\r\n\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\n0\r\n\r\n",
        b"4\r\nhell\r\n0\r\n\r\n",
        b"6\r\nhello!\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5_0\r\nhello\r\n0\r\n\r\n",
        b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        b"5;" + b"x" * MAX_LINE + b"\r\nhello\r\n0\r\n\r\n",
        b"5" * 100_000,
    ],
)
def test_a_body_that_is_not_framed_as_announced_is_refused(body: bytes) -> None:
    """CVE-2021-21390 and GHSA-v2ch-c8v8-fgr7: false sizes and raw bytes."""
    assert refusal(body, 5) == "IncompleteBody"


@pytest.mark.known_mistake(5)
@pytest.mark.parametrize("size", [b"6", b"7fffffff", b"80000000", b"100000005", b"7" + b"f" * 15, b"f" * 16])
def test_a_huge_size_is_refused_before_any_byte_of_the_chunk_is_taken(size: bytes) -> None:
    """CVE-2021-21390 (MinIO): a size beyond what a number holds skipped the signature."""
    decoder = Decoder(new_seal(), None, 5)
    with pytest.raises(S3Error, match="IncompleteBody"):
        decoder.feed(size + b";chunk-signature=" + b"0" * 64 + b"\r\n")


@pytest.mark.known_mistake(7)
@given(st.binary(max_size=200), st.integers(0, 100))
def test_any_bytes_are_decoded_or_refused(body: bytes, length: int) -> None:
    decoder = Decoder(None, CRC, length)
    try:
        decoded = b"".join(decoder.feed(body))
        decoder.finish()
    except S3Error as error:
        assert error.status == 400
    else:
        assert len(decoded) == length


@pytest.mark.requirement("PAY-06")
def test_a_chunk_without_a_signature_is_refused_where_chunks_are_signed() -> None:
    assert refusal(b"5\r\nhello\r\n0\r\n\r\n", 5, seal=new_seal()) == "SignatureDoesNotMatch"


@pytest.mark.requirement("PAY-16")
def test_a_small_signed_chunk_must_be_the_last() -> None:
    data = [b"x" * 8191, b"y"]
    assert refusal(frame(data, seal=new_seal()), 8192, seal=new_seal()) == "InvalidChunkSizeError"
    data = [b"x" * 8192, b"y"]
    assert decode([frame(data, seal=new_seal())], 8193, seal=new_seal())[0] == b"".join(data)
    assert decode([frame([b"a", b"b"])], 2)[0] == b"ab"


# Trailers


@pytest.mark.requirement("PAY-18")
@pytest.mark.parametrize(
    "trailer",
    [
        b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\n\r\n",
        b"x-amz-checksum-crc32: AAAAAA==\r\n\r\n",
        b"x-amz-checksum-crc32:\tAAAAAA== \r\n\r\n",
        b"X-Amz-Checksum-CRC32:AAAAAA==\r\n\r\n",
        b"\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
    ],
)
def test_a_trailer_is_understood_however_it_is_written(trailer: bytes) -> None:
    assert decode([b"1\r\nx\r\n0\r\n" + trailer], 1, CRC) == (b"x", b"AAAAAA==")


@pytest.mark.requirement("PAY-11")
@pytest.mark.parametrize(
    ("trailer", "announced"),
    [
        (b"\r\n", CRC),
        (b"x-amz-checksum-crc33:AAAAAA==\r\n\r\n", CRC),
        (b"x-amz-checksum-crc32c:AAAAAA==\r\n\r\n", CRC),
        (b"x-amz-checksum-crc32\r\n\r\n", CRC),
        (b":\r\n\r\n", CRC),
        (b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", CRC),
        (b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-meta-a:b\r\n\r\n", CRC),
        (b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:0\r\n\r\n", CRC),
        (b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n", None),
        (b"\r\n" * MAX_TRAILER, CRC),
    ],
)
def test_a_trailer_that_is_not_the_announced_one_is_refused(trailer: bytes, announced: bytes | None) -> None:
    assert refusal(b"1\r\nx\r\n0\r\n" + trailer, 1, announced) == "MalformedTrailerError"


@pytest.mark.parametrize(("spaces", "code"), [(MAX_LINE - 30, ""), (MAX_LINE, "IncompleteBody")])
def test_a_long_trailer_line_is_judged_by_its_length_however_it_was_cut(spaces: int, code: str) -> None:
    """One of 256 to 511 bytes was accepted if it came in one piece, and refused if it did not."""
    body = b"0\r\nx-amz-checksum-crc32:" + b" " * spaces + b"\r\n\r\n"
    for step in (len(body), 100, 1):
        decoder = Decoder(None, b"x-amz-checksum-crc32", 0)
        try:
            for at in range(0, len(body), step):
                decoder.feed(body[at : at + step])
        except S3Error as error:
            assert error.code == code
        else:
            assert code == ""
