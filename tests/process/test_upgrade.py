"""Today's daemon on homes that earlier versions left (`earlier_homes/`), and a home that a newer version left.

Promises: all that stood in the home is found again, field by field, with the keys of then; what is newer is refused and stays as
it is.
Does not cover: answers of models other than the pilot.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from homefire.client import Homefire
from homefire.store.database import connect
from homefire.store.migrations import MIGRATIONS
from tests.conftest import RunningDaemon

EARLIER = Path(__file__).parent / "earlier_homes"
HOMES = sorted(path.name.removesuffix(".tar.gz") for path in EARLIER.glob("*.tar.gz"))
# What is true of a moment only, or of the version that was asked.
OF_THE_MOMENT = frozenset({"resident", "rate", "eta_s", "honours"})


def unpack(name: str, home: Path) -> dict[str, Any]:
    """Lays the home out as it was; returns what stands in it."""
    with tarfile.open(EARLIER / f"{name}.tar.gz") as tar:
        for row in tar:
            file = home / row.name
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            data = tar.extractfile(row)
            assert data is not None
            file.write_bytes(data.read())
            file.chmod(row.mode)
    found: dict[str, Any] = json.loads((EARLIER / f"{name}.json").read_text("utf-8"))
    return found


def missing(then: Any, now: Any, at: str = "") -> list[str]:
    """What stood there and does not now. New fields are no loss."""
    if isinstance(then, dict) and isinstance(now, dict):
        return [
            fault
            for name, value in then.items()
            if name not in OF_THE_MOMENT
            for fault in (missing(value, now[name], f"{at}.{name}") if name in now else [f"{at}.{name} is gone"])
        ]
    if isinstance(then, list) and isinstance(now, list):
        if len(then) != len(now):
            return [f"{at}: {len(then)} were there, {len(now)} are"]
        return [fault for i, (a, b) in enumerate(zip(then, now, strict=True)) for fault in missing(a, b, f"{at}[{i}]")]
    return [] if then == now else [f"{at}: {then!r} is {now!r}"]


def test_what_missing_finds() -> None:
    assert missing({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2, "c": 3}], "d": 4}) == []
    assert missing({"a": 1}, {}) == [".a is gone"]
    assert missing({"a": [1]}, {"a": []}) == [".a: 1 were there, 0 are"]
    assert missing({"a": [{"b": 2}]}, {"a": [{"b": 3}]}) == [".a[0].b: 2 is 3"]


@pytest.mark.parametrize("name", HOMES)
def test_everything_is_found_again(name: str, tmp_path: Path, new_daemon: Callable[..., RunningDaemon]) -> None:
    then = unpack(name, tmp_path / "home")
    running = new_daemon()
    kept = json.loads(running.paths.keys.read_text("utf-8"))["local"]
    running.start()
    assert running.key == kept, "the command line's own key goes on"
    talk = f"/homefire/v1/conversations/{then['conversation']['id']}"
    with Homefire.connect(url=running.url, key=then["laptop"]) as home:
        now: dict[str, Any] = {
            "conversation": home.get(talk),
            "conversations": home.get("/homefire/v1/conversations"),
            "models": home.models()["models"],
            "roles": home.get("/homefire/v1/roles"),
            "engines": home.get("/homefire/v1/engines"),
            "downloads": home.get("/homefire/v1/downloads"),
            "keys": [row["name"] for row in home.get("/homefire/v1/keys")["keys"]],
        }
        assert missing({field: then[field] for field in now}, now) == []
        assert home.get("/homefire/v1/conversations", q="pilot")["conversations"], "its words are found"
        for model in ("tiny", "pulled"):
            events = list(home.stream(f"/homefire/v1/models/{model}/verify"))
            assert events[-1].data["ok"] is True
        events = list(home.ask(then["conversation"]["id"], "hello again", sampling={"max_tokens": 4}))
        assert events[-1].name == "done", "and it goes on"


def test_a_home_of_a_newer_version_is_refused_and_not_touched(
    tmp_path: Path, new_daemon: Callable[..., RunningDaemon]
) -> None:
    unpack(HOMES[0], tmp_path / "home")
    running = new_daemon()
    connection = apsw.Connection(str(running.paths.database))
    connection.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    connection.close()
    before = running.paths.database.read_bytes()
    done = running.cli("up", "--detach", "--json")
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "store_damaged"
    assert f"newer Homefire (schema {len(MIGRATIONS) + 1}" in error["message"]
    assert "Update Homefire" in error["next_step"]
    assert running.paths.database.read_bytes() == before
    with pytest.raises(Exception, match="newer"):
        connect(running.paths.database)
