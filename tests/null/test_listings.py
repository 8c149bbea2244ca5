"""What hubs, package indexes and Ollama's store say, where it is not what they should say.

Promises: each input here once ended in an exception that nobody expected; now each ends in the error that its parser promises.
Does not cover: what they say when all is well (`test_sources.py`); random bytes (`tests/fuzz/parsers.py`).
"""

from __future__ import annotations

import pytest

from homefire.dialects import hub, ollama_store, package_index
from homefire.errors import SourceUnreachable

BASE = "https://example.org/x"


def test_an_ollama_manifest_with_a_size_beyond_all_numbers() -> None:
    row = '{"layers": [{"mediaType": "x", "digest": "sha256:%s", "size": 1e999}]}' % ("d" * 64)
    with pytest.raises(ValueError, match="is not an Ollama manifest"):
        ollama_store.read_manifest(row.encode())


def test_a_next_page_that_is_no_address() -> None:
    assert hub.next_page('<http://[::1]/x>; rel="next"', BASE) == "http://[::1]/x"
    with pytest.raises(SourceUnreachable, match="example"):
        hub.next_page('<http://[>; rel="next"', BASE)


@pytest.mark.parametrize("page", ['<a href="http://[x">x</a>', "<![foo[ x ]]>"])
def test_a_page_that_is_none(page: str) -> None:
    assert len(package_index.read_html('<a href="x-1.whl">x</a>', BASE)) == 1
    with pytest.raises(SourceUnreachable, match="example"):
        package_index.read_html(page, BASE)
