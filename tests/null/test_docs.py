"""The docs hold what the code promises: every setting, verb, route, error code and socket.

Promises: a name that is missing on its page is red here, and so is a page that names what no longer exists.
Does not cover: whether the prose is true.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from homefire.cli.main import VERBS
from homefire.errors import leaves
from homefire.server.app import Rooms, route_table
from homefire.server.rpc_rights import RIGHTS_GRPC
from homefire.server.scopes import MESSAGES
from homefire.settings import SETTINGS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def read(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


class _Anything:
    """Stands for rooms whose handlers are named but never called."""

    def __getattr__(self, name: str) -> Any:
        return _Anything()


def routes() -> list[tuple[str, str]]:
    """Every route of the real table."""
    return [(row.method, re.sub(r":\w+}", "}", row.path)) for row in route_table(cast(Rooms, _Anything()))]


def test_settings() -> None:
    page = read("settings.md")
    for row in SETTINGS:
        assert f"| `{row.name}` | `{row.variable}` | `{row.default!r}` |" in page, row.name
        assert row.help in page, row.name
    assert len(re.findall(r"^\| `", page, re.MULTILINE)) == len(SETTINGS)


def test_error_codes() -> None:
    page = read("errors.md")
    known = {cls.code for cls in leaves()}
    documented = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert documented == known
    for cls in leaves():
        assert re.search(rf"^\| `{cls.code}` \| \d+ \| {cls.source} \|", page, re.MULTILINE), cls.code


def test_routes() -> None:
    page = read("api.md")
    documented = set(re.findall(r"^\| `(GET|POST|PUT|PATCH|DELETE) (/[^`]*)`", page, re.MULTILINE))
    assert documented == set(routes())


def test_methods_of_grpc() -> None:
    documented = re.findall(r"^\| `([\w.]+/\w+)` \| `([A-Z]+ [^`]*)` \|", read("api.md"), re.MULTILINE)
    assert {f"/{method}": route for method, route in documented} == RIGHTS_GRPC


def test_messages_of_the_websocket() -> None:
    page = read("api.md")
    section = page[page.index("## WebSocket") : page.index("## gRPC")]
    for name in MESSAGES:
        assert f"`{name}`" in section or f'`{{"{name}"' in section, name


def test_verbs() -> None:
    page = read("cli.md")
    documented = set(re.findall(r"^\| `homefire (\w+)", page, re.MULTILINE))
    assert documented == set(VERBS)


def test_sockets() -> None:
    assert "**Engine** (`engines/engine.py`" in read("house.md")


def test_dependencies_have_their_sentence() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    page = read("dependencies.md")
    core = [re.split(r"[><=;\[ ]", name)[0] for name in project["dependencies"]]
    assert len(core) <= 12
    extras = [re.split(r"[><=;\[ ]", n)[0] for group in project["optional-dependencies"].values() for n in group]
    for name in (*core, *extras):
        assert f"`{name}`" in page, name
    constraints = (ROOT / "constraints.txt").read_text("utf-8").lower()
    for name in (*core, *extras):
        assert re.search(rf"^{re.escape(name.lower())}==", constraints, re.MULTILINE), f"{name} is not pinned"


def test_links_between_pages() -> None:
    for page in (*DOCS.rglob("*.md"), ROOT / "README.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} -> {target}"
