"""A model's child behind the sandbox's walls: which files it needs, and where its socket lies.

Promises: with `EngineSpec.walls` the child reads its model and the program alone, writes one folder that holds its socket and one
for KV caches, and has no network; without it nothing here changes anything.
Does not cover: whether the walls hold (`sandbox/choose.py` tries them when the daemon starts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from homefire.engines.engine import EngineSpec
from homefire.paths import make_private_folder
from homefire.sandbox.wrap import inner_pid, wrapped


def own_folder(spec: EngineSpec) -> EngineSpec:
    """The same, with the socket in a folder that nothing else lies in: the child may write that folder."""
    if not spec.walls or spec.socket is None:
        return spec
    return replace(spec, socket=spec.socket.with_suffix(".box") / "s.sock")


def command(spec: EngineSpec, argv: Sequence[str]) -> tuple[str, ...]:
    """What to start. Raises OSError, HomeNotWritable."""
    if not spec.walls or spec.socket is None:
        return tuple(argv)
    folder = spec.socket.parent
    make_private_folder(folder)
    # The parts of a split model lie beside each other as links.
    models: list[Path] = list(spec.path.parent.iterdir()) if spec.path.is_symlink() else [spec.path]
    models += [each.path for each in spec.adapters]
    models += [spec.drafting.path] if spec.drafting.path is not None else []
    models += [spec.program.parent] if spec.program is not None else []
    models += [spec.graph] if spec.graph is not None else []
    writable = [folder]
    if spec.kept is not None:
        make_private_folder(spec.kept.parent)
        make_private_folder(spec.kept)
        writable.append(spec.kept)
    return wrapped(argv, models, writable, folder.with_suffix(".filter"))


def dumps_of(spec: EngineSpec) -> Path | None:
    """Where the child may leave the dump of a crash; None: where any child does."""
    return spec.socket.parent if spec.walls and spec.socket is not None else None


def pid_of(spec: EngineSpec, outer: int | None) -> int | None:
    """The model's own process: its memory is what counts. None when it is gone."""
    if outer is None or not spec.walls or spec.socket is None:
        return outer
    try:
        return inner_pid(outer)
    except OSError:
        return None
