"""Where the result of a task grows: beside its target, or behind walls in a folder that nothing else lies in.

The child that made it read a file that nobody has read, so what it leaves is looked at before it is taken: a link would make the
daemon read, and hand on, a file that the child could not reach.
Promises: the target is a plain file or is not touched; after `clear` nothing of the growing is left.
Does not cover: what is in the file (`models/gguf.py`), a daemon that is killed meanwhile (`Blobs.sweep`).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import stat
from pathlib import Path

from homefire.errors import TaskDied
from homefire.paths import from_os, sync_folder


class Growing:
    """`target` None: the task makes no file."""

    def __init__(self, target: Path | None, walled: bool) -> None:
        self._target = target.absolute() if target is not None else None
        self._beside = self._target.with_name(f"part-{secrets.token_hex(8)}") if self._target is not None else None
        self._walled = walled

    @property
    def box(self) -> Path | None:
        """The one folder that the child may write; None without walls."""
        return self._beside if self._walled else None

    def places(self) -> dict[str, str]:
        """What the child is told: where to write, and under which name it may grow before. Makes the folder.

        Raises HomeNotWritable, DiskFull, MachineError.
        """
        if self._target is None:
            return {}
        if self.box is None:
            return {"target": str(self._target), "beside": str(self._beside)}
        try:
            self.box.mkdir(mode=0o700)
        except OSError as problem:
            raise from_os(problem, self.box.parent) from None
        return {"target": str(self.box / "made"), "beside": str(self.box / "part")}

    def told(self, message: str) -> str:
        """An error of the child's in the words that it has without walls."""
        return message.replace(str(self.box), str(self.box.parent)) if self.box is not None else message

    async def take(self) -> None:
        """After success: the file, which the child has synced, gets its name. Raises TaskDied, DiskFull, HomeNotWritable,
        MachineError."""
        if self.box is None or self._target is None:
            return
        made = self.box / "made"
        try:
            found = made.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                raise TaskDied("The child left something else than a file.")
            made.chmod(0o600)
            made.replace(self._target)
            await asyncio.to_thread(sync_folder, self._target.parent)
        except FileNotFoundError:
            raise TaskDied("The child said that it was done and left no file.") from None
        except OSError as problem:
            raise from_os(problem, self._target.parent) from None
        except asyncio.CancelledError:
            self._target.unlink(missing_ok=True)
            raise

    def clear(self) -> None:
        """Removes what is left. The child has ended."""
        if self._beside is None:
            return
        if self._walled:
            shutil.rmtree(self._beside, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                self._beside.unlink(missing_ok=True)
