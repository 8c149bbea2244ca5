"""The house rules, checked with the standard library's `ast`. Runs first.

Promises: each rule of docs/house.md has a check here, and each check a planted fault that it catches (`test_mutants`).
Does not cover: whether the rooms are the right ones.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "homefire"

# floor -> rooms. Imports run downwards only; rooms on one floor never import each other, but for `errors` (decision 001).
FLOORS: dict[str, int] = {
    **dict.fromkeys(["__init__", "errors", "messages", "settings", "paths"], 0),
    **dict.fromkeys(["store", "dialects", "hardware", "index", "sandbox", "supervision", "telemetry"], 1),
    **dict.fromkeys(["models", "engines", "knowledge", "memory", "durable", "safety", "senses", "prompts"], 2),
    "residency": 3,
    **dict.fromkeys(["agent", "maker", "learning"], 4),
    **dict.fromkeys(["server", "client", "cli"], 5),
    **dict.fromkeys(["daemon", "doctor", "diagnose", "rescue"], 6),
}
# What may be imported on one's own floor, or by a room that may import little.
ALLOWED_SIDEWAYS = {("settings", "errors"), ("paths", "errors"), ("cli", "client"), ("daemon", "doctor"), ("daemon", "diagnose"),
                    ("diagnose", "doctor")}  # fmt: skip
ONLY = {"cli": {"client", "settings", "paths", "errors", "__init__"}}

# Lines of code (blank lines and comments do not count). A budget rises only in a commit that touches docs/decisions/.
BUDGETS = {
    "errors": 1250, "messages": 180, "settings": 360, "paths": 320, "store": 4000, "dialects": 3400, "hardware": 1300,
    "index": 1500, "supervision": 1000, "sandbox": 1600, "models": 8300, "engines": 4100, "knowledge": 7300, "safety": 1910,
    "residency": 3300, "server": 8800, "client": 500, "cli": 4700, "daemon": 1900, "doctor": 350, "diagnose": 450,
    "telemetry": 330, "rescue": 200, "agent": 5900, "memory": 1700, "durable": 900, "prompts": 1300,
}  # fmt: skip
TOTAL_BUDGET = 67_000
MAX_FILE, MAX_FUNCTION, MAX_PARAMETERS = 800, 120, 8
DRAWERS = re.compile(r"^(utils?|helpers?|common|managers?|core|misc|base2)$|_v\d+$")
HEAVY = ("xllamacpp", "apsw", "starlette", "uvicorn", "httpx2", "msgspec", "psutil", "asyncio", "torch", "numpy")


def room_of(file: Path, package: Path = PACKAGE) -> str:
    """The room a file belongs to."""
    first = file.relative_to(package).parts[0]
    return first.removesuffix(".py")


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Every module of the package that a file imports, inside functions too: a hidden import couples as much."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "homefire")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "homefire":
            if node.module == "homefire":
                yield from (f"homefire.{alias.name}" for alias in node.names)
            else:
                yield node.module


def submodules_of(tree: ast.AST, files: dict[str, str]) -> Iterator[str]:
    """As `imports_of`, but `from homefire.room import part` counts as an import of the part where that is a module."""
    modules = {"homefire." + n.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for n in files}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("homefire."):
            for alias in node.names:
                part = f"{node.module}.{alias.name}"
                yield part if part in modules else node.module
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports_of(node)


def floor_faults(files: dict[str, str]) -> list[str]:
    """Imports that the floor table forbids, in files given as relative path -> source."""
    faults = []
    for name, source in files.items():
        room = name.split("/")[0].removesuffix(".py")
        for module in imports_of(ast.parse(source)):
            other = (module.split(".") + ["__init__"])[1]
            if other not in FLOORS:  # an attribute of the package itself, such as __version__
                continue
            if room == other or other == "__init__":
                continue
            if room in ONLY and other not in ONLY[room]:
                faults.append(f"{name} imports {module}: {room} may import only {sorted(ONLY[room])}")
            elif FLOORS[other] >= FLOORS[room] and (room, other) not in ALLOWED_SIDEWAYS:
                faults.append(f"{name} (floor {FLOORS[room]}) imports {module} (floor {FLOORS[other]})")
    return faults


def agent_floor_faults(files: dict[str, str]) -> list[str]:
    """Files other than the daemon that import more than one room of floor 4."""
    faults = []
    for name, source in files.items():
        rooms = {m.split(".")[1] for m in imports_of(ast.parse(source)) if FLOORS.get((m.split(".") + [""])[1]) == 4}
        if len(rooms) > 1 and not name.startswith("daemon/"):
            faults.append(f"{name} imports {sorted(rooms)}")
    return faults


def cycles(files: dict[str, str]) -> list[list[str]]:
    """Import cycles between modules (imports at the top of a module only: others run later)."""
    graph: dict[str, set[str]] = {}
    for name, source in files.items():
        module = "homefire." + name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        top = ast.Module([n for n in ast.parse(source).body if isinstance(n, ast.Import | ast.ImportFrom)], [])
        graph[module] = {found for found in submodules_of(top, files) if found != module}
    found: list[list[str]] = []
    state: dict[str, int] = {}

    def visit(module: str, path: list[str]) -> None:
        state[module] = 1
        for other in sorted(graph.get(module, ())):
            if state.get(other) == 1:
                found.append([*path[path.index(other) :], other])
            elif other in graph and other not in state:
                visit(other, [*path, other])
        state[module] = 2

    for module in sorted(graph):
        if module not in state:
            visit(module, [module])
    return found


def size_faults(files: dict[str, str]) -> list[str]:
    """Files, functions and parameter lists over their limits, and long functions that are more than one in ten."""
    faults, lengths = [], []
    for name, source in files.items():
        if source.count("\n") > MAX_FILE:
            faults.append(f"{name} has {source.count(chr(10))} lines")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                lengths.append(length)
                if length > MAX_FUNCTION:
                    faults.append(f"{name}: {node.name} has {length} lines")
                given = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                if len([a for a in given if a not in ("self", "cls")]) > MAX_PARAMETERS:
                    faults.append(f"{name}: {node.name} takes {len(given)} parameters")
    if lengths and sorted(lengths)[int(len(lengths) * 0.9)] > 40:
        faults.append("fewer than 9 of 10 functions are under 40 lines")
    return faults


def code_lines(source: str) -> int:
    """Lines that are neither blank nor comment."""
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in source.splitlines())


def budget_faults(files: dict[str, str]) -> list[str]:
    """Rooms over their budget, and the package over its own."""
    spent: dict[str, int] = {}
    for name, source in files.items():
        spent[name.split("/")[0].removesuffix(".py")] = spent.get(
            name.split("/")[0].removesuffix(".py"), 0
        ) + code_lines(source)
    faults = [
        f"{r} has {n} lines, its budget is {BUDGETS.get(r, 20)}" for r, n in spent.items() if n > BUDGETS.get(r, 20)
    ]
    if sum(spent.values()) > TOTAL_BUDGET:
        faults.append(f"the package has {sum(spent.values())} lines")
    return faults


def name_faults(names: list[str]) -> list[str]:
    """Drawers, and files that carry a version in their name."""
    return [name for name in names for part in Path(name).with_suffix("").parts if DRAWERS.search(part)]


def broad_catch_faults(files: dict[str, str]) -> list[str]:
    """More than one `except Exception` (or bare, or BaseException without a raise) per 1,000 lines, or without a reason."""
    faults, count, lines = [], 0, sum(source.count("\n") for source in files.values())
    for name, source in files.items():
        text = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            kind = node.type.id if isinstance(node.type, ast.Name) else "bare" if node.type is None else ""
            reraises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
            if kind in ("bare", "Exception") or (kind == "BaseException" and not reraises):
                count += 1
                if "#" not in text[node.lineno - 1]:
                    faults.append(f"{name}:{node.lineno} catches everything and gives no reason beside it")
    if count > max(1, lines // 1000):
        faults.append(f"{count} broad catches in {lines} lines")
    return faults


def docstring_faults(files: dict[str, str]) -> list[str]:
    """Modules that do not open with what they are, what they promise and what they do not cover."""
    faults = []
    for name, source in files.items():
        text = ast.get_docstring(ast.parse(source)) or ""
        if name.endswith("__main__.py") or name == "__init__.py":
            if not text:
                faults.append(f"{name} has no docstring")
        elif "Promises:" not in text or "Does not cover:" not in text:
            faults.append(f"{name} does not open with Promises: and Does not cover:")
    return faults


MARSHALS = frozenset({"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "tarfile"})
CALLS = frozenset({"eval", "exec", "os.system", "os.popen", "os.spawnl", "os.spawnv", "tempfile.mktemp", "yaml.load",
                   "torch.load", "shutil.unpack_archive", "Template", "Environment", "NativeEnvironment",
                   "SandboxedEnvironment"})  # fmt: skip
METHODS = frozenset({"extractall", "unpack_archive"})
SWITCHES = {
    ("shell", True),
    ("verify", False),
    ("allow_pickle", True),
    ("weights_only", False),
    ("check_hostname", False),
}


EXCEPTED = {
    # The launcher's plan goes from one interpreter to the same one, over a descriptor of its own; json would double a start.
    ("sandbox/launcher.py", "marshal"), ("sandbox/run.py", "marshal"),
    # Reads headers only, of an archive whose sha256 is pinned; what is written, and where, it decides itself.
    ("engines/build_child.py", "tarfile"),
}  # fmt: skip


def danger_faults(files: dict[str, str]) -> list[str]:
    """Calls that run what data says, or lose what was written: none has a place in the package."""
    faults = []
    for name, source in files.items():
        for node in ast.walk(ast.parse(source)):
            found = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names if (name, alias.name) not in EXCEPTED]
                found = [each for each in names if each.split(".")[0] in MARSHALS]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found = [node.module] if node.module.split(".")[0] in MARSHALS else []
            elif isinstance(node, ast.Call):
                found = _dangers(node)
            faults += [f"{name}:{node.lineno} {each}" for each in found]  # type: ignore[attr-defined]
    return faults


def lost_cancel_faults(files: dict[str, str]) -> list[str]:
    """`asyncio.wait_for`: on Python 3.11 it can swallow a cancellation that comes as its work ends; `asyncio.timeout` not."""
    faults = []
    for name, source in files.items():
        for node in ast.walk(ast.parse(source)):
            called = isinstance(node, ast.Attribute) and ast.unparse(node) == "asyncio.wait_for"
            taken = (
                isinstance(node, ast.ImportFrom)
                and node.module == "asyncio"
                and any(a.name == "wait_for" for a in node.names)
            )
            if called or taken:
                faults.append(f"{name}:{node.lineno} asyncio.wait_for")  # type: ignore[attr-defined]
    return faults


def _dangers(call: ast.Call) -> list[str]:
    spelled = ast.unparse(call.func)
    last = spelled.rpartition(".")[2]
    found = [spelled] if spelled in CALLS or last in METHODS else []
    if spelled.startswith("jinja2.") and last != "ImmutableSandboxedEnvironment":
        found.append(spelled)
    for keyword in call.keywords:
        if isinstance(keyword.value, ast.Constant) and (keyword.arg, keyword.value.value) in SWITCHES:
            found.append(f"{keyword.arg}={keyword.value.value!r}")
    # A file that nobody closes: on a full disk its bytes are lost and no exception says so.
    inner = call.func.value if isinstance(call.func, ast.Attribute) else None
    opened = isinstance(inner, ast.Call) and ast.unparse(inner.func).rpartition(".")[2] in ("open", "fdopen")
    if opened and last in ("write", "writelines"):
        found.append(f"{spelled} without a close")
    return found


def sources() -> dict[str, str]:
    """The package's files by their relative path, but for what protoc makes of `proto/` (decision 008)."""
    written = [f for f in sorted(PACKAGE.rglob("*.py")) if not f.name.endswith("_pb2.py")]
    return {f.relative_to(PACKAGE).as_posix(): f.read_text("utf-8") for f in written}


CHECKS = [
    floor_faults,
    agent_floor_faults,
    cycles,
    size_faults,
    budget_faults,
    broad_catch_faults,
    docstring_faults,
    danger_faults,
    lost_cancel_faults,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_rule(check: object) -> None:
    assert callable(check)
    assert check(sources()) == []


def test_names() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    assert name_faults([name for name in tracked if name.endswith((".py", ".ts", ".tsx"))]) == []


def test_every_room_stands_in_the_floor_table() -> None:
    assert {room_of(f) for f in PACKAGE.rglob("*.py")} - set(FLOORS) == set()


def test_importing_does_nothing() -> None:
    """A fresh process that imports the package opens no file of its own, no socket, and loads nothing heavy."""
    program = (
        "import sys\nseen = []\n"
        "sys.addaudithook(lambda e, a: seen.append((e, str(a[:1]))) if e.startswith(('socket.', 'sqlite3.', 'subprocess.')) "
        "or (e == 'open' and '.py' not in str(a[0])) else None)\n"
        "import homefire, homefire.cli.main, homefire.errors, homefire.settings, homefire.paths, homefire.messages\n"
        f"print(seen, [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[] []"


def test_no_path_of_this_machine_and_no_address_of_a_registry() -> None:
    """Nothing that is true on one machine only stands in the repository."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    bad = re.compile(
        r"/work/(main|shared)|/root/|registry\.npmjs|files\.pythonhosted|pypi\.org/simple|index-url|\"resolved\""
    )
    faults = []
    for name in tracked:
        file = ROOT / name
        if file.suffix in (".gguf", ".png") or name == "tests/test_house.py" or not file.is_file():
            continue
        if found := bad.search(file.read_text("utf-8", "replace")):
            faults.append(f"{name}: {found[0]}")
    assert faults == []


MUTANTS = [
    (floor_faults, {"store/x.py": "from homefire.server.app import build_app\n"}),
    (floor_faults, {"store/x.py": "def f():\n    import homefire.engines.wire\n"}),
    (floor_faults, {"engines/x.py": "from homefire.models import Library\n"}),
    (floor_faults, {"cli/x.py": "from homefire.store import Store\n"}),
    (agent_floor_faults, {"server/x.py": "import homefire.agent\nimport homefire.maker\n"}),
    (cycles, {"store/a.py": "import homefire.store.b\n", "store/b.py": "import homefire.store.a\n"}),
    (size_faults, {"store/x.py": "x = 1\n" * 801}),
    (size_faults, {"store/x.py": "def f():\n" + "    x = 1\n" * 121}),
    (size_faults, {"store/x.py": "def f(a, b, c, d, e, f, g, h, i): pass\n"}),
    (budget_faults, {"doctor.py": "x = 1\n" * (BUDGETS["doctor"] + 1)}),
    (budget_faults, {"attic/x.py": "x = 1\n" * 21}),
    (broad_catch_faults, {"store/x.py": "try:\n    pass\nexcept Exception:\n    pass\n"}),
    (broad_catch_faults, {"store/x.py": "try:\n    pass\nexcept Exception:  # why\n    pass\n" * 2}),
    (docstring_faults, {"store/x.py": '"""A module."""\n'}),
    (lost_cancel_faults, {"store/x.py": "async def f():\n    await asyncio.wait_for(x(), 5)\n"}),
    (lost_cancel_faults, {"store/x.py": "from asyncio import timeout, wait_for\n"}),
    *(
        (danger_faults, {"store/x.py": f"def f():\n    {line}\n"})
        for line in (
            "import pickle",
            "from pickle import loads",
            "import marshal",
            "import shelve",
            "import tarfile",
            "import dill.source",
            "eval(x)",
            "exec(x)",
            "os.system(x)",
            "os.popen(x)",
            "tempfile.mktemp()",
            "yaml.load(x)",
            "torch.load(x)",
            "archive.extractall(x)",
            "shutil.unpack_archive(x)",
            "Template(x)",
            "jinja2.Template(x)",
            "jinja2.Environment()",
            "SandboxedEnvironment()",
            "subprocess.run(x, shell=True)",
            "Client(verify=False)",
            "np.load(x, allow_pickle=True)",
            "open(p, 'w').write(x)",
            "p.open('w').write(x)",
            "os.fdopen(d, 'w').writelines(x)",
        )
    ),
]


@pytest.mark.parametrize(("check", "planted"), MUTANTS, ids=lambda value: getattr(value, "__name__", ""))
def test_mutants(check: object, planted: dict[str, str]) -> None:
    assert callable(check)
    assert check(planted) != []


def test_what_is_no_danger() -> None:
    """The positive control: what looks like it and is not."""
    for line in ("re.compile(x)", "json.loads(x)", "decoder.decode(x)", "subprocess.run(x, shell=False)", "file.write(x)",
                 "p.write_text(x)", "ImmutableSandboxedEnvironment()", "ast.literal_eval(x)", "model.eval()"):  # fmt: skip
        assert danger_faults({"store/x.py": f"def f():\n    {line}\n"}) == [], line


def test_name_mutants() -> None:
    assert name_faults(["homefire/store/utils.py", "homefire/agent_v2/x.py", "homefire/core/x.py"]) != []
    assert name_faults(["homefire/store/database.py", "web/src/wire/events.ts"]) == []
