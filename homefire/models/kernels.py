"""llama.cpp's own kernels for weights, called through ctypes: change of number format, quantization, validation.

The shared library inside the xllamacpp wheel exports ggml's C functions (ggml.h). It is found without importing the package, and
loaded only by a child process: a kernel asserts, and then ends the process, on what it does not like.
Promises: calls release the interpreter's lock, so threads run side by side; results are ggml's, bit by bit.
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
    where = library_file()
    pointer, count, size = ctypes.c_void_p, ctypes.c_int64, ctypes.c_size_t
    try:
        library = ctypes.CDLL(str(where))
        for name in ("fp16_to_fp32", "bf16_to_fp32", "fp32_to_fp16", "fp32_to_bf16"):
            function = getattr(library, f"ggml_{name}_row")
            function.restype, function.argtypes = None, [pointer, pointer, count]
        library.ggml_quantize_init.restype, library.ggml_quantize_init.argtypes = None, [ctypes.c_int]
        library.ggml_quantize_chunk.restype = size
        library.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
        library.ggml_validate_row_data.restype = ctypes.c_bool
        library.ggml_validate_row_data.argtypes = [ctypes.c_int, pointer, size]
    except (OSError, AttributeError) as problem:
        raise KernelsMissing(f"The engine's shared library lacks the kernels: {problem}.") from None
    return library


def to_f32(kind: str, data: bytes) -> bytes | bytearray:
    """`data` in F16, BF16 or F32 as F32 (little endian, as ggml has it)."""
    if kind == "F32":
        return data
    elements = len(data) // 2
    out = bytearray(4 * elements)
    convert = _library().ggml_fp16_to_fp32_row if kind == "F16" else _library().ggml_bf16_to_fp32_row
    convert(data, _address(out), elements)
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
    return (ctypes.c_char * len(buffer)).from_buffer(buffer)


def _pointer(data: bytes | bytearray) -> bytes | ctypes.Array[ctypes.c_char]:
    return _address(data) if isinstance(data, bytearray) else data
