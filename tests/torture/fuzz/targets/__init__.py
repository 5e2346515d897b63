"""All targets: each takes any bytes, and raises only if something is found."""

from __future__ import annotations

from collections.abc import Callable

from tests.torture.fuzz.targets import chunked, documents, forms, framing, heads, requests, signatures

TARGETS: dict[str, Callable[[bytes], None]] = {
    "http-framing": framing.http_framing,
    "sigv4-header": signatures.sigv4_header,
    "sigv4-query": signatures.sigv4_query,
    "sigv2": signatures.sigv2,
    "aws-chunked": chunked.aws_chunked,
    "aws-chunked-encoded": chunked.aws_chunked_encoded,
    "xml": documents.xml_any,
    "xml-delete": documents.xml_delete,
    "xml-complete": documents.xml_complete,
    "xml-cors": documents.xml_cors,
    "xml-tagging": documents.xml_tagging,
    "xml-create-bucket": documents.xml_create_bucket,
    "post-form": forms.post_form,
    "post-policy": forms.policy,
    "range": heads.range_header,
    "copy-source": heads.source,
    "key": heads.keys,
    "host": heads.host,
    "listing": heads.listings,
    "date": heads.date,
    "etags": heads.etag_list,
    "metadata": heads.metadata_headers,
    "tagging": heads.tagging_header,
    "query": heads.query,
    "checksums": heads.checksum_headers,
    "cors-json": heads.cors_rules,
    "request": requests.whole_request,
}
