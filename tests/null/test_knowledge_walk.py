"""Which files of a folder are read, which are passed over and why: links, loops, pipes, sockets, names, ignore files, secrets.

Promises: each sort of bad folder has one here, made on the disk.
Does not cover: what is in the files (`test_knowledge_cuts.py`, `tests/contract/test_reader.py`).
"""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from homefire.knowledge.ignoring import Ignore
from homefire.knowledge.kinds import kind_of
from homefire.knowledge.reader import REASONS
from homefire.knowledge.readers import READERS
from homefire.knowledge.secret import secret_inside, secret_name
from homefire.knowledge.walk import Found, Passed, Rules, shown, walk


def test_the_page_says_what_each_reason_means() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reading.md").read_text("utf-8")
    assert [code for code, words in REASONS.items() if f"| `{code}` | {words} |" not in page] == []
    assert [kind for kind in READERS if f"`{kind}`" not in page] == []


def laid(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def paths(root: Path, rules: Rules | None = None) -> list[str]:
    return [each.path.decode() for each in walk(root, rules) if isinstance(each, Found)]


def passed(root: Path, rules: Rules | None = None) -> dict[str, str]:
    return {each.path.decode(): each.code for each in walk(root, rules) if isinstance(each, Passed)}


def test_files_come_in_order_with_size_and_time(tmp_path: Path) -> None:
    laid(tmp_path, "b.txt", "a/z.txt", "a/b/c.txt", "c.txt", "a.txt")
    assert paths(tmp_path) == ["a.txt", "b.txt", "c.txt", "a/z.txt", "a/b/c.txt"]
    first = next(walk(tmp_path))
    status = (tmp_path / "a.txt").stat()
    assert first == Found(b"a.txt", status.st_size, status.st_mtime_ns)


def test_links_pipes_and_sockets_are_listed_and_not_followed(tmp_path: Path) -> None:
    laid(tmp_path, "a/real.txt")
    (tmp_path / "a" / "loop").symlink_to("..")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "link.txt").symlink_to("a/real.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s.txt"))
        assert paths(tmp_path) == ["a/real.txt"]
        assert passed(tmp_path) == dict.fromkeys(["a/loop", "self", "link.txt", "pipe.txt", "s.txt"], "not_a_file")


def test_names_that_are_no_utf8_are_kept_and_shown(tmp_path: Path) -> None:
    name = b"caf\xe9\n100%.txt"
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_text("x")
    assert [each.path for each in walk(tmp_path)] == [name]
    assert shown(name) == "caf%E9%0A100%.txt" and shown("Größe 文字 100%".encode()) == "Größe 文字 100%"


def test_a_folder_that_may_not_be_read_costs_itself_alone(tmp_path: Path) -> None:
    laid(tmp_path, "a/x.txt", "b.txt")
    (tmp_path / "a").chmod(0)
    try:
        if os.access(tmp_path / "a", os.R_OK):
            pytest.skip("root reads every folder")
        assert paths(tmp_path) == ["b.txt"] and passed(tmp_path) == {"a/": "document_unreadable"}
    finally:
        (tmp_path / "a").chmod(0o700)


def test_a_file_beyond_the_limit_is_listed_and_one_file_may_be_the_root(tmp_path: Path) -> None:
    (tmp_path / "big.txt").touch()
    os.truncate(tmp_path / "big.txt", 20 << 30)  # takes no room
    assert passed(tmp_path) == {"big.txt": "document_too_large"}
    laid(tmp_path, "one.txt")
    assert paths(tmp_path / "one.txt") == ["one.txt"]
    with pytest.raises(FileNotFoundError):
        list(walk(tmp_path / "none"))


def test_what_programs_leave_behind_and_homefires_own_is_left_out(tmp_path: Path) -> None:
    laid(
        tmp_path,
        ".git/HEAD",
        "node_modules/a/b.js",
        "x/__pycache__/y.pyc",
        "env/pyvenv.cfg",
        "env/lib.py",
        "x/y.py",
        ".DS_Store",
        "home/homefire.db",
    )
    rules = Rules(left_out=[tmp_path / "home"])
    assert paths(tmp_path, rules) == ["x/y.py"]
    assert set(passed(tmp_path, rules)) == {".git/", "node_modules/", "x/__pycache__/", "env/", "home/"}


PATTERNS = [
    "*.log",
    "!keep.log",
    "/only-root.txt",
    "build/",
    "docs/*.txt",
    "**/deep/x",
    "a/**/z",
    "tail/**",
    "te[sx]t?.md",
    "\\#sharp",
    "sp ace\\ ",
    "# comment",
    "",
    "!",
    "[z-a]x",
    "[",
    "a/b",
    "f*o*",
    "**",
    "!*.py",
    "!*/",
]
FILES = [
    "a.log",
    "keep.log",
    "x/keep.log",
    "only-root.txt",
    "x/only-root.txt",
    "build/o.c",
    "x/build/o.c",
    "build.txt",
    "docs/a.txt",
    "docs/x/a.txt",
    "deep/x",
    "q/deep/x",
    "a/z",
    "a/1/2/z",
    "tail/1/2",
    "test1.md",
    "text2.md",
    "tezt1.md",
    "#sharp",
    "a/b/c",
    "x/a/b",
    "foo",
    "fxoy/in",
    "main.py",
    "x/main.py",
]


@pytest.mark.parametrize(
    "lines", [PATTERNS[:18], PATTERNS[18:], *([each] for each in PATTERNS), ["*.log", "!x/", "x/keep.log"]]
)
def test_ignore_files_say_what_git_says(tmp_path: Path, lines: list[str]) -> None:
    laid(tmp_path, *FILES)
    (tmp_path / ".gitignore").write_text("\n".join(lines))
    git = ["git", "-c", "core.excludesFile=/dev/null", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    done = subprocess.run([*git, "ls-files", "-zco", "--exclude-standard"], capture_output=True, text=True, check=True)
    assert sorted(paths(tmp_path, Rules(junk=True))) == sorted(filter(None, done.stdout.split("\0")))


def test_ignore_files_of_inner_and_outer_folders_count(tmp_path: Path) -> None:
    laid(tmp_path, "sub/a.log", "sub/b.log", "sub/in/c.tmp", "sub/in/d.txt")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("*.log\nsub/in/*.tmp\n")
    (tmp_path / "sub" / ".gitignore").write_text("!b.log\n")
    assert paths(tmp_path / "sub") == [".gitignore", "b.log", "in/d.txt"]


def test_a_pattern_made_to_explode_does_not() -> None:
    ignore = Ignore(b"\n".join([b"*a" * 40, b"**/" * 100 + b"b", b"(" * 5000]))
    assert ignore.says(b"a" * 60 + b"/" + b"a" * 100 + b"c", False) is None


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".env.local",
        "prod.env",
        "x/id_rsa",
        "id_ed25519",
        ".ssh/config",
        "a/.aws/config",
        "my.p12",
        "server.key",
        ".npmrc.key",
        ".netrc",
        "credentials.json",
        "client_secret_12.json",
        "secrets.yaml",
        "terraform.tfstate",
        ".git-credentials",
        "store.jks",
    ],
)
def test_files_of_secrets_are_known_by_name(name: str) -> None:
    assert secret_name(name)


@pytest.mark.parametrize(
    "name", [".env.example", "env.py", "id_rsa.pub", "keys.md", "secret.py", "environment.txt", "key.c", "monkey"]
)
def test_names_that_only_sound_like_it_are_read(name: str) -> None:
    assert not secret_name(name)


BODY = "MIIEpAIBAAKCAQEA7Zr3fQ8vLw1kXb2Y9sTq5uHn4mPcRd0e"
# Put together here, so that this file holds no token itself.
TOKENS = [
    "ghp_" + "a1B2c3D4e5F6" * 3,
    "AKIA" + "Q3EGZP7LW5XNV2KD",
    f"-----BEGIN RSA PRIVATE {'KEY'}-----\n{BODY}\n",
    f"-----BEGIN ENCRYPTED PRIVATE {'KEY'}-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\n{BODY}\n",
    "sk-" + "proj-Ab12Cd34Ef56Gh78Ij90Kl12Mn34Op56",
    "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz12345678",
    "xoxb-" + "123456789012-AbCdEfGhIjKlMnOp",
    "homefire-" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6kM9nP2q",
]


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_are_found_in_a_text_and_not_repeated_in_the_reason(token: str) -> None:
    said = secret_inside(f"first line\nkey = {token}\n".encode())
    assert said.startswith("line 2 ") and token[-12:] not in said


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "x" * 36,
        "-----BEGIN PRIVATE " + "KEY-----",
        "task-force-of-many-words-in-a-row",
        "a sk-etch",
    ],
)
def test_examples_are_no_secrets(text: str) -> None:
    assert secret_inside(f"see {text} there".encode()) == ""


def test_looking_for_secrets_ends_on_a_text_made_of_beginnings() -> None:
    for begin in (
        b"-----BEGIN PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----" + b" " * 100,
        b"sk-",
        b"PRIVATE KEY a: b: ",
    ):
        assert secret_inside(begin * (300_000 // len(begin))) == ""


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.py", b"x = 1", ("code", "python")),
        ("README", b"# Hello", ("markdown", "")),
        ("a.py", b"\0\1\2\3" * 20, ("binary", "")),
        ("a.txt", "plain".encode("utf-16"), ("text", "")),
        ("run", b"#!/usr/bin/env python3\nimport os", ("code", "python")),
        ("run", b"#!/bin/sh\nls", ("code", "bash")),
        ("x", b"<!DOCTYPE html><p>", ("html", "")),
        ("x", b'{"a": 1}', ("json", "")),
        ("a.pdf", b"%PDF-1.7", ("pdf", "")),
        ("a.txt", b"%PDF-1.7", ("pdf", "")),
        ("a.pdf", b"hello", ("pdf", "")),
        ("a.docx", b"PK\x03\x04....", ("docx", "")),
        ("a.jar", b"PK\x03\x04....", ("binary", "")),
        ("a.warc.gz", b"\x1f\x8b\x08", ("webarchive", "")),
        ("a.gz", b"\x1f\x8b\x08", ("binary", "")),
        ("a", b"", ("text", "")),
        ("a.d.ts", b"declare", ("code", "typescript")),
        ("photo.jpg", b"\xff\xd8\xff\xe0", ("image", "")),
        ("inbox", b"From a@b Mon\nSubject: x\n", ("mbox", "")),
    ],
)
def test_kinds_are_known_by_name_and_first_bytes(name: str, head: bytes, kind: tuple[str, str]) -> None:
    assert kind_of(name, head) == kind
