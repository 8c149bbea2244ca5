"""The manifest of a model in an Ollama store: which blobs it consists of.

STORE/manifests/registry.ollama.ai/OWNER/NAME/TAG is an OCI manifest: {"layers": [{"mediaType", "digest": "sha256:...", "size"}]},
with media types such as application/vnd.ollama.image.model, .projector, .template, .params.
Promises: a manifest is understood whole or refused (ValueError); a digest is 64 hexadecimal digits, so that it can name a blob.
Does not cover: where stores are, and whether the blobs are there (`models/sources.py`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layer:
    """One blob: the last word of its media type ("model", "projector", ...), its sha256, its bytes."""

    kind: str
    sha256: str
    size: int


def read_manifest(raw: bytes) -> list[Layer]:
    """The layers, in order. Raises ValueError that says what is wrong."""
    try:
        rows = [(str(row["mediaType"]), str(row["digest"]), int(row["size"])) for row in json.loads(raw)["layers"]]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise ValueError("is not an Ollama manifest") from None
    layers = []
    for media, digest, size in rows:
        match = re.fullmatch(r"sha256[:-]([0-9a-f]{64})", digest)
        if match is None:
            raise ValueError(f"names a blob that is no digest: {digest[:80]!r}")
        layers.append(Layer(media.rpartition(".")[2], match[1], size))
    return layers
