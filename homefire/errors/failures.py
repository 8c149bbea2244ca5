"""What Homefire, an engine or this machine cannot: the leaves of `DaemonError`, `EngineError` and `MachineError`.

Promises: codes never change their meaning.
Does not cover: what is wrong with a request (`requests.py`).
"""

from __future__ import annotations

from homefire.errors.root import DaemonError, EngineError, MachineError


class InternalError(DaemonError):
    """A defect: something happened that no other code describes."""

    status = 500


class ShuttingDown(DaemonError):
    """The daemon is stopping."""

    code = "shutting_down"
    default_step = "Start it again with: homefire up"


class Overloaded(DaemonError):
    """Too many requests wait, or this one waited too long for its model."""

    code = "overloaded"
    default_step = "Try again in a moment; `homefire status` shows what waits."


class DaemonNotRunning(DaemonError):
    """No daemon answers at this home's address."""

    code = "daemon_not_running"
    default_step = "Start it with: homefire up"


class DaemonNotStarted(DaemonError):
    """The daemon was started and did not become ready."""

    code = "daemon_not_started"


class DaemonCrashLoop(DaemonError):
    """The daemon crashed several times within a minute and is not started again."""

    code = "daemon_crash_loop"
    default_step = "See the log (logs/daemon.log in the home), then: homefire doctor; homefire up tries anew."


class OldSqlite(DaemonError):
    """The SQLite library is older than 3.51.3 and has known corruption bugs."""

    code = "old_sqlite"
    default_step = "Install Homefire again: make run (or pip install --force-reinstall apsw)."


class OldPackage(DaemonError):
    """An installed package is older than the oldest version without a known hole."""

    code = "old_package"
    default_step = "Install Homefire's packages again: make run (or: pip install --upgrade homefire)"


class PageMissing(DaemonError):
    """The web page was not built into this installation."""

    code = "page_missing"
    default_step = "Build it with: python tasks.py page"


class CheckoutNeeded(DaemonError):
    """The verb runs programs that only a checkout of the repository carries."""

    code = "checkout_needed"
    default_step = "Clone the repository and run it there."


class PackageMissing(DaemonError):
    """A part of Homefire that is installed only if it is wanted (an extra)."""

    code = "package_missing"
    default_step = "Install the extra that docs/dependencies.md names."


class KernelsMissing(DaemonError):
    """The installed engine does not export the kernels that convert and quantize weights."""

    code = "kernels_missing"
    default_step = "Install the engine's wheel for this system again: pip install --force-reinstall xllamacpp"


class EngineFailed(EngineError):
    """The engine did not start, or answered with an error of its own."""


class EngineDied(EngineError):
    """The engine's process ended in the middle of an answer. The next request starts it again."""

    code = "engine_died"
    default_step = "Send the request again: the model is started anew."


class EngineGone(EngineDied):
    """The engine's process ended before the request had an answer, and not because of it: it may be asked of a new one, once."""


class EngineBroken(EngineError):
    """The engine crashed several times within a minute; it rests before the next try."""

    code = "engine_broken"
    status = 503
    default_step = "See the engine's log with: homefire doctor. Another model may work."


class EngineUnreachable(EngineError):
    """Nobody answers at the far engine's address: nothing listens there, its name is unknown, its certificate is not trusted."""

    code = "engine_unreachable"
    default_step = "Start it, or check its address with: homefire engine list"


class EngineTimedOut(EngineError):
    """The far engine took the request and then gave nothing for too long."""

    code = "engine_timed_out"
    status = 504
    default_step = "Try again; the limits are the settings far_first_seconds and far_stall_seconds."


class EngineGarbled(EngineError):
    """The far engine's answer cannot be read: not what its interface promises, or larger than any sound answer."""

    code = "engine_garbled"
    default_step = "Check that the address and the kind are right: homefire engine list"


class EngineRejected(EngineError):
    """The far engine refuses us: its key is missing, wrong, or may not use this model."""

    code = "engine_rejected"
    default_step = (
        "Remove it and add it again with its key in a file: homefire engine add NAME --url URL --key-file FILE"
    )


class EngineLacksModel(EngineError):
    """The far engine has no model of this name."""

    code = "engine_lacks_model"
    default_step = "See what it has with: homefire engine check NAME"


class EngineBusy(EngineError):
    """The far engine takes no more requests now."""

    code = "engine_busy"
    status = 503
    default_step = "Try again in a moment."


class EngineChanged(EngineError):
    """The far engine has another model under the name than it had, or answers with another than was asked for."""

    code = "engine_changed"
    default_step = "If the change is meant, accept it with: homefire engine grant NAME"


class EngineResting(EngineError):
    """The far engine failed several times in a row; it is left alone for a while."""

    code = "engine_resting"
    status = 503
    default_step = "Wait, or see what is wrong with: homefire engine check NAME"


class ChainEnded(EngineError):
    """Every engine of a fallback chain failed before its first token."""

    code = "chain_ended"
    default_step = "See each engine's state with: homefire engine list"


class TaskDied(EngineError):
    """The process that converts or quantizes a model ended without a result; no file is left."""

    code = "model_task_died"
    default_step = "Verify the model's file; if it is sound, report what the message quotes."


class BuildFailed(EngineError):
    """The build of the engine from its source failed; what was built is kept for the next try."""

    code = "build_failed"
    default_step = "See what the compiler said in the log that is named, then try again with: homefire engine build"


class McpFailed(EngineError):
    """An MCP server cannot be used: it does not start, does not speak the protocol, ended in mid-call, sent more than anything
    sound, or its tool is not what it was."""

    code = "mcp_failed"
    status = 502
    default_step = "See what is wrong with it: homefire mcp show NAME"


class SourceUnreachable(EngineError):
    """The server a model comes from does not answer, or broke off too often."""

    code = "source_unreachable"
    source = "machine"
    default_step = "Check the network and try again: what was fetched is kept and the rest follows."


class DiskFull(MachineError):
    """No space is left where Homefire keeps its state. Reading goes on; writing resumes when there is space."""

    code = "disk_full"
    status = 507
    default_step = "Free some space on that disk; nothing has to be restarted."


class HomeNotWritable(MachineError):
    """The home folder cannot be written."""

    code = "home_not_writable"
    default_step = "Give yourself write access to it, or choose another with HOMEFIRE_HOME."


class HomeInUse(MachineError):
    """Another daemon runs on the same home."""

    code = "home_in_use"
    status = 409
    default_step = "Use that one, stop it with `homefire down`, or choose another home with HOMEFIRE_HOME."


class PortInUse(MachineError):
    """Another program listens on the port."""

    code = "port_in_use"
    status = 409
    default_step = "Stop that program, or choose another port with HOMEFIRE_PORT."


class StoreDamaged(MachineError):
    """The database is corrupt, or was written by a newer Homefire."""

    code = "store_damaged"
    default_step = (
        "Keep the file. Save what can be read: homefire salvage. Bring a backup back: homefire restore SOURCE"
    )


class BackupDamaged(MachineError):
    """A backup is not what its manifest says, or is no backup."""

    code = "backup_damaged"
    default_step = "Nothing was changed. Take another backup (homefire backup makes one)."


class HomeNotEmpty(MachineError):
    """A backup would take the place of a home in which there is something."""

    code = "home_not_empty"
    status = 409
    default_step = (
        "With --force the home is kept aside and the backup takes its place; homefire restore --undo takes that back."
    )


class IndexDamaged(MachineError):
    """Files of an index of words or vectors are torn, changed, or of another version. They can be made again from the texts."""

    code = "index_damaged"
    default_step = "Make it again from its texts with: homefire knowledge verify NAME"


class KnowledgeStoreUnreachable(MachineError):
    """The server that keeps the knowledge (setting knowledge_store) does not answer, or broke off. What it has, it keeps."""

    code = "knowledge_store_unreachable"
    status = 503
    default_step = "Start it or see to the network, then ask again: an ingestion goes on where it was."


class KnowledgeStoreRefused(MachineError):
    """The server that keeps the knowledge answers, and refuses: a password, a right, an extension that it lacks."""

    code = "knowledge_store_refused"
    status = 502
    default_step = "docs/knowledge.md says what the server must have, and where its password stands."


class QuotaExceeded(MachineError):
    """The file would take more than the room that models may use."""

    code = "quota_exceeded"
    status = 507
    default_step = "Remove a model (homefire models remove NAME) or raise the setting models_quota_gib."


class DoesNotFit(MachineError):
    """The model needs more memory than this machine can give, whatever else is unloaded."""

    code = "does_not_fit"
    status = 507
    default_step = "Choose a smaller model or quantization (homefire models fit NAME), or lower the setting 'context'."


class SandboxUnavailable(MachineError):
    """Nothing on this machine can hold a program that nobody has read, so it is not run. What runs no code goes on."""

    code = "sandbox_unavailable"
    default_step = "See what is missing with: homefire doctor (on Debian and its kin: sudo apt install bubblewrap)"
