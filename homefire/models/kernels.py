"""llama.cpp's own kernels for weights, called through ctypes: change of number format, quantization, validation.

The shared library inside the xllamacpp wheel exports ggml's C functions (ggml.h). It is found without importing the package, and
loaded only by a child process: a kernel asserts, and then ends the process, on what it does not like.
Promises: calls release the interpreter's lock, so threads run side by side; results are ggml's, bit by bit. Where the library has
the processor's own way from 16 to 32 bits (ggml-cpu), it is taken: that step is exact, so the result is the same.
Does not cover: builds of the wheel that hide these symbols (KernelsMissing says so), importance matrices.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from homefire.errors import KernelsMissing
from homefire.models.gguf_writer import TYPES, row_bytes

FLOATS = ("F32", "F16", "BF16")
# Values that a lane changes at once: 256 KiB of F16 and 512 KiB of F32 stay in a core's cache between the steps, and a call costs
# little beside them.
BLOCK = 1 << 17


def library_file() -> Path:
    """Where the shared library lies. Raises KernelsMissing if the engine is not installed."""
    spec = importlib.util.find_spec("xllamacpp")  # finds, does not import
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    for folder in folders:
        for suffix in (".abi3.so", *EXTENSION_SUFFIXES, ".pyd"):
            if (found := folder / f"xllamacpp{suffix}").is_file():
                return found
    raise KernelsMissing("The engine's shared library was not found.")


@functools.cache
def _library() -> ctypes.CDLL:
    """The library, loaded, with the functions declared. Raises KernelsMissing."""
    where = library_file()
    pointer, count, size = ctypes.c_void_p, ctypes.c_int64, ctypes.c_size_t
    try:
        loaded = ctypes.CDLL(str(where))
        for name in ("fp16_to_fp32", "bf16_to_fp32", "fp32_to_fp16", "fp32_to_bf16"):
            function = getattr(loaded, f"ggml_{name}_row")
            function.restype, function.argtypes = None, [pointer, pointer, count]
        loaded.ggml_quantize_init.restype, loaded.ggml_quantize_init.argtypes = None, [ctypes.c_int]
        loaded.ggml_quantize_chunk.restype = size
        loaded.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
        loaded.ggml_validate_row_data.restype = ctypes.c_bool
        loaded.ggml_validate_row_data.argtypes = [ctypes.c_int, pointer, size]
        _add_fast(loaded)
    except (OSError, AttributeError) as problem:
        raise KernelsMissing(f"The engine's shared library lacks the kernels: {problem}.") from None
    return loaded


def _add_fast(loaded: ctypes.CDLL) -> None:
    """Declares the fast ways: `to_f32_F16` and `to_f32_BF16`, which the library calls otherwise, and the dot product."""
    pointer, count, size = ctypes.c_void_p, ctypes.c_int64, ctypes.c_size_t
    if hasattr(loaded, "ggml_cpu_init"):
        loaded.ggml_cpu_init()  # fills the tables that processors without F16C read
    for kind, fast, plain in (("F16", "ggml_cpu_fp16_to_fp32", "ggml_fp16_to_fp32_row"),
                              ("BF16", "ggml_cpu_bf16_to_fp32", "ggml_bf16_to_fp32_row")):  # fmt: skip
        known = hasattr(loaded, fast) and hasattr(loaded, "ggml_cpu_init")
        function = getattr(loaded, fast if known else plain)
        function.restype, function.argtypes = None, [pointer, pointer, count]
        setattr(loaded, f"to_f32_{kind}", function)
    if hasattr(loaded, "ggml_vec_dot_f32"):
        loaded.ggml_vec_dot_f32.restype = None
        loaded.ggml_vec_dot_f32.argtypes = [ctypes.c_int, pointer, size, pointer, size, pointer, size, ctypes.c_int]


class Lane:
    """Changes rows of one type into another, a block at a time, in buffers of its own. One thread uses it.

    `rows` rows at most are put into `view` (as bytes of the type `old`) before each `change`.
    """

    def __init__(self, old: str, new: str, row: int) -> None:
        self.rows = max(1, BLOCK // row)
        count = self.rows * row
        self._old, self._new, self._row = old, new, row
        self._given = bytearray(row_bytes(old, row) * self.rows)
        self._wide = self._given if old == "F32" else bytearray(4 * count)
        self._zeros = bytearray(4 * count)
        self.view = memoryview(self._given)
        self._pointers = tuple(map(_address, (self._given, self._wide, self._zeros)))

    def change(self, rows: int, into: bytearray, at: int) -> bool:
        """Writes the first `rows` rows of `view` in their new type to byte `at` of `into`. False if one of their values is no
        number or infinite: of those some kernels make a sound block."""
        kernels, count = _library(), rows * self._row
        given, wide, _ = self._pointers
        if self._old != "F32":
            getattr(kernels, f"to_f32_{self._old}")(given, wide, count)
        if not self._finite(count):
            return False
        size = row_bytes(self._new, self._row) * rows
        target = (ctypes.c_char * size).from_buffer(into, at)
        if self._new in ("F16", "BF16"):
            convert = kernels.ggml_fp32_to_fp16_row if self._new == "F16" else kernels.ggml_fp32_to_bf16_row
            convert(wide, target, count)
        elif self._new == "F32":
            ctypes.memmove(target, wide, size)
        else:
            kernels.ggml_quantize_chunk(TYPES[self._new][0], wide, target, 0, rows, self._row, None)
        return True

    def _finite(self, count: int) -> bool:
        """Zero times infinity or NaN is NaN, and so is the sum: a dot product with zeros is five times as fast as a check."""
        kernels, (_, wide, zeros) = _library(), self._pointers
        if not hasattr(kernels, "ggml_vec_dot_f32"):
            return bool(kernels.ggml_validate_row_data(TYPES["F32"][0], wide, 4 * count))
        found = ctypes.c_float()
        kernels.ggml_vec_dot_f32(count, ctypes.byref(found), 0, wide, 0, zeros, 0, 1)
        return found.value == 0.0


def to_f32(kind: str, data: bytes) -> bytes | bytearray:
    """`data` in F16, BF16 or F32 as F32 (little endian, as ggml has it)."""
    if kind == "F32":
        return data
    elements = len(data) // 2
    out = bytearray(4 * elements)
    getattr(_library(), f"to_f32_{kind}")(data, _address(out), elements)
    return out


def from_f32(kind: str, data: bytes | bytearray, row: int) -> bytes | bytearray:
    """F32 `data`, whose rows have `row` elements, in any type that ggml can make without an importance matrix."""
    if kind == "F32":
        return data
    elements = len(data) // 4
    out = bytearray(row_bytes(kind, row) * (elements // row))
    source = _pointer(data)
    if kind in FLOATS:
        convert = _library().ggml_fp32_to_fp16_row if kind == "F16" else _library().ggml_fp32_to_bf16_row
        convert(source, _address(out), elements)
    else:
        _library().ggml_quantize_chunk(TYPES[kind][0], source, _address(out), 0, elements // row, row, None)
    return out


def prepare(kind: str) -> None:
    """Builds the tables that a quantized type needs; do it once, before threads start."""
    if kind not in FLOATS:
        _library().ggml_quantize_init(TYPES[kind][0])


def valid(kind: str, data: bytes | bytearray) -> bool:
    """Whether `data` holds neither infinities nor NaN, in its scales if it is quantized."""
    return bool(_library().ggml_validate_row_data(TYPES[kind][0], _pointer(data), len(data)))


def _address(buffer: bytearray) -> ctypes.Array[ctypes.c_char]:
    """The buffer as C sees it."""
    return (ctypes.c_char * len(buffer)).from_buffer(buffer)


def _pointer(data: bytes | bytearray) -> bytes | ctypes.Array[ctypes.c_char]:
    return _address(data) if isinstance(data, bytearray) else data
