"""Servers broken for the checks of browser forms: POST-01 to POST-03, POST-09 to POST-13."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from anys3.operations.call import Call
from anys3.protocol import authentication, claims, claims_form, form_data
from anys3.protocol.http import Answer, Request
from anys3.server import forms
from anys3.spec.errors import S3Error
from tests.breakages.authorization_header import never_compared
from tests.broken_servers import (
    Breakage,
    Handler,
    accepting,
    all_of,
    answering,
    body_of,
    breaks,
    drop_header,
    error_answer,
    handled,
    header_of,
    patched,
    saying,
    set_header,
    when,
)

CHECK_FORM = "anys3.server.forms.check_form"
check_form = forms.check_form
read_credential = authentication._credential
prove_form = claims_form.FormClaim.prove


def is_form(request: Request) -> bool:
    """Whether a request is a form."""
    return when(request, "POST") and b"multipart" in request.headers.get(b"content-type", b"")


def of_forms(sentence: str, change: Callable[[Answer], Answer | None]) -> Breakage:
    """A server that answers forms otherwise."""
    return answering(sentence, lambda request, answer: change(answer) if is_form(request) else None)


def with_fields(sentence: str, change: Callable[[dict[str, str], Any], object]) -> Breakage:
    """A server that, once the policy holds, changes the fields: `change(fields, form)`."""

    def broken(request: Request, form: Any, target: Any, now_s: int) -> Any:
        target, form = check_form(request, form, target, now_s)
        fields = dict(form.fields)
        change(fields, form)
        return target._replace(key=fields["key"].encode()), replace(form, fields=fields)

    return patched(sentence, CHECK_FORM, broken)


def without(name: str) -> Breakage:
    """Ignores a field of forms."""
    return with_fields(f"forms have no {name}", lambda fields, _: fields.pop(name, None))


# --- POST-01 to POST-03: what forms do ---------------------------------------------------------------------

breaks(
    "POST-01/stores-a-file",
    of_forms("a form is answered with 200", lambda answer: replace(answer, status=200)),
)


async def with_line_end(call: Call, want: Any, proceed: Handler) -> Any:
    """Store the line end behind the file, too."""
    assert call.form is not None
    form = call.form
    if form.file_head:
        call.form = replace(form, file_head=b"\r\n" + form.file_head)
    return await proceed(call, want)


breaks(
    "POST-01/stores-a-file",
    handled("a line end is added to the file", "PostObject", with_line_end),
)
breaks(
    ("POST-02/answers-as-asked", "POST-02/created-document"),
    without("success_action_status"),
)
breaks("POST-02/answers-as-asked", of_forms("forms have no ETag", lambda answer: drop_header(answer, "ETag")))
breaks(
    "POST-02/answers-as-asked",
    with_fields(
        "another success_action_status means 200",
        lambda fields, _: (
            fields.update(success_action_status="200")
            if fields.get("success_action_status") == "404"
            else None
        ),
    ),
)
for _element in (b"Location", b"Bucket", b"Key", b"ETag"):
    breaks(
        "POST-02/created-document",
        of_forms(
            f"a PostResponse has no {_element.decode()}",
            lambda answer, name=_element: replace(
                answer, body=body_of(answer).replace(b"<%b>" % name, b"<X>").replace(b"</%b>" % name, b"</X>")
            ),
        ),
    )


def unencoded(answer: Answer) -> Answer | None:
    """Send the ETag without its quotes."""
    where = header_of(answer, "Location")
    return set_header(answer, "Location", where.replace("%22", "")) if where else None


def appended_nothing(answer: Answer) -> Answer | None:
    """Send the URL of the form as it is."""
    where = header_of(answer, "Location")
    return set_header(answer, "Location", where.partition("?")[0]) if where else None


breaks("POST-02/redirects-as-asked", without("success_action_redirect"))
breaks("POST-02/redirects-as-asked", of_forms("the ETag in a redirect has no quotes", unencoded))
breaks("POST-02/redirects-as-asked", of_forms("nothing is appended to a redirect", appended_nothing))
breaks(
    "POST-02/redirects-as-asked",
    of_forms(
        "forms are redirected with 302",
        lambda answer: replace(answer, status=302) if answer.status == 303 else None,
    ),
)


def naming(sentence: str, name: Callable[[str], str]) -> None:
    """Register a server that makes another key of the file name."""
    disposition = form_data._disposition

    def broken(head: bytes) -> tuple[str, str]:
        field, file_name = disposition(head)
        return field, name(file_name)

    breaks("POST-03/filename-in-key", patched(sentence, "anys3.protocol.form_data._disposition", broken))


naming("${filename} is not replaced", lambda _: "")
naming("${filename} keeps the folders of the file", lambda name: name.replace("/", "\u2215"))


def empty_name(fields: dict[str, str], form: Any) -> None:
    """Replace ${filename} by nothing."""
    if not form.decoder.file_name:
        fields["key"] = fields["key"].replace("${filename}", "")


breaks("POST-03/no-filename", with_fields("a file without a name has an empty one", empty_name))

# --- POST-09 to POST-11: what is no form -------------------------------------------------------------------


def unsigned_is_allowed(request: Request, answer: Answer) -> Answer | None:
    """Answer a form that lacks something as if it were stored."""
    return Answer(204, b'ETag: "0"\r\n') if is_form(request) and answer.status in (400, 403) else None


for _name in ("missing-fields", "one-file", "no-signature"):
    breaks(f"POST-09/{_name}", answering("forms that lack something are accepted", unsigned_is_allowed))
breaks("POST-09/missing-fields", saying("InternalError", instead_of="InvalidArgument"))
breaks(
    "POST-09/one-file",
    patched(
        "of two files the first counts", "anys3.protocol.form_data.FormDecoder._feed_rest", lambda *_: None
    ),
)
breaks("POST-09/no-signature", saying("InvalidArgument", instead_of="AccessDenied"))
breaks(
    "POST-09/sigv2-forms",
    patched("SigV2 signatures are not compared", "anys3.protocol.claims_form.compare_v2", never_compared),
)
breaks(
    "POST-09/sigv2-forms",
    of_forms(
        "a form with SigV2 is a server's error",
        lambda answer: error_answer("InternalError") if answer.status == 403 else None,
    ),
)
breaks("POST-10/other-content-types", accepting("PreconditionFailed", method="POST"))
breaks("POST-10/other-content-types", saying("MethodNotAllowed", instead_of="PreconditionFailed"))


breaks(
    "POST-11/too-long-fields",
    patched("fields of forms may be long", "anys3.protocol.form_data.MAX_FIELD_BYTES", 1 << 20),
)
breaks(
    "POST-11/too-long-fields",
    patched("fields of forms must be short", "anys3.protocol.form_data.MAX_FIELD_BYTES", 8 << 10),
)
breaks(
    "POST-11/too-long-fields",
    saying("EntityTooLarge", instead_of="MaxPostPreDataLengthExceededError"),
)

# --- POST-12, POST-13: what they store, and where ----------------------------------------------------------

for _name in (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "expires",
    "x-amz-meta-a",
):
    breaks("POST-12/fields-describe-the-object", without(_name))


def type_of_part(fields: dict[str, str], _: Any) -> None:
    """Take the content type of the file's part where the form has none."""
    fields.setdefault("content-type", "text/x-part")


breaks("POST-12/fields-describe-the-object", with_fields("the file's part gives the type", type_of_part))
breaks("POST-12/tags-in-a-document", without("tagging"))
breaks("POST-12/tags-in-a-document", saying("InternalError", instead_of="MalformedXML"))


def headers_forgotten(request: Request, form: Any, target: Any, now_s: int) -> Any:
    """Hold the form against its policy, and take nothing of it for headers."""
    sent = dict(request.headers)
    found = check_form(request, form, target, now_s)
    request.headers = sent
    return found


breaks("POST-12/checksums-of-forms", patched("forms have no checksums", CHECK_FORM, headers_forgotten))
breaks("POST-13/missing-bucket", accepting("NoSuchBucket", method="POST"))
breaks("POST-13/missing-bucket", saying("AccessDenied", instead_of="NoSuchBucket"))


def scopes_ignored(claim: Any, *arguments: Any, **more: Any) -> claims.Proof:
    """Believe a form of any scope."""
    try:
        return prove_form(claim, *arguments, **more)
    except S3Error as error:
        if error.code in ("AuthorizationQueryParametersError", "SignatureDoesNotMatch"):
            return claims.Proof()
        raise


def any_service(credential: str, code: str) -> Any:
    """Read a credential of any service."""
    return read_credential(credential.replace("/ec2/", "/s3/"), code)


breaks(
    "POST-13/foreign-scopes",
    all_of(
        "a form may be signed for any service",
        patched("", "anys3.protocol.authentication._credential", any_service),
        patched("", "anys3.protocol.claims_form.FormClaim.prove", scopes_ignored),
    ),
)
breaks(
    "POST-13/foreign-scopes",
    of_forms(
        "a form of another scope is a server's error",
        lambda answer: error_answer("InternalError") if answer.status in (400, 403) else None,
    ),
)
breaks("POST-13/long-key", saying("InvalidArgument", instead_of="KeyTooLongError"))
breaks("POST-13/long-key", accepting("KeyTooLongError", method="POST"))
