"""`homefire models` and `homefire setup` against the real application in this process: what is drawn, decided and printed.

Promises: what is fetched is what was shown and agreed to; a failed download leaves the pilot in its role and setup working; bars
and colours never reach a pipe; `--json` is one object.
Does not cover: real models and the daemon's start (`tests/process`).
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from homefire.cli import bars, setup
from homefire.cli.bars import Bar, draw, duration, has_colours, memory, paint, size, table
from homefire.cli.main import main
from homefire.cli.setup import Want, missing, with_main, without_fetching
from homefire.cli.transfers import whole_source
from homefire.client import Homefire
from homefire.models.origin import Credential, Page
from homefire.server.reach import Reach
from tests.null.gguf_file import KEYS, Q4_K, gguf, small, tensor
from tests.null.rig import Unplugged
from tests.null.test_client import At, running

FOUR_BITS = gguf(KEYS, (tensor("blk.weight", (256, 2), Q4_K, 0), tensor("norm.weight", (8,), 0, 288)), bytes(288 + 32))
BOTH = Reach(hub=True, index=True, tried=True)


class Terminal(io.StringIO):
    """Takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


class Whole:
    """A whole file as a stream."""

    status = 200

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.headers = {"content-length": str(len(data)), "etag": '"one"'}

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.data


class Hub(Unplugged):
    """A hub where every repository holds one small model in every quantization. Not a package index."""

    async def get(self, url: str, accept: str, credential: Credential | None = None) -> Page:
        if "/api/models/" not in url:
            return await super().get(url, accept, credential)
        kinds = ("Q8_0", "Q4_K_M")
        sizes = {kind: len(small() if kind == "Q8_0" else FOUR_BITS) for kind in kinds}
        rows = [{"type": "file", "path": f"m-{kind}.gguf", "size": count} for kind, count in sizes.items()]
        return Page(200, {}, json.dumps(rows).encode(), url)

    @asynccontextmanager
    async def open(
        self, url: str, headers: Mapping[str, str], credential: Credential | None = None
    ) -> AsyncIterator[Any]:
        yield Whole(small() if "Q8_0" in url else FOUR_BITS)


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Any]]:
    """Begins an application; gives `run(*words)`, which answers (status, standard output, standard error)."""
    opened: list[Any] = []

    def begin(**options: Any) -> Callable[..., tuple[int, str, str]]:
        opened.append(manager := running(tmp_path / "home", **options))
        at: At = manager.__enter__()
        monkeypatch.setattr(Homefire, "connect", classmethod(lambda cls: at.client()))
        monkeypatch.setattr(setup, "ensure_running", lambda: False)

        def run(*words: str) -> tuple[int, str, str]:
            capsys.readouterr()
            status = main(words)
            said = capsys.readouterr()
            return status, said.out, said.err

        return run

    yield begin
    for manager in opened:
        manager.__exit__(None, None, None)


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """A person at a terminal who types these lines, then Ctrl-D."""
    monkeypatch.setattr("sys.stdin", Terminal("".join(line + "\n" for line in lines)))


# ------------------------------------------------------------------------------------------------------- what is drawn


def test_sizes_and_durations() -> None:
    assert [size(n) for n in (0, 999, 1000, 90_868_376, 123_456_789, 4_680_000_000, 2e12)] == [
        "0 B", "999 B", "1.0 kB", "90.9 MB", "123 MB", "4.7 GB", "2.0 TB",
    ]  # fmt: skip
    assert (memory(512 << 20), memory(3 << 29)) == ("512 MiB", "1.5 GiB")
    assert [duration(s) for s in (0.2, 59.4, 61, 3600, 90_000)] == [
        "0 s",
        "59 s",
        "1 min 1 s",
        "1 h 0 min",
        "25 h 0 min",
    ]


def test_a_bar_shows_share_bytes_rate_and_time_left() -> None:
    line = draw("fetching x", 25_000_000, 100_000_000, 5e6, 15.0, width=100)
    assert line == "fetching x [#######.......................]  25%  25.0 MB of 100 MB  5.0 MB/s  15 s left"
    assert draw("x", 5_000, None, 0.0, None, width=100) == "x  5.0 kB"
    assert "100%" in draw("x", 20, 10, 1.0, 0.0, width=100), "more than announced is not more than all"
    for width in range(20, 90, 7):
        assert len(draw("a label that is long", 1, 3, 1.0, 99999.0, width=width)) <= width


def test_a_bar_keeps_to_a_terminal() -> None:
    pipe, terminal = io.StringIO(), Terminal()
    for stream in (pipe, terminal):
        with Bar(stream) as bar:
            bar.show("x", 1, 10)
            bar.show("x", 10, 10)
    assert pipe.getvalue() == ""
    assert terminal.getvalue().count("\r") == 2
    assert terminal.getvalue().endswith("\n")
    with Bar(silent := Terminal()):
        pass
    assert silent.getvalue() == "", "nothing to show is no empty line"


def test_colours_only_where_they_are_wanted() -> None:
    assert has_colours(Terminal(), {"TERM": "xterm"})
    assert not has_colours(io.StringIO(), {"TERM": "xterm"})
    assert not has_colours(Terminal(), {"TERM": "xterm", "NO_COLOR": "1"})
    assert not has_colours(Terminal(), {"TERM": "dumb"})
    assert paint("x", "green", on=True) == "\x1b[32mx\x1b[0m"
    assert paint("x", "green", on=False) == paint("x", "", on=True) == "x"
    assert set(bars.COLOURS) >= {colour for colour, _ in bars.FITS.values()}
    drawn = table(("A", "B"), [("1", "22"), ("333", "4")], ["red", ""], on=True)
    assert drawn.splitlines() == ["A    B", "\x1b[31m1    22\x1b[0m", "333  4"]


def test_a_files_source_is_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert whole_source("file:x.gguf") == f"file:{tmp_path}/x.gguf"
    assert whole_source("file:/x.gguf") == "file:/x.gguf"
    for other in ("qwen3-4b", "hf:a/b:Q4_K_M", "https://x.example/file:y", "ollama:file"):
        assert whole_source(other) == other


# ---------------------------------------------------------------------------------------------------- the verbs' words


def test_the_verbs(cli: Callable[..., Any], tmp_path: Path) -> None:
    run = cli()
    (file := tmp_path / "mine.gguf").write_bytes(small())
    status, out, err = run("models", "pull", f"file:{file}", "--name", "mine")
    assert (status, err) == (0, ""), "no bar in a pipe"
    assert out == "mine is here. Talk to it with: homefire chat --model mine\n"
    status, out, _ = run("models")
    assert status == 0
    assert "* pilot" in out
    assert "  mine" in out
    assert "main, rlm, memory" in out
    assert "\x1b" not in out
    assert "of the disk are free" in out
    assert "done" in run("models", "downloads")[1]
    assert "every file is what it was" in run("models", "verify", "mine")[1]
    assert "sha256" in run("models", "show", "mine")[1]
    assert "licence MIT" in run("models", "show", "phi-4")[1]
    assert run("models", "pin", "mine")[1] == "mine stays until it is unpinned.\n"
    assert run("models", "remove", "mine")[0] == 1
    assert run("models", "unpin", "mine")[0] == 0
    assert run("models", "export", "mine", str(tmp_path / "out"))[0] == 0
    assert run("models", "remove", "mine")[1] == "Removed mine.\n"
    assert run("models", "import", str(tmp_path / "out"), "--name", "back")[1].startswith("Imported back (")
    out = run("models", "search", "minilm")[1]
    assert "all-minilm-l6-v2" in out
    assert "in main memory" in out
    assert "Nothing in the catalogue" in run("models", "search", "no-such-words")[1]
    out = run("models", "fit", "qwen3-8b", "--context", "32768", "--kv", "Q8_0")[1]
    for word in ("32,768 tokens", "KV cache Q8_0", "weights", "kv cache", "largest context", "tokens a second"):
        assert word in out, word
    for words in (
        ("list",),
        ("search", "qwen"),
        ("show", "back"),
        ("fit", "pilot"),
        ("downloads",),
        ("verify", "back"),
    ):
        status, out, err = run("models", *words, "--json")
        assert (status, out.count("\n"), err) == (0, 1, ""), words
        json.loads(out)


def test_verbs_that_fail(cli: Callable[..., Any], tmp_path: Path) -> None:
    run = cli()
    status, out, err = run("models", "pull", "hf:a/b")
    assert (status, out) == (1, "")
    assert "[source_unreachable]" in err
    assert "source_unreachable" in run("models", "downloads")[1]
    assert json.loads(run("models", "pull", "nothing", "--json")[1])["error"]["code"] == "unknown_model"
    for words in (("downloads", "pause"), ("show", "a/b"), ("fit", ".."), ("export", "x/y", "z"), ("verify", "%2e")):
        assert "[invalid_request]" in run("models", *words)[2], words
    (file := tmp_path / "m.gguf").write_bytes(small())
    assert run("models", "import", str(file))[0] == 0
    (blob,) = [path for path in (tmp_path / "home" / "blobs").rglob("*") if path.is_file()]
    blob.chmod(0o600)
    blob.write_bytes(b"x" * len(small()))
    status, out, err = run("models", "verify", "m")
    assert (status, out) == (1, "")
    assert "changed or missing" in err


# ---------------------------------------------------------------------------------------------------------------- setup


def want(role: str, model: str, *, installed: bool = False, download: int = 5) -> Want:
    return Want(role, model, "Q4_K_M", installed, 0 if installed else download, 9, (1.0, 2.0, 3.0), "because")


def test_what_is_missing_is_fetched_once() -> None:
    wants = [want("main", "a"), want("rlm", "b"), want("memory", "a"), want("embed", "c", installed=True)]
    assert [each.role for each in missing(wants)] == ["main", "rlm"]
    nothing = without_fetching([*wants, want("embed", "d")])
    assert [(each.role, each.model) for each in nothing] == [
        ("main", "pilot"), ("rlm", "pilot"), ("memory", "pilot"), ("embed", "c"),
    ]  # fmt: skip
    assert missing(nothing) == []


def test_another_main_takes_along_the_roles_of_the_old_one() -> None:
    row = {"name": "z", "quantization": "Q8_0", "installed": False, "bytes": 7, "why": "chosen",
           "offers": [{"quantization": "Q8_0", "size_bytes": 6}]}  # fmt: skip
    changed = with_main([want("main", "a"), want("rlm", "b"), want("memory", "a"), want("embed", "a")], row)
    assert [(each.model, each.download_bytes) for each in changed] == [("z", 6), ("b", 5), ("z", 6), ("a", 5)]
    assert with_main([want("main", "a")], {**row, "installed": True})[0].download_bytes == 0


def test_setup_offline_is_the_pilot_in_all_roles(cli: Callable[..., Any]) -> None:
    status, out, err = cli(reach=BOTH)("setup", "--yes", "--offline", "--json")
    found = json.loads(out)
    assert (status, err, out.count("\n")) == (0, "", 1)
    assert found["roles"] == {"main": "pilot", "rlm": "pilot", "memory": "pilot"}
    assert (found["pulled"], found["failed"], found["tier"]) == ([], [], "laptop")
    assert found["chat"]["works"]
    assert found["chat"]["answer"]


def test_setup_fetches_what_it_proposed_and_gives_the_roles(cli: Callable[..., Any]) -> None:
    run = cli(reach=BOTH, http=Hub())
    plan = json.loads(run("setup", "--yes", "--json")[1])
    assert plan["chat"]["works"]
    assert plan["chat"]["model"] == plan["roles"]["main"] != "pilot"
    assert {each["name"] for each in plan["pulled"]} >= {plan["roles"]["main"]}
    # The index has nothing here: its pull fails, is reported, and costs nothing but the role.
    assert [each["model"] for each in plan["failed"]] == ["all-minilm-l6-v2"]
    assert plan["roles"]["embed"] is None
    again = json.loads(run("setup", "--yes", "--json")[1])
    assert again["roles"] == plan["roles"]
    assert again["pulled"] == [], "what is here is not fetched again"
    models = json.loads(run("models", "--json")[1])
    assert models["default"] == plan["roles"]["main"]
    assert len(models["models"]) == 1 + len(plan["pulled"])


def test_setup_in_words(cli: Callable[..., Any]) -> None:
    status, out, err = cli(reach=BOTH, http=Hub())("setup", "--yes")
    assert status == 0
    for word in ("Its tier is laptop", "A model hub can be reached", "TOKENS/S", "main", "is here.", " says: "):
        assert word in out, word
    assert "all-minilm-l6-v2 could not be had" in err


def test_setup_where_every_pull_fails(cli: Callable[..., Any]) -> None:
    status, out, err = cli(reach=BOTH)("setup", "--yes")
    assert status == 0, "the pilot answers"
    assert "[source_unreachable]" in err
    assert "pilot says: " in out


def test_setup_with_a_main_model_that_does_not_answer(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    run = cli(reach=BOTH, http=Hub())
    post = Homefire.post

    def broken(self: Homefire, path: str, body: dict[str, Any] | None = None, seconds: float = 30.0) -> dict[str, Any]:
        if path.startswith("/v1/chat") and body is not None and body["model"] != "pilot":
            return post(self, path, {**body, "model": "gone"}, seconds)
        return post(self, path, body, seconds)

    monkeypatch.setattr(Homefire, "post", broken)
    found = json.loads(run("setup", "--yes", "--json")[1])
    assert (found["roles"]["main"], found["chat"]["model"], found["chat"]["works"]) == ("pilot", "pilot", True)
    assert "unknown_model" in [each["code"] for each in found["failed"]]
    monkeypatch.setattr(
        Homefire, "post", lambda self, path, body=None, seconds=30.0: post(self, path, {**body, "model": "x"})
    )
    status, out, _ = run("setup", "--yes", "--offline", "--json")
    assert (status, json.loads(out)["chat"]["works"]) == (1, False), "no answer at all is no success"


def test_setup_asks_and_no_means_nothing_is_fetched(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    run = cli(reach=BOTH, http=Hub())
    typed(monkeypatch, "what?", "n")
    status, out, _ = run("setup")
    assert status == 0
    assert out.count("Fetch ") == 2, "an answer that is none is asked again"
    assert json.loads(run("models", "--json")[1])["models"][1:] == []
    typed(monkeypatch)
    assert run("setup")[0] == 130, "Ctrl-D is no yes"
    typed(monkeypatch, "o", "tinyllama-1.1b", "y")
    found = json.loads(run("setup", "--json")[1])
    assert found["roles"]["main"].startswith("tinyllama")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    status, _, err = run("setup")
    assert status == 1
    assert "homefire setup --yes" in err
