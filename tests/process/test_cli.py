"""Every verb of the command line on a real home: what it prints, where, in which form, and with which exit status.

Promises: standard output holds the answer and nothing else; `--json` prints one JSON value, errors too; nothing secret is left
anywhere on the disk.
Does not cover: starting and stopping (`test_lifecycle.py`), chatting in a terminal (`test_terminal.py`), `bench` and `pilot`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import homefire
from fakes.models import truncated
from homefire.models.library import PILOT_FILE
from tests.conftest import ROOT, RunningDaemon
from tests.contract import raw

PILOT_WEIGHTS = ROOT / "pilot" / "weights"
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon whose home these tests change."""
    running = RunningDaemon(tmp_path_factory.mktemp("home")).start()
    yield running
    running.stop()


def parsed(done: Done, status: int = 0) -> Any:
    """The one JSON value on standard output."""
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stdout.count("\n") == 1, done.stdout
    return json.loads(done.stdout)


def refused(done: Done, code: str) -> str:
    """A failed verb: exit status 1, nothing on standard output, the message and the next step with its code; the message."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    message, step = done.stderr.splitlines()[-2:]
    assert message.startswith("homefire: ")
    assert step.endswith(f"[{code}]")
    assert len(step) > len(f"  [{code}]") + 5, "there is a next step"
    assert "Traceback" not in done.stderr
    return message


def refused_as_json(done: Done, code: str) -> dict[str, Any]:
    """A failed verb with --json: the envelope on standard output."""
    inner: dict[str, Any] = parsed(done, 1)["error"]
    assert inner["code"] == code
    assert inner["message"]
    assert inner["next_step"]
    assert done.stderr == ""
    return inner


# ------------------------------------------------------------------------------------------------------------ words


def test_help_and_version(home: RunningDaemon) -> None:
    whole = home.cli("--help")
    assert whole.returncode == 0
    for verb in ("setup", "up", "down", "status", "link", "chat", "models", "key", "doctor"):
        assert verb in whole.stdout
        assert home.cli(verb, "--help").returncode == 0
    assert home.cli("--version").stdout == f"homefire {homefire.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nothing",),
        ("status", "--colour"),
        ("key",),
        ("key", "x"),
        ("models", "import"),
        ("models", "fly"),
        ("models", "pull"),
        ("models", "quantize", "pilot"),
        ("models", "downloads", "eat", "1"),
        ("models", "downloads", "pause", "first"),
        ("models", "fit", "pilot", "--context", "much"),
        ("setup", "--maybe"),
    ],
)
def test_wrong_calls(home: RunningDaemon, words: tuple[str, ...]) -> None:
    done = home.cli(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "usage: homefire" in done.stderr
    assert "Traceback" not in done.stderr


# ------------------------------------------------------------------------------------------------------ status, link


def test_status(home: RunningDaemon) -> None:
    found = parsed(home.cli("status", "--json"))
    assert found["running"] is True
    assert (found["pid"], found["url"], found["home"]) == (home.pid, home.url, str(home.home))
    words = home.cli("status")
    assert words.returncode == 0
    assert home.url in words.stdout
    assert str(home.home) in words.stdout


def test_link(home: RunningDaemon) -> None:
    link = home.cli("link").stdout.strip()
    assert link.startswith(f"{home.url}/#login=")
    other = parsed(home.cli("link", "--json"))["url"]
    assert other != link
    for made in (link, other):
        body = json.dumps({"code": made.partition("#login=")[2]}).encode()
        assert raw.call(home, "POST", "/homefire/v1/login", body, key="").status == 204


def test_up_twice(home: RunningDaemon) -> None:
    again = parsed(home.cli("up", "--detach", "--json"))
    assert (again["already_running"], again["pid"], again["url"]) == (True, home.pid, home.url)
    words = home.cli("up")
    assert words.returncode == 0
    assert "runs already" in words.stdout
    assert f"{home.url}/#login=" in words.stdout


# ------------------------------------------------------------------------------------------------------------- chat


def test_chat_prints_the_answer_alone(home: RunningDaemon) -> None:
    fields = ("--temperature", "0", "--max-tokens", "20")
    done = home.cli("chat", *fields, "hello", "there")
    assert done.returncode == 0, done.stderr
    found = parsed(home.cli("chat", "--json", *fields, "hello", "there"))
    assert found["role"] == "assistant"
    assert found["state"] == "complete"
    assert done.stdout == found["content"] + "\n"
    with home.client() as client:
        stored = client.get(f"/homefire/v1/conversations/{found['conversation']}")
    assert [message["content"] for message in stored["messages"]] == ["hello there", found["content"]]


def test_first_chat_of_a_home_says_who_is_talking(home: RunningDaemon, new_daemon: Any) -> None:
    fresh = new_daemon().start()
    first, second = fresh.cli("chat", "--max-tokens", "3", "hi"), fresh.cli("chat", "--max-tokens", "3", "hi")
    assert "pilot light" in first.stderr
    assert "models import" in first.stderr
    assert "pilot light" not in second.stderr


def test_chat_reads_standard_input(home: RunningDaemon) -> None:
    done = home.cli("chat", "--json", "--max-tokens", "3", "-", stdin="from a pipe\n")
    with home.client() as client:
        stored = client.get(f"/homefire/v1/conversations/{parsed(done)['conversation']}")
    assert stored["messages"][0]["content"] == "from a pipe\n"


def test_chat_continue(home: RunningDaemon) -> None:
    first = parsed(home.cli("chat", "--json", "--max-tokens", "3", "--system", "Be kind.", "one"))
    second = parsed(home.cli("chat", "--json", "--max-tokens", "3", "--continue", "two"))
    assert second["conversation"] == first["conversation"]
    with home.client() as client:
        stored = client.get(f"/homefire/v1/conversations/{first['conversation']}")
    assert [m["content"] for m in stored["messages"] if m["role"] == "user"] == ["one", "two"]
    assert stored["system"] == "Be kind."


def test_chat_that_keeps_nothing(home: RunningDaemon) -> None:
    made = parsed(home.cli("chat", "--json", "--max-tokens", "3", "--no-keep", "forget this"))
    assert raw.call(home, "GET", f"/homefire/v1/conversations/{made['conversation']}").code == "unknown_conversation"


def test_chat_with_the_same_seed(home: RunningDaemon) -> None:
    call = ("chat", "--temperature", "1.5", "--seed", "5", "--max-tokens", "20", "hello")
    assert home.cli(*call).stdout == home.cli(*call).stdout


def test_chat_that_cannot_be(home: RunningDaemon) -> None:
    assert "gpt-4o" in refused(home.cli("chat", "--model", "gpt-4o", "hi"), "unknown_model")
    refused_as_json(home.cli("chat", "--json", "--model", "gpt-4o", "hi"), "unknown_model")
    refused_as_json(home.cli("chat", "--json", "--temperature", "9", "hi"), "invalid_request")
    refused(home.cli("chat", "  "), "invalid_request")
    refused_as_json(home.cli("chat", "--json"), "invalid_request")


# ----------------------------------------------------------------------------------------------------------- models


def test_models(home: RunningDaemon, tmp_path: Path) -> None:
    copy = tmp_path / "My own model.gguf"
    copy.write_bytes(PILOT_FILE.read_bytes())
    made = parsed(home.cli("models", "import", str(copy), "--json"))
    assert (made["name"], made["source"]) == ("My-own-model", "imported")
    assert copy.read_bytes() == PILOT_FILE.read_bytes()
    copy.unlink()  # the daemon has its own copy
    listed = parsed(home.cli("models", "list", "--json"))
    assert listed["default"] == "pilot"
    assert {model["name"] for model in listed["models"]} == {"pilot", "My-own-model"}
    assert "My-own-model" in home.cli("models").stdout
    answer = parsed(home.cli("chat", "--json", "--model", "My-own-model", "--max-tokens", "3", "hello"))
    assert answer["model"] == "My-own-model"
    assert answer["content"]
    assert parsed(home.cli("models", "remove", "My-own-model", "--json")) == {"removed": "My-own-model"}
    assert "My-own-model" not in home.cli("models").stdout
    assert [file for file in home.paths.blobs.rglob("*") if file.is_file()] == []
    refused(home.cli("models", "remove", "My-own-model"), "unknown_model")


def test_models_that_cannot_be_imported(home: RunningDaemon, tmp_path: Path) -> None:
    broken = truncated(PILOT_FILE, tmp_path / "broken.gguf")
    refused(home.cli("models", "import", str(broken)), "bad_model_file")
    refused_as_json(home.cli("models", "import", str(broken), "--json"), "bad_model_file")
    text = tmp_path / "text.gguf"
    text.write_text("hello")
    refused(home.cli("models", "import", str(text)), "bad_model_file")
    refused(home.cli("models", "import", str(tmp_path / "nothing.gguf")), "invalid_request")
    refused(home.cli("models", "import", str(PILOT_FILE), "--name", "../evil"), "invalid_request")
    refused(home.cli("models", "import", str(PILOT_FILE)), "model_exists")
    assert home.cli("models", "import", str(PILOT_FILE), "--name", "twin").returncode == 0
    refused(home.cli("models", "import", str(PILOT_FILE), "--name", "twin"), "model_exists")
    assert home.cli("models", "remove", "twin").stdout == "Removed twin.\n"
    refused(home.cli("models", "remove", "pilot"), "built_in_model")
    assert list(home.paths.blobs.glob("part-*")) == []


def test_models_search_show_and_fit(home: RunningDaemon) -> None:
    found = parsed(home.cli("models", "search", "qwen3", "--json"))["models"]
    assert {"qwen3-0.6b", "qwen3-8b"} <= {row["name"] for row in found}
    assert "qwen3-8b" in home.cli("models", "search", "qwen3").stdout
    shown = parsed(home.cli("models", "show", "pilot", "--json"))
    assert (shown["installed"], shown["model"]["source"]) == (True, "built-in")
    fit = parsed(home.cli("models", "fit", "pilot", "--context", "1024", "--json"))
    assert fit["fits"] in ("gpu", "cpu")
    assert fit["interval"][0] <= fit["total_bytes"] <= fit["interval"][1]
    words = home.cli("models", "fit", "llama-3.1-70b", "--context", "4096").stdout
    assert "tokens of context" in words
    assert "\x1b" not in words, "no colours in a pipe"
    refused(home.cli("models", "fit", "nothing"), "unknown_model")
    refused(home.cli("models", "fit", "pilot", "--kv", "Q99"), "invalid_request")
    refused(home.cli("models", "search", "--capability", "flying"), "invalid_request")


def test_models_pull_verify_and_carry(home: RunningDaemon, tmp_path: Path) -> None:
    (copy := tmp_path / "carried.gguf").write_bytes(PILOT_FILE.read_bytes())
    pulled = parsed(home.cli("models", "pull", f"file:{copy}", "--json"))
    assert (pulled["model"]["name"], pulled["download"]["state"]) == ("carried", "done")
    assert home.cli("models", "pull", f"file:{copy}").stdout.startswith("carried is here."), "again is no error"
    copy.unlink()
    assert parsed(home.cli("models", "verify", "carried", "--json")) == {
        "name": "carried", "ok": True, "bad": [], "bytes": PILOT_FILE.stat().st_size,
    }  # fmt: skip
    assert home.cli("models", "pin", "carried").returncode == 0
    refused(home.cli("models", "remove", "carried"), "model_pinned")
    assert home.cli("models", "unpin", "carried").returncode == 0
    bundle = tmp_path / "carried.tar"
    assert parsed(home.cli("models", "export", "carried", str(bundle), "--json"))["path"] == str(bundle)
    assert home.cli("models", "remove", "carried").returncode == 0
    back = parsed(home.cli("models", "import", str(bundle), "--json"))
    assert back["name"] == "carried"
    assert parsed(home.cli("chat", "--json", "--model", "carried", "--max-tokens", "3", "hello"))["content"]
    blob = home.paths.blob(back["digest"])
    blob.chmod(0o600)
    with blob.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    broken = home.cli("models", "verify", "carried")
    assert (broken.returncode, broken.stdout) == (1, "")
    assert "changed or missing" in broken.stderr
    assert home.cli("models", "remove", "carried").returncode == 0
    assert [file for file in home.paths.blobs.rglob("*") if file.is_file()] == []


def test_models_convert_and_quantize(home: RunningDaemon, tmp_path: Path) -> None:
    whole = parsed(home.cli("models", "convert", str(PILOT_WEIGHTS), "--name", "whole", "--json"))
    assert (whole["source"], whole["quantization"], whole["kind"]) == ("converted", "F16", "chat")
    made = parsed(home.cli("models", "quantize", "whole", "Q4_0", "--name", "smaller", "--json"))
    assert (made["name"], made["source"]) == ("smaller", "quantized")
    assert made["size_bytes"] < PILOT_FILE.stat().st_size < whole["size_bytes"]
    assert parsed(home.cli("chat", "--json", "--model", "smaller", "--max-tokens", "3", "hello"))["content"]
    refused(home.cli("models", "quantize", "pilot", "Q4_0", "--name", "twice"), "invalid_request")
    refused(home.cli("models", "quantize", "whole", "Q99"), "invalid_request")
    for name in ("whole", "smaller"):
        assert home.cli("models", "remove", name).returncode == 0
    refused(home.cli("models", "convert", str(tmp_path)), "invalid_request")


def test_a_remove_during_a_load(home: RunningDaemon, tmp_path: Path) -> None:
    """Whichever comes first: the request is answered or refused with a clear error, the model is gone and so is its file."""
    (copy := tmp_path / "going.gguf").write_bytes(PILOT_FILE.read_bytes())
    body = json.dumps({"model": "going", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}).encode()
    for wait in (0.0, 0.05, 0.2, 0.5):
        assert home.cli("models", "import", str(copy)).returncode == 0
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(raw.call, home, "POST", "/v1/chat/completions", body)
            time.sleep(wait)
            assert raw.call(home, "DELETE", "/homefire/v1/models/going").status == 204
            answer = asked.result(60)
        assert answer.status == 200 or answer.code in ("unknown_model", "engine_failed", "engine_died"), answer.body
        assert [file for file in home.paths.blobs.rglob("*") if file.is_file()] == []
    assert parsed(home.cli("chat", "--json", "--max-tokens", "3", "hello"))["content"]


def test_models_downloads(home: RunningDaemon) -> None:
    begun = parsed(home.cli("models", "pull", "https://127.0.0.1:1/far.gguf", "--detach", "--json"))
    assert begun["target"] == "far"
    id = str(begun["id"])
    assert parsed(home.cli("models", "downloads", "pause", id, "--json"))["state"] in ("paused", "failed")
    assert begun["id"] in [each["id"] for each in parsed(home.cli("models", "downloads", "--json"))["downloads"]]
    assert parsed(home.cli("models", "downloads", "cancel", id, "--json"))["state"] == "cancelled"
    refused(home.cli("models", "downloads", "cancel", "99"), "unknown_download")
    refused(home.cli("models", "downloads", "cancel"), "invalid_request")


@pytest.mark.parametrize("name", ["..", "../keys/local", "../../etc/passwd", "a/b", "%2e%2e", "pilot?", "pilot#x"])
def test_models_remove_takes_nothing_but_a_name(home: RunningDaemon, name: str) -> None:
    assert name in refused(home.cli("models", "remove", "--", name), "invalid_request")


# ------------------------------------------------------------------------------------------------------------- keys


def test_keys(home: RunningDaemon) -> None:
    done = home.cli("key", "add", "laptop of ada")
    assert done.returncode == 0
    secret = done.stdout.splitlines()[0]
    assert secret.startswith("homefire-")
    assert f"{home.url}/v1" in done.stdout
    assert raw.call(home, "GET", "/v1/models", key=secret).status == 200
    other = parsed(home.cli("key", "add", "other", "--json"))["key"]
    for shown in (home.cli("key", "show").stdout, home.cli("key", "show", "--json").stdout):
        assert "laptop of ada" in shown
        assert "other" in shown
        assert secret not in shown
        assert other not in shown
    assert {"local", "other"} <= {key["name"] for key in parsed(home.cli("key", "show", "--json"))["keys"]}
    for file in home.home.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert secret.encode() not in data, file
            assert secret.removeprefix("homefire-").encode() not in data, file
    refused(home.cli("key", "add", "other"), "key_exists")
    for name in ("a/b", "..", " a", ""):
        refused(home.cli("key", "add", "--", name), "invalid_request")
    assert home.cli("key", "revoke", "other").stdout == "Revoked other.\n"
    assert raw.call(home, "GET", "/v1/models", key=other).code == "bad_key"
    refused(home.cli("key", "revoke", "other"), "unknown_key")
    assert parsed(home.cli("key", "revoke", "laptop of ada", "--json")) == {"revoked": "laptop of ada"}


def test_what_a_key_may_do(home: RunningDaemon) -> None:
    asked = (
        "key",
        "add",
        "phone",
        "--scope",
        "chat,models",
        "--expires",
        "30d",
        "--rpm",
        "60",
        "--tpm",
        "1000",
        "--concurrent",
        "4",
    )
    made = parsed(home.cli(*asked, "--json"))
    assert made["scopes"] == ["chat", "models"]
    assert made["limits"] == {"requests_per_minute": 60, "tokens_per_minute": 1000, "concurrent": 4}
    assert 29.9 * 86_400 < made["expires_at"] - made["created_at"] <= 30 * 86_400 + 5
    shown = home.cli("key", "list").stdout
    assert "phone  chat,models" in shown
    assert "60 requests per minute" in shown
    turned = parsed(home.cli("key", "rotate", "phone", "--grace", "1h", "--json"))
    assert [raw.call(home, "GET", "/v1/models", key=each["key"]).status for each in (made, turned)] == [200, 200]
    assert parsed(home.cli("key", "show", "phone", "--json"))["old_until"] == turned["old_until"]
    assert raw.call(home, "GET", "/homefire/v1/keys", key=turned["key"]).code == "missing_scope"
    for wrong in (("--scope", "everything"), ("--scope", ""), ("--expires", "soon"), ("--rpm", "-1")):
        refused(home.cli("key", "add", "tablet", *wrong), "invalid_request")
    refused(home.cli("key", "show", "nobody"), "unknown_key")
    refused(home.cli("key", "rotate", "local"), "invalid_request")
    assert home.cli("key", "revoke", "phone").returncode == 0
    told = home.cli("audit").stdout
    for what in ("key made phone", "key rotated phone", "key revoked phone"):
        assert f"key:local: {what}" in told
    assert parsed(home.cli("audit", "--limit", "1", "--json"))["entries"][0]["seq"] >= 4
    assert not any(each["key"] in told for each in (made, turned))


def test_own_key_can_be_replaced(home: RunningDaemon) -> None:
    before = home.key
    assert home.cli("key", "revoke", "local").returncode == 0
    home.key = json.loads(home.paths.keys.read_text("utf-8"))["local"]
    assert home.key != before
    assert raw.call(home, "GET", "/v1/models", key=before).code == "bad_key"
    assert home.cli("status").returncode == 0
    assert home.paths.keys.stat().st_mode & 0o777 == 0o600


# ----------------------------------------------------------------------------------------------------------- doctor


def test_doctor(home: RunningDaemon) -> None:
    found = parsed(home.cli("doctor", "--json"))
    assert found["wrong"] == 0
    assert {check["name"] for check in found["checks"]} >= {"home", "database", "engine", "pilot", "daemon"}
    assert {check["name"]: check["state"] for check in found["checks"]}["daemon"] == "ok"
    words = home.cli("doctor")
    assert words.returncode == 0
    assert words.stdout.endswith("All is well.\n")


def test_broken_pipe(home: RunningDaemon) -> None:
    program = f"{sys.executable} -m homefire.cli models | true"
    done = subprocess.run(
        ["bash", "-c", program], env=home.environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
