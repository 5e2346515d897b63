"""Reading by part number: PN-01 and PN-02."""

from __future__ import annotations

from anys3.conformance.kit.multipart import MIN_PART, filler, of_one_part
from anys3.conformance.outcomes import Skipped
from anys3.conformance.probe import Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_GET, _HEAD = "GetObject", "HeadObject"
_COUNT = "x-amz-mp-parts-count"
_BODY = b"put in one piece"


def _read(probe: Probe, method: str, key: str, number: str, headers: dict[str, str] | None = None) -> Reply:
    """GET or HEAD with partNumber."""
    return probe.request(method, probe.path(key), [("partNumber", number)], headers or {})


@check("PN-01", operation=_GET)
def part_of_an_object(probe: Probe) -> None:
    """GET and HEAD with partNumber give that part, its place and how many there are; or 501 for N > 1."""
    bodies = filler("PN-01"), b"the last part"
    key = probe.given_multipart_object(*bodies)
    size = MIN_PART + len(bodies[1])
    places = {"2": f"bytes {MIN_PART}-{size - 1}/{size}", "1": f"bytes 0-{MIN_PART - 1}/{size}"}
    for number, place in places.items():
        reply = _read(probe, "GET", key, number)
        if number == "2" and reply.is_one_of("501"):
            probe.report("reading by part number is not there (501)")
            return
        about = f"part {number} of an object of two"
        reply.expect("206", about=f"GET of {about}")
        require(reply.body == bodies[int(number) - 1], f"GET of {about}: got other bytes than were sent")
        head = _read(probe, "HEAD", key, number).expect("206", about=f"HEAD of {about}")
        for method, answer in (("GET", reply), ("HEAD", head)):
            equal(answer.header("content-range"), place, f"Content-Range of {method} of {about}")
            equal(answer.header(_COUNT), "2", f"{_COUNT} of {method} of {about}")


@check("PN-01", operation=_GET)
def whole_has_no_count(probe: Probe) -> None:
    """An answer with a whole object tells no part count."""
    key = _of_one_part(probe)
    for reply in (probe.get(key), probe.head(key)):
        equal(reply.expect("200").header(_COUNT), None, f"{_COUNT} of an answer with the whole object")


@check("PN-01", operation=_GET)
def part_1_of_a_simple_object(probe: Probe) -> None:
    """Part 1 of an object that was put in one piece is the whole object, without a part count."""
    key = probe.shared_object(_BODY)
    reply = _read(probe, "GET", key, "1").expect("200", "206", about="part 1 of an object in one piece")
    equal(reply.body, _BODY, "part 1 of an object in one piece")
    equal(reply.header(_COUNT), None, f"{_COUNT} of an object in one piece")


def _of_one_part(probe: Probe) -> str:
    """Return the key of an object of one part, or block the check."""
    key, _, reply = of_one_part(probe)
    with probe.setting_up("a multipart upload could not be completed"):
        reply.expect("200")
    return key


def _given_claim(probe: Probe) -> str:
    """Return the key of an object in one piece, or skip where reading by part number is not claimed."""
    key = probe.shared_object(_BODY)
    if probe.asked_once("part 2", lambda: _read(probe, "GET", key, "2")).is_one_of("501"):
        raise Skipped("reading by part number is not claimed (501)")
    return key


@check("PN-02", operation=_GET)
def part_1_is_the_whole(probe: Probe) -> None:
    """Part 1 of an object in one piece is answered with 206, the whole object and no part count."""
    key = _given_claim(probe)
    reply = _read(probe, "GET", key, "1").expect("206", about="GET of part 1 of an object in one piece")
    equal(reply.body, _BODY, "part 1 of an object in one piece")
    head = _read(probe, "HEAD", key, "1").expect("206", about="HEAD of part 1 of an object in one piece")
    for answer in (reply, head):
        place = f"bytes 0-{len(_BODY) - 1}/{len(_BODY)}"
        equal(answer.header("content-range"), place, "Content-Range of part 1 of an object in one piece")
        equal(answer.header(_COUNT), None, f"{_COUNT} of part 1 of an object in one piece")


@check("PN-02", operation=_GET)
def part_that_is_not_there(probe: Probe) -> None:
    """A part number that the object does not have is refused with 416 InvalidPartNumber."""
    _given_claim(probe)
    key = _of_one_part(probe)
    about = "part 2 of an object of one part"
    _read(probe, "GET", key, "2").expect("416 InvalidPartNumber", about=f"GET of {about}")
    _read(probe, "HEAD", key, "2").expect("416", about=f"HEAD of {about}")


@check("PN-02", operation=_GET)
def part_2_of_a_simple_object(probe: Probe) -> None:
    """Part 2 of an object in one piece is refused with 416 InvalidPartNumber."""
    key = _given_claim(probe)
    about = "GET of part 2 of an object in one piece"
    _read(probe, "GET", key, "2").expect("416 InvalidPartNumber", about=about)


@check("PN-02", operation=_GET)
def range_and_part_number(probe: Probe) -> None:
    """Range and partNumber together are refused with 400 InvalidRequest."""
    key = _given_claim(probe)
    reply = _read(probe, "GET", key, "1", {"range": "bytes=0-1"})
    reply.expect("400 InvalidRequest", about="GET with Range and partNumber")


@check("PN-02", operation=_GET)
def no_part_number(probe: Probe) -> None:
    """A part number of 0, above 10,000 or that is no number is refused with 400 InvalidArgument."""
    key = _given_claim(probe)
    for number in ("0", "10001", "one"):
        about = f"GET with partNumber={number}"
        _read(probe, "GET", key, number).expect("400 InvalidArgument", about=about)


@check("PN-02", operation=_HEAD)
def no_part_number_of_head(probe: Probe) -> None:
    """HEAD with a part number of 0, above 10,000 or that is no number is answered with 400."""
    key = _given_claim(probe)
    for number in ("0", "10001", "one"):
        _read(probe, "HEAD", key, number).expect("400", about=f"HEAD with partNumber={number}")
