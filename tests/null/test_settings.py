"""Settings: the table, the file, the environment, and every way in which they can be wrong.

Promises: the environment wins over the file, the file over the defaults; whatever is wrong is BadSetting with the name.
Does not cover: what the settings do, and that docs/settings.md lists them (`test_docs.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from homefire import settings
from homefire.errors import BadSetting
from homefire.settings import SETTINGS, Setting, Settings, load

NUMBERS = [row for row in SETTINGS if isinstance(row.default, int)]


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")
    return path


def test_defaults_without_a_file(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml", {}) == Settings()
    assert asdict(Settings()) == {row.name: row.default for row in SETTINGS}
    assert load(config(tmp_path, ""), {}) == Settings()


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_every_row_is_complete(row: Setting) -> None:
    assert row.help.endswith(".")
    assert row.variable == f"HOMEFIRE_{row.name.upper()}"
    if isinstance(row.default, int):
        assert row.low is not None and row.high is not None and row.low <= row.default <= row.high


def test_the_file_wins_over_defaults_and_the_environment_over_the_file(tmp_path: Path) -> None:
    path = config(tmp_path, 'port = 8000\nmodel = "other"\nthreads = 3\n')
    assert load(path, {}) == Settings(port=8000, model="other", threads=3)
    found = load(path, {"HOMEFIRE_PORT": "9000", "HOMEFIRE_MODEL": "third", "HOMEFIRE_UNKNOWN": "x", "PORT": "1"})
    assert found == Settings(port=9000, model="third", threads=3)
    assert load(path, {"HOMEFIRE_PORT": ""}).port == 8000, "an empty variable is an unset one"


def test_the_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEFIRE_QUEUE", "7")
    assert load(tmp_path / "none.toml").queue == 7


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.name)
def test_limits_are_inclusive(row: Setting, tmp_path: Path) -> None:
    assert row.low is not None and row.high is not None
    for value in (row.low, row.high):
        assert getattr(load(tmp_path / "none.toml", {row.variable: str(value)}), row.name) == value
        assert getattr(load(config(tmp_path, f"{row.name} = {value}"), {}), row.name) == value
    for value in (row.low - 1, row.high + 1):
        with pytest.raises(BadSetting, match=str(row.high)) as caught:
            load(tmp_path / "none.toml", {row.variable: str(value)})
        assert caught.value.param == row.name
        with pytest.raises(BadSetting, match=f"config.toml: '{row.name}'"):
            load(config(tmp_path, f"{row.name} = {value}"), {})


WRONG_FILES = [
    ('colour = "red"', "'colour', which is not a setting"),
    ("port = true", "whole number"),
    ("port = 7373.0", "whole number"),
    ('port = "many"', "whole number"),
    ("port = [7373]", "whole number"),
    ("port = 1979-05-27", "whole number"),
    ("[port]\nnumber = 1", "whole number"),
    ("model = 5", "must be text"),
    ("model = true", "must be text"),
    ("[server]\nport = 1", "'server', which is not a setting"),
    ("port = ", "not valid TOML"),
    ("port = 1\nport = 2", "not valid TOML"),
    ("\0", "not valid TOML"),
]


@pytest.mark.parametrize(("text", "said"), WRONG_FILES, ids=[text.splitlines()[0][:20] for text, _ in WRONG_FILES])
def test_a_wrong_file_is_one_clear_error(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=said) as caught:
        load(config(tmp_path, text), {})
    assert "config.toml" in caught.value.message
    assert caught.value.next_step


@pytest.mark.parametrize("value", ["x", "1.5", "true", "0x10", "1 2", "9" * 5000])
def test_a_wrong_variable_is_named(value: str, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="HOMEFIRE_PORT") as caught:
        load(tmp_path / "none.toml", {"HOMEFIRE_PORT": value})
    assert caught.value.param == "port"


def test_a_wrong_file_is_an_error_even_where_the_environment_wins(tmp_path: Path) -> None:
    with pytest.raises(BadSetting):
        load(config(tmp_path, 'port = "x"'), {"HOMEFIRE_PORT": "1"})


def test_what_is_not_text_and_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe p")
    with pytest.raises(BadSetting, match="not valid TOML"):
        load(tmp_path / "config.toml", {})
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadSetting, match="cannot be read"):
        load(tmp_path / "folder", {})


def test_a_removed_name_points_to_its_replacement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "REMOVED", {"listen": "host"})
    with pytest.raises(BadSetting) as caught:
        load(config(tmp_path, 'listen = "x"'), {})
    assert caught.value.next_step == "It is called 'host' now."
