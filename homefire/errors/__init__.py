"""The one error tree: every failure Homefire reports has a stable code, a message and a next step.

    HomefireError
    ├── ClientError      the request is wrong               (source "client")
    ├── DaemonError      Homefire itself cannot             (source "homefire")
    ├── EngineError      the process that runs a model      (source "engine")
    └── MachineError     disk, port, memory, permissions    (source "machine")

Promises: codes never change their meaning; each leaf is documented in `docs/errors.md` (a test holds the page against this
file); `envelope()` is the one form in which an error leaves the daemon. Errors never log themselves.
Does not cover: how an error is shown to a person (`cli/`, the page) and how a client sees HTTP transport failures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from homefire.errors.failures import (
    BackupDamaged,
    BuildFailed,
    ChainEnded,
    CheckoutNeeded,
    DaemonCrashLoop,
    DaemonNotRunning,
    DaemonNotStarted,
    DiskFull,
    DoesNotFit,
    EngineBroken,
    EngineBusy,
    EngineChanged,
    EngineDied,
    EngineFailed,
    EngineGarbled,
    EngineLacksModel,
    EngineRejected,
    EngineResting,
    EngineTimedOut,
    EngineUnreachable,
    HomeInUse,
    HomeNotEmpty,
    HomeNotWritable,
    InternalError,
    KernelsMissing,
    OldPackage,
    OldSqlite,
    Overloaded,
    PackageMissing,
    PageMissing,
    PortInUse,
    QuotaExceeded,
    SandboxUnavailable,
    ShuttingDown,
    SourceUnreachable,
    StoreDamaged,
    TaskDied,
)
from homefire.errors.requests import (
    AdapterMismatch,
    AddressRefused,
    BadKey,
    BadLoginCode,
    BadModelFile,
    BadPackage,
    BadPolicy,
    BadSetting,
    BadSource,
    BadTool,
    BindRefused,
    BodyTooLarge,
    BuildBusy,
    BuildCancelled,
    BuildRefused,
    BuildTools,
    BuiltInModel,
    CannotRepair,
    ContextOverflow,
    DigestMismatch,
    DownloadCancelled,
    EngineExists,
    EngineNotGranted,
    FetchBusy,
    HostRefused,
    InvalidJson,
    InvalidRequest,
    KeyExists,
    KeyNeeded,
    MethodNotAllowed,
    MissingKey,
    MissingScope,
    ModelBusy,
    ModelExists,
    ModelPinned,
    NoEmbeddingModel,
    OriginRefused,
    PickleRefused,
    PolicyAsks,
    PolicyRefused,
    RateLimited,
    RequestTimeout,
    SourceChanged,
    SourceNotFound,
    SourceRefused,
    TlsNotReady,
    UnknownBuild,
    UnknownConversation,
    UnknownDownload,
    UnknownEngine,
    UnknownKey,
    UnknownMessage,
    UnknownModel,
    UnknownRoute,
    UnsupportedModel,
    UnsupportedParameter,
    WrongModelKind,
)
from homefire.errors.root import ClientError, DaemonError, EngineError, HomefireError, MachineError

__all__ = [
    "AdapterMismatch",
    "AddressRefused",
    "BackupDamaged",
    "BadKey",
    "BadLoginCode",
    "BadModelFile",
    "BadPackage",
    "BadPolicy",
    "BadSetting",
    "BadSource",
    "BadTool",
    "BindRefused",
    "BodyTooLarge",
    "BuildBusy",
    "BuildCancelled",
    "BuildFailed",
    "BuildRefused",
    "BuildTools",
    "BuiltInModel",
    "CannotRepair",
    "ChainEnded",
    "CheckoutNeeded",
    "ClientError",
    "ContextOverflow",
    "DaemonCrashLoop",
    "DaemonError",
    "DaemonNotRunning",
    "DaemonNotStarted",
    "DigestMismatch",
    "DiskFull",
    "DoesNotFit",
    "DownloadCancelled",
    "EngineBroken",
    "EngineBusy",
    "EngineChanged",
    "EngineDied",
    "EngineError",
    "EngineExists",
    "EngineFailed",
    "EngineGarbled",
    "EngineLacksModel",
    "EngineNotGranted",
    "EngineRejected",
    "EngineResting",
    "EngineTimedOut",
    "EngineUnreachable",
    "FetchBusy",
    "HomeInUse",
    "HomeNotEmpty",
    "HomeNotWritable",
    "HomefireError",
    "HostRefused",
    "InternalError",
    "InvalidJson",
    "InvalidRequest",
    "KernelsMissing",
    "KeyExists",
    "KeyNeeded",
    "MachineError",
    "MethodNotAllowed",
    "MissingKey",
    "MissingScope",
    "ModelBusy",
    "ModelExists",
    "ModelPinned",
    "NoEmbeddingModel",
    "OldPackage",
    "OldSqlite",
    "OriginRefused",
    "Overloaded",
    "PackageMissing",
    "PageMissing",
    "PickleRefused",
    "PolicyAsks",
    "PolicyRefused",
    "PortInUse",
    "QuotaExceeded",
    "RateLimited",
    "RequestTimeout",
    "SandboxUnavailable",
    "ShuttingDown",
    "SourceChanged",
    "SourceNotFound",
    "SourceRefused",
    "SourceUnreachable",
    "StoreDamaged",
    "TaskDied",
    "TlsNotReady",
    "UnknownBuild",
    "UnknownConversation",
    "UnknownDownload",
    "UnknownEngine",
    "UnknownKey",
    "UnknownMessage",
    "UnknownModel",
    "UnknownRoute",
    "UnsupportedModel",
    "UnsupportedParameter",
    "WrongModelKind",
    "from_envelope",
    "leaves",
]


def leaves() -> Iterator[type[HomefireError]]:
    """One class a code, the most derived one: for the documentation test and for reading envelopes back."""
    found: dict[str, type[HomefireError]] = {}
    stack: list[type[HomefireError]] = [HomefireError]
    while stack:
        cls = stack.pop()
        stack.extend(cls.__subclasses__())
        if cls.__module__.startswith(f"{__name__}.") and (cls.code not in found or issubclass(cls, found[cls.code])):
            found[cls.code] = cls
    yield from found.values()


def from_envelope(body: Any) -> HomefireError:
    """The error that an envelope describes; an unknown code becomes a plain `HomefireError` with that message."""
    inner = body.get("error") if isinstance(body, dict) else None
    if not isinstance(inner, dict):
        return InternalError(f"An answer without an error envelope came back: {str(body)[:200]}")
    for cls in leaves():
        if inner.get("code") == cls.code:
            return cls(str(inner.get("message")), str(inner.get("next_step") or ""), param=inner.get("param"))
    return InternalError(str(inner.get("message")), str(inner.get("next_step") or ""))
