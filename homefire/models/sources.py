"""Where models come from: a written source becomes a frozen value, a source becomes a list of files.

    hf:owner/repo[:quant | :file.gguf][#sha256=...]     the hub says path, size and sha256 of every file
    https://host/path/file.gguf[#sha256=...]
    file:PATH                            a file on this machine
    ollama:[user/]name[:tag]             read in place from an Ollama store, never copied
    pypi:package[==version]#path         one file, or with a final slash all files of a folder, inside a package's wheel

Promises: parsing is pure and refuses what is not one of these; every name that comes from outside is checked before it can
become a path (`safe_name`); a split GGUF is whole or refused; pickled files are refused with the reason.
Does not cover: fetching (`fetch.py`), package indexes and wheels (`wheels.py`), what a name of the catalogue stands for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from homefire.dialects import hub, ollama_store
from homefire.errors import BadSource, PickleRefused, SourceNotFound, SourceRefused, SourceUnreachable
from homefire.models.origin import Credential, Http, Origin, Page, check_url

Kind = Literal["hf", "https", "file", "ollama", "pypi"]
Role = Literal["model", "part", "projector", "companion"]

HUB = "https://huggingface.co"
DEFAULT_QUANT = "Q4_K_M"
MOST_PAGES, MOST_FILES = 50, 20_000
_SPLIT = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_QUANT = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:IQ|TQ|Q)\d(?:_[A-Z0-9]+)*|MXFP4|BF16|F16|FP16|F32)(?![A-Za-z0-9])", re.IGNORECASE
)
# Formats that are Python programs in disguise: reading them can run anything.
_PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib"})
# What conversion needs beside safetensors.
_COMPANIONS = re.compile(
    r"(.*/)?(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|modules|sentence_bert_config"
    r"|config_sentence_transformers|preprocessor_config|vocab|model\.safetensors\.index|chat_template)\.json"
    r"|(.*/)?(vocab\.txt|merges\.txt|tokenizer\.model|chat_template\.jinja)"
)
_OLLAMA_ROLES: Mapping[str, Role] = {
    "model": "model", "projector": "projector", "template": "companion", "params": "companion",
}  # fmt: skip
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))})


@dataclass(frozen=True, slots=True)
class Source:
    """A source as it was written. `name`: owner/repo, address, path, Ollama name or package; `pick`: quantization, file, tag or
    path inside the package; `version` of a package; `sha256` if the text gave one."""

    kind: Kind
    name: str
    pick: str = ""
    version: str = ""
    sha256: str | None = None

    def __str__(self) -> str:
        mark = f"#sha256={self.sha256}" if self.sha256 else ""
        if self.kind == "https":
            return self.name + mark
        if self.kind == "pypi":
            return f"pypi:{self.name}{'==' + self.version if self.version else ''}#{self.pick}"
        return f"{self.kind}:{self.name}{':' + self.pick if self.pick else ''}{mark}"


def shown(text: str) -> str:
    """A source as lists show it and the library keeps it: of a query, which may be secret, only a mark that tells two
    of them apart."""
    address, question, query = text.partition("?")
    if not question or not address.startswith(("https:", "http:")):
        return text
    query, hash, digest = query.partition("#")
    return f"{address}?({hashlib.sha256(query.encode()).hexdigest()[:8]}){hash}{digest}"


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model. Either `url` (fetch it) or `path` (it is here already). `size` in bytes and `sha256` if known.
    `role`: the model or the first of its parts, a further part, a vision projector, or something that goes with it. `members`:
    the file is a wheel, and what is wanted inside it (`wheels.extract`)."""

    name: str
    url: str = ""
    path: Path | None = None
    size: int | None = None
    sha256: str | None = None
    role: Role = "model"
    members: str = ""
    credential: Credential | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Places:
    """Where sources are looked for: the hub's address and token, folders of Ollama stores."""

    hub: str = HUB
    hub_token: str = field(default="", repr=False)
    ollama: tuple[Path, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str], home: Path) -> Places:
        """From HF_ENDPOINT, HF_TOKEN and OLLAMA_MODELS; `home` is the user's home folder."""
        given = environment.get("OLLAMA_MODELS", "")
        usual = (home / ".ollama" / "models", Path("/usr/share/ollama/.ollama/models"), Path("/var/lib/ollama/models"))
        return cls(
            environment.get("HF_ENDPOINT", "").rstrip("/") or HUB,
            environment.get("HF_TOKEN", ""),
            (Path(given).expanduser(),) if given else usual,
        )


# -- parsing


def parse(text: str) -> Source:
    """The source a text names. Pure. Raises BadSource, PickleRefused."""
    text = text.strip()
    scheme, _, rest = text.partition(":")
    if not text.isprintable() or len(text) > 4096:
        raise BadSource(f"Not a source: {text[:120]!r}")
    if scheme == "hf":
        rest, sha256 = _split_digest(rest)
        return replace(_parse_hub(rest), sha256=sha256)
    if scheme in ("https", "http"):
        return _parse_web(text)
    if scheme == "file":
        return _parse_file(rest)
    if scheme == "ollama":
        return _parse_ollama(rest)
    if scheme == "pypi":
        return _parse_package(rest)
    raise BadSource(f"Not a source: {text[:120]!r}")


def _parse_hub(rest: str) -> Source:
    name, _, pick = rest.partition(":")
    part = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
    if not re.fullmatch(f"{part}/{part}", name) or ".." in name or (":" in rest and not pick):
        raise BadSource(f"Not a repository: {rest[:120]!r}", "Write hf:owner/repo or hf:owner/repo:Q4_K_M.")
    if "." in pick and not _QUANT.fullmatch(pick):
        refuse_pickle(safe_name(pick))
    elif pick and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", pick):
        raise BadSource(f"Not a quantization: {pick[:80]!r}", "Write one like Q4_K_M, or the whole name of a file.")
    return Source("hf", name, pick)


def _split_digest(text: str) -> tuple[str, str | None]:
    address, _, mark = text.partition("#")
    digest = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", mark)
    if mark and not digest:
        raise BadSource("After # only sha256=... with 64 hexadecimal digits is understood.")
    return address, digest[1].lower() if digest else None


def _parse_web(text: str) -> Source:
    address, sha256 = _split_digest(text)
    url = check_url(address)
    refuse_pickle(web_name(url))
    return Source("https", url, sha256=sha256)


def _parse_file(rest: str) -> Source:
    # file:///a/b and file:/a/b and file:b; another host in between is not a path of this machine.
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            raise BadSource(f"Not a file of this machine: {rest[:120]!r}", "Write file:PATH.")
        rest = "/" + unquote(path)
    if not rest or "\0" in rest:
        raise BadSource("A file's path is missing.", "Write file:PATH.")
    refuse_pickle(rest)
    return Source("file", rest)


def _parse_ollama(rest: str) -> Source:
    name, _, tag = rest.partition(":")
    part = r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,79}"
    if not re.fullmatch(f"(?:{part}/)?{part}", name) or ".." in rest or not re.fullmatch(f"(?:{part})?", tag):
        raise BadSource(f"Not an Ollama model: {rest[:120]!r}", "Write ollama:name or ollama:name:tag.")
    return Source("ollama", name, tag or "latest")


def _parse_package(rest: str) -> Source:
    package, _, path = rest.partition("#")
    name, _, version = package.partition("==")
    # PEP 508 names, PEP 503 normal form.
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", name) or not path:
        raise BadSource(f"Not a package and a path in it: {rest[:120]!r}", "Write pypi:package#path/in/the/package.")
    if "==" in package and not re.fullmatch(r"[A-Za-z0-9.!+_-]{1,64}", version):
        raise BadSource(f"Not a version: {version[:80]!r}")
    refuse_pickle(safe_name(path.removesuffix("/")))
    return Source("pypi", re.sub(r"[-_.]+", "-", name).lower(), path, version)


def safe_name(name: str) -> str:
    """The name, if it is a relative path that stays where it is put, on every system. Raises BadSource otherwise."""
    parts = name.split("/")
    for part in parts:
        if (
            not 1 <= len(part.encode("utf-8", "replace")) <= 255
            or part in (".", "..")
            or not part.isprintable()
            or {*part} & {*'\\:*?"<>|'}
            or part[-1] in ". "
            or part.split(".")[0].lower() in _RESERVED
        ):
            raise BadSource(f"Not a name for a file: {name[:120]!r}", "The source is faulty or hostile; do not use it.")
    if len(name) > 1024:
        raise BadSource(f"Not a name for a file: {name[:120]!r}")
    return name


def web_name(url: str) -> str:
    """The file's name in a web address. Raises BadSource if it has none."""
    return safe_name(unquote(urlsplit(url).path.rpartition("/")[2]))


def refuse_pickle(name: str) -> None:
    """Raises PickleRefused by the name's ending."""
    if (suffix := PurePosixPath(name.lower()).suffix) in _PICKLES:
        raise PickleRefused(f"{name[-120:]} is pickled Python ({suffix}), which can run any program when it is read.")


# -- choosing among a repository's files


def choose(files: list[File], pick: str = "") -> list[File]:
    """The files of a repository that make one model: a GGUF by quantization or name (Q4_K_M, else the first), all parts of a
    split one, its projector; or, where there is no GGUF, the safetensors with what converts them, of which `pick` can be made.
    Pure.

    Raises SourceNotFound, PickleRefused.
    """
    ggufs = sorted((f for f in files if f.name.lower().endswith(".gguf")), key=lambda f: f.name)
    models = [f for f in ggufs if not re.search(r"mmproj|imatrix", f.name, re.IGNORECASE)]
    if "." in pick and not _QUANT.fullmatch(pick):
        found = next((f for f in files if f.name == pick), None)
        if found is None:
            raise SourceNotFound(f"The repository has no file {pick!r}.", _names(models))
        return _with_parts(found, models)
    if not models:
        return _safetensors(files, pick)
    wanted = (pick or DEFAULT_QUANT).lower()
    found = next((f for f in models if quant_of(f.name).lower() == wanted), None)
    if found is None and pick:
        kinds = ", ".join(dict.fromkeys(quant_of(f.name) or f.name for f in models))
        raise SourceNotFound(f"The repository has no GGUF with the quantization {pick}.", f"It has: {kinds[:600]}.")
    chosen = _with_parts(found or models[0], models)
    projectors = [f for f in ggufs if "mmproj" in f.name.lower()]
    if projectors:
        best = next((f for f in projectors if quant_of(f.name).lower() in ("f16", "fp16")), projectors[0])
        chosen.append(_as(best, "projector"))
    return chosen


def quant_of(name: str) -> str:
    """The quantization in a file's name as it is written there, "" if there is none. Pure. The last one counts: a folder or a
    family's name may carry another."""
    found = _QUANT.findall(PurePosixPath(name).name) or _QUANT.findall(name)
    return str(found[-1]) if found else ""


def _with_parts(first: File, files: list[File]) -> list[File]:
    split = _SPLIT.fullmatch(first.name)
    if split is None:
        return [_as(first, "model")]
    by_name = {f.name: f for f in files}
    count = int(split["count"])
    names = [f"{split['stem']}-{n:05d}-of-{split['count']}{first.name[-5:]}" for n in range(1, count + 1)]
    missing = [name for name in names if name not in by_name]
    if missing or not 1 <= count <= 1000:
        raise SourceNotFound(f"The model is split into {count} files and {len(missing)} of them are not there.")
    return [_as(by_name[name], "part" if n else "model") for n, name in enumerate(names)]


def _safetensors(files: list[File], pick: str) -> list[File]:
    tensors = [f for f in files if f.name.endswith(".safetensors") and "/" not in f.name]
    if not tensors or (pick and not _QUANT.fullmatch(pick)):
        for file in files:
            if not tensors:
                refuse_pickle(file.name)
        raise SourceNotFound(
            "The repository has no GGUF file.", "Many models have a second repository with -GGUF in its name."
        )
    companions = [_as(f, "companion") for f in files if _COMPANIONS.fullmatch(f.name)]
    return [_as(f, "part" if n else "model") for n, f in enumerate(sorted(tensors, key=lambda f: f.name))] + companions


def _as(file: File, role: Role) -> File:
    return File(file.name, file.url, file.path, file.size, file.sha256, role, file.members, file.credential)


def _names(files: list[File]) -> str:
    return f"It has: {', '.join(f.name for f in files)[:600]}." if files else ""


# -- resolving


async def resolve_hub(source: Source, http: Http, places: Places) -> list[File]:
    """The files of a `hf:` source. Raises SourceNotFound, SourceRefused, SourceUnreachable, BadSource, PickleRefused."""
    credential = Credential(Origin.of(places.hub), f"Bearer {places.hub_token}") if places.hub_token else None
    repo = quote(source.name)
    address: str | None = f"{places.hub}/api/models/{repo}/tree/main?recursive=true"
    files: list[File] = []
    for _ in range(MOST_PAGES):
        if address is None:
            break
        page = await http.get(address, "application/json", credential)
        _require_ok(page, source)
        rows = hub.read_tree(page.body, Origin.of(page.url).host)
        files += [_hub_file(row, f"{places.hub}/{repo}/resolve/main/", credential) for row in rows]
        if len(files) > MOST_FILES:
            raise SourceUnreachable(f"{source}: the hub lists more than {MOST_FILES:,} files.")
        address = _next_page(page, places)
    return choose(files, source.pick)


def _hub_file(row: hub.Row, base: str, credential: Credential | None) -> File:
    name = safe_name(row.path)
    return File(name, base + quote(name), size=row.size, sha256=row.sha256, credential=credential)


def _next_page(page: Page, places: Places) -> str | None:
    """The address of the list's next page, which must be the hub's own."""
    address = hub.next_page(page.headers.get("link", ""), page.url)
    if address is not None and Origin.of(address) != Origin.of(places.hub):
        raise SourceUnreachable(f"{Origin.of(places.hub).host} sends its list to another server.")
    return address


def _require_ok(page: Page, source: Source) -> None:
    if page.status in (401, 403):
        raise SourceRefused(f"{source}: {Origin.of(page.url).host} answers {page.status}. It may also not exist.")
    if page.status == 404:
        raise SourceNotFound(f"{source}: {Origin.of(page.url).host} knows no such thing.")
    if page.status != 200:
        raise SourceUnreachable(f"{source}: {Origin.of(page.url).host} answers {page.status}.")


def resolve_web(source: Source) -> list[File]:
    """The file of an `https:` source, or all parts of a split one, of which the first is named. Raises SourceNotFound."""
    name = web_name(source.name)
    split = _SPLIT.fullmatch(name)
    if split is None or not 1 <= int(split["count"]) <= 1000:
        return [File(name, source.name, sha256=source.sha256)]
    if int(split["number"]) != 1:
        raise SourceNotFound(f"{name} is not the first part of its model.", "Give the address of the part -00001-of-.")
    mark = f"-{split['number']}-of-{split['count']}"
    files: list[File] = []
    for number in range(1, int(split["count"]) + 1):
        other = f"-{number:05d}-of-{split['count']}"
        named, address = other.join(name.rsplit(mark, 1)), other.join(source.name.rsplit(mark, 1))
        files.append(
            File(named, address, sha256=source.sha256 if number == 1 else None, role="part" if files else "model")
        )
    return files


def resolve_file(source: Source) -> list[File]:
    """A file on this machine, and the other parts if it is split. Raises SourceNotFound. Blocks for a moment."""
    path = Path(source.name).expanduser()
    if not path.is_file():
        raise SourceNotFound(f"There is no file {path}.", "Check the path.")
    beside = [File(p.name, path=p, size=p.stat().st_size) for p in path.parent.glob("*.gguf") if p.is_file()]
    own = File(path.name, path=path, size=path.stat().st_size, sha256=source.sha256)
    return _with_parts(own, beside)


def resolve_ollama(source: Source, places: Places) -> list[File]:
    """The files of a model in an Ollama store, in place. Blocks for a moment.

    Raises SourceNotFound, BadSource for a manifest that is none or names blobs outside its store.
    """
    owner = source.name if "/" in source.name else f"library/{source.name}"
    tried = [folder / "manifests" / "registry.ollama.ai" / owner / source.pick for folder in places.ollama]
    manifest = next((path for path in tried if path.is_file()), None)
    if manifest is None:
        folders = ", ".join(map(str, places.ollama)) or "none"
        raise SourceNotFound(
            f"No Ollama store has {source.name}:{source.pick} (looked in: {folders}).", "See: ollama list"
        )
    store = manifest.parents[len(PurePosixPath(owner).parts) + 2]
    try:
        layers = ollama_store.read_manifest(manifest.read_bytes() if manifest.stat().st_size < 1 << 20 else b"")
    except (OSError, ValueError) as problem:
        why = "cannot be read" if isinstance(problem, OSError) else problem
        raise BadSource(f"{manifest} {why}.", f"Fetch it again: ollama pull {source.name}") from None
    found = []
    for layer in layers:
        if (role := _OLLAMA_ROLES.get(layer.kind)) is None:
            continue
        blob = store / "blobs" / f"sha256-{layer.sha256}"
        if not blob.is_file() or blob.stat().st_size != layer.size:
            raise SourceNotFound(f"{blob} is missing or not whole.", f"Fetch it again: ollama pull {source.name}")
        found.append(File(blob.name, path=blob, size=layer.size, sha256=layer.sha256, role=role))
    if not any(file.role == "model" for file in found):
        raise SourceNotFound(f"{source.name}:{source.pick} holds no model file (a cloud model?).")
    return sorted(found, key=lambda file: file.role != "model")
