"""The published spec: pages, JSON, a Smithy model and an OpenAPI document, made of the catalogue.

Everything here is a pure function of the catalogue and of a `Publication`, except `writing.write`.
"""

from __future__ import annotations

from collections.abc import Mapping

from anys3.spec.exporting import data, openapi, pages, smithy
from anys3.spec.exporting.publication import Publication

__all__ = ["Publication", "render"]


def render(publication: Publication) -> Mapping[str, str]:
    """Return every file of the published spec by its path, in order. Equal catalogues give equal bytes."""
    files = {
        **pages.render(publication),
        "requirements.json": data.requirements(publication),
        "limits.json": data.limits(),
        "non-guarantees.json": data.non_guarantees(),
        "s3.smithy.json": smithy.render(publication),
        "s3.openapi.json": openapi.render(publication),
    }
    return dict(sorted(files.items()))
