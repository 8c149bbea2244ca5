"""Knowledge of a real daemon: a mixed folder taken in, found, looked at, changed, asked about, forgotten.

Promises: real children read, real indexes are searched, the pilot answers; what is secret is listed and not found; what changed
is found as it is now, what is gone is not found.
Does not cover: routes and rights one by one (`tests/null/test_knowledge_routes.py`), deaths (`tests/chaos`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homefire.client import Homefire
from homefire.errors import CannotIngest, HomefireError, MissingScope, UnknownCollection
from tests.conftest import RunningDaemon, wait_until
from tests.contract import tiny_bert

KB = "/homefire/v1/knowledge"
GARDEN = """# Garden

## Watering

Tomatoes need water every morning in July.

## Tools

The spade hangs on nail 4711.
"""
STORE = """class Store:
    def write_back(self, key: str) -> None:
        # Writes a value.
        self.dirty[key] = 1
"""
FILES = {
    "garden.md": GARDEN,
    "src/store.py": STORE,
    "people.csv": "name,city\nAda,London\nGrace,Arlington\n",
    "notes/gone.txt": "The heron stands in the reeds.\n",
    ".env": "API_TOKEN=hf_abcdefghijklmnopqrstuvwxyzABCDEFGH\nheron\n",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    started = RunningDaemon(tmp_path_factory.mktemp("home"), HOMEFIRE_THREADS="1").start()
    yield started
    started.stop()


@pytest.fixture
def home(running: RunningDaemon) -> Iterator[Homefire]:
    with running.client() as client:
        yield client
        for row in client.get(KB)["collections"]:
            client.delete(f"{KB}/{row['name']}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mixed"
    for name, text in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text, "utf-8")
    (made / "blob.bin").write_bytes(bytes(range(256)) * 40)
    return made


def taken_in(home: Homefire, path: Path, **fields: Any) -> dict[str, Any]:
    *progress, last = home.ingest(str(path), **fields)
    assert last.name == "done" and progress
    return last.data


def places(home: Homefire, query: str, **fields: Any) -> list[tuple[str, int]]:
    return [(row["path"], row["line"]) for row in home.search(query, **fields)["results"]]


def test_a_folder_from_the_command_line(running: RunningDaemon, home: Homefire, folder: Path) -> None:
    done = running.cli("ingest", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mixed: 4 documents"), done.stdout
    listed = json.loads(running.cli("knowledge", "documents", "mixed", "--json").stdout)["documents"]
    states = {row["path"]: (row["state"], row["code"]) for row in listed}
    assert states[".env"] == ("skipped", "secret_skipped") and states["blob.bin"] == ("skipped", "not_text")
    assert {path for path, (state, _) in states.items() if state == "read"} == set(FILES) - {".env"}
    found = running.cli("search", "water", "tomatoes")
    assert found.stdout.splitlines()[0].startswith("garden.md:5"), found.stdout
    assert "src/store.py:2" in running.cli("search", "write_back").stdout
    assert "garden.md:9" in running.cli("search", r"nail \d{4}", "--regex").stdout
    assert "src/store.py:4" in running.cli("search", "self.dirty[key]", "--literal").stdout
    opened = running.cli("knowledge", "open", "mixed", "garden.md:5", "--count", "1")
    assert opened.stdout == "5  Tomatoes need water every morning in July.\n"
    assert running.cli("knowledge", "verify", "mixed").returncode == 0
    said = running.cli("ask", "What number is the nail of the spade?")
    assert "4711" in said.stdout and "garden.md:" in said.stdout, said.stdout + said.stderr
    whole = json.loads(running.cli("ask", "Who won the war of the roses?", "--json").stdout)
    assert whole["found"] is False and whole["cited"] == []
    assert (
        json.loads(running.cli("search", "x", "--in", "none", "--json").stdout)["error"]["code"] == "unknown_collection"
    )
    assert running.cli("knowledge", "remove", "mixed").returncode == 0
    assert folder.is_dir() and home.get(KB) == {"collections": []}


def test_filters_and_bad_patterns(home: Homefire, folder: Path) -> None:
    taken_in(home, folder, name="kept")
    assert places(home, "heron") == [("notes/gone.txt", 1)], "and not the file with secrets"
    assert places(home, "heron", path="src/*") == [] == places(home, "heron", kind="code")
    assert places(home, "write back", language="python", collections=["kept"]) == [("src/store.py", 2)]
    assert places(home, "heron", until=1.0) == [] and places(home, "heron", since=1.0)
    assert places(home, "HERON", mode="pattern", ignore_case=False) == []
    assert "need an embedding model" in home.search("heron", mode="meaning")["notes"][0]
    for pattern in ("(", "(x+x+)+y"):
        try:
            home.search(pattern, mode="pattern")
        except HomefireError as problem:
            assert problem.code in ("bad_pattern", "pattern_too_slow")
        else:
            assert pattern != "("


def test_what_changed_is_read_and_what_is_gone_is_gone(home: Homefire, folder: Path) -> None:
    taken_in(home, folder)
    again = taken_in(home, folder)["job"]
    assert (again["unchanged"], again["text_bytes"]) == (5, 0)
    (folder / "garden.md").write_text("# Garden\n\nNow there are artichokes.\n", "utf-8")
    (folder / "notes" / "gone.txt").unlink()
    (folder / "new.txt").write_text("A lighthouse keeper.\n", "utf-8")
    done = taken_in(home, folder)
    assert done["collection"]["documents"] == 4
    assert places(home, "artichokes") == [("garden.md", 3)] and places(home, "lighthouse") == [("new.txt", 1)]
    assert places(home, "tomatoes") == [] == places(home, "heron")


def test_duplicates_export_and_import(running: RunningDaemon, home: Homefire, folder: Path) -> None:
    lines = [f"The {number}th harbour has {number * 7} boats and a lamp." for number in range(60)]
    (folder / "harbours.txt").write_text("\n".join(lines), "utf-8")
    (folder / "harbours-old.txt").write_text("\n".join([*lines[:-1], "The last one is empty."]), "utf-8")
    taken_in(home, folder)
    said = running.cli("knowledge", "duplicates", "mixed").stdout
    assert "harbours.txt" in said and "harbours-old.txt" in said and "garden" not in said
    file = folder.parent / "mixed.homefire"
    assert running.cli("knowledge", "export", "mixed", str(file)).stdout.startswith(f"{file}: ")
    again = json.loads(running.cli("knowledge", "export", "mixed", str(file), "--json").stdout)
    assert again["error"]["code"] == "invalid_request", "it is there already"
    done = running.cli("knowledge", "import", str(file), "--name", "copy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert places(home, "tomatoes", collections=["copy"]) == [("garden.md", 5)]
    file.write_bytes(file.read_bytes()[:-20])
    cut = json.loads(running.cli("knowledge", "import", str(file), "--name", "cut", "--json").stdout)
    assert cut["error"]["code"] == "bad_archive"


def test_cancel_watch_and_bad_input(home: Homefire, folder: Path) -> None:
    first = home.post(f"{KB}/ingest", {"path": str(folder), "follow": False})
    second = home.post(f"{KB}/ingest", {"path": str(folder), "follow": False})
    assert {first["collection"], second["collection"]} == {"mixed"} and len(home.get(f"{KB}/jobs")["jobs"]) >= 1
    assert home.post(f"{KB}/mixed/cancel", seconds=30)["state"] == "cancelled"
    with pytest.raises(UnknownCollection):
        home.post(f"{KB}/mixed/cancel")
    assert taken_in(home, folder, watch=True)["collection"]["watch"] is True
    (folder / "late.txt").write_text("A kingfisher came late.\n", "utf-8")
    wait_until(lambda: places(home, "kingfisher") == [("late.txt", 1)], 30)
    for path in (folder / "none", Path("/proc/self/mem/x")):
        with pytest.raises(CannotIngest):
            list(home.ingest(str(path)))
    made = home.post("/homefire/v1/keys", {"name": "reader", "scopes": ["knowledge"]})
    with Homefire.connect(url=str(home._http.base_url), key=made["key"]) as reader:
        assert reader.search("kingfisher")["results"] and "root" not in reader.get(f"{KB}/mixed")
        with pytest.raises(MissingScope):
            list(reader.ingest(str(folder)))
        with pytest.raises(MissingScope):
            list(reader.ask_about("Who came late?"))


def test_meaning_follows_in_the_background(home: Homefire, folder: Path, tmp_path: Path) -> None:
    taken_in(home, folder)
    file = tiny_bert.make(tmp_path)
    *_, last = home.stream("/homefire/v1/models/import", {"path": str(file), "name": "tiny-bert"})
    assert last.data["kind"] == "embedding"
    wait_until(lambda: home.get(f"{KB}/mixed")["meaning"]["state"] == "ready", 90)
    state = home.get(f"{KB}/mixed")["meaning"]
    assert state["embedder"] and state["rows"] > 0 and state["share"] == 1.0
    found = home.search("tomatoes", mode="meaning")
    assert found["results"] and found["notes"] == []
