"""Small pure functions as WebAssembly, in this process: no files, no network, no clock; numbers in, numbers out.

Promises: a module that imports anything is refused; fuel bounds its instructions, a cap its memory; the same arguments give
the same answer. It needs the extra `sandbox` (wasmtime), which is imported when the first function is called.
Does not cover: programs (`bubblewrap.py`, `landlock.py`), faults of the compiler itself.
"""

from __future__ import annotations

from homefire.errors import InvalidRequest, SandboxUnavailable
from homefire.sandbox.sandbox import MIB

FUEL, MEMORY_BYTES, MOST_BYTES = 100_000_000, 16 * MIB, 4 * MIB


def call(
    module: bytes, name: str, arguments: tuple[int | float, ...], fuel: int = FUEL, memory: int = MEMORY_BYTES
) -> int | float:
    """What the function `name` of a module (binary or text form) gives. Raises InvalidRequest for a module that is none, imports
    something, lacks the function, traps, or takes more than its fuel or memory; SandboxUnavailable without wasmtime."""
    try:
        import wasmtime
    except ImportError:
        raise SandboxUnavailable(
            "WebAssembly needs wasmtime.", "Install it with: pip install 'homefire[sandbox]'"
        ) from None
    if len(module) > MOST_BYTES:
        raise InvalidRequest(f"A module has at most {MOST_BYTES // MIB} MiB.", param="module")
    config = wasmtime.Config()
    config.consume_fuel = True
    store = wasmtime.Store(wasmtime.Engine(config))
    store.set_limits(memory_size=memory, instances=1, memories=1, tables=4, table_elements=10_000)
    store.set_fuel(fuel)
    try:
        made = wasmtime.Module(store.engine, module if module[:4] == b"\0asm" else module.decode())
        if made.imports:
            raise InvalidRequest("A pure function imports nothing.", param="module")
        function = wasmtime.Instance(store, made, []).exports(store)[name]
        if not isinstance(function, wasmtime.Func):
            raise InvalidRequest(f"'{name}' is no function of the module.", param="name")
        for kind, value in zip(map(str, function.type(store).params), arguments, strict=False):
            if kind[0] == "i" and not -(2 ** (int(kind[1:]) - 1)) <= value < 2 ** int(
                kind[1:]
            ):  # it would be cut silently
                raise InvalidRequest(f"{value} is no {kind}.", param="arguments")
        found = function(store, *arguments)
    except KeyError:
        raise InvalidRequest(f"The module has no function '{name}'.", param="name") from None
    except (wasmtime.WasmtimeError, wasmtime.Trap, TypeError, UnicodeDecodeError, OverflowError) as problem:
        raise InvalidRequest(f"The function failed: {str(problem).splitlines()[-1][:200]}", param="module") from None
    if not isinstance(found, int | float):
        raise InvalidRequest(f"'{name}' gives no single number.", param="name")
    return found
