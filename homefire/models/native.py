"""llama.cpp's C functions inside the xllamacpp wheel, called through ctypes, and the layouts of what they take.

Only child processes use it: the library aborts on what it does not like.
Promises: a build whose structures do not look as expected is refused, not called: their defaults are compared first.
Does not cover: Windows (other symbol names), number formats and quantization (`kernels.py`).
"""

from __future__ import annotations

import ctypes

from homefire.models.kernels import library_file


class ModelParams(ctypes.Structure):
    """`llama_model_params` (llama.cpp, include/llama.h), with room for fields that a later build appends."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("devices", "tensor_buft_overrides")),
        *((name, ctypes.c_int) for name in ("n_gpu_layers", "split_mode", "load_mode", "lazy_mode", "main_gpu")),
        *((name, ctypes.c_void_p) for name in ("tensor_split", "progress", "progress_data", "kv_overrides")),
        *((name, ctypes.c_bool) for name in ("vocab_only", "check_tensors", "use_extra_bufts", "no_host", "no_alloc")),
        ("later", ctypes.c_byte * 256),
    ]  # fmt: skip


class ContextParams(ctypes.Structure):
    """`llama_context_params`, likewise. `between` is a pointer that the wheel of October 2026 has and the header of then not."""

    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "n_rs_seq", "n_outputs_max")),
        *((name, ctypes.c_int) for name in ("outputs_a_seq", "n_threads", "n_threads_batch", "ctx_type", "rope", "pooling")),
        *((name, ctypes.c_int) for name in ("attention", "flash_attn_type")),
        *((name, ctypes.c_float) for name in ("base", "scale", "ext", "factor", "fast", "slow")),
        ("orig_ctx", ctypes.c_uint32), ("defrag", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("eval", "eval_data")),
        ("type_k", ctypes.c_int), ("type_v", ctypes.c_int),
        *((name, ctypes.c_void_p) for name in ("abort", "abort_data", "between")),
        *((name, ctypes.c_bool) for name in ("embeddings", "offload_kqv", "no_perf", "op_offload", "swa_full", "kv_unified")),
        ("later", ctypes.c_byte * 256),
    ]  # fmt: skip


# What the defaults must be for the layouts above to be the right ones.
_MODEL_DEFAULTS = {"n_gpu_layers": -1, "split_mode": 1, "vocab_only": False, "use_extra_bufts": True, "no_alloc": False}
_CONTEXT_DEFAULTS = {
    "n_ctx": 512, "n_batch": 2048, "n_ubatch": 512, "n_seq_max": 1, "flash_attn_type": -1, "type_k": 1, "type_v": 1,
    "embeddings": False, "offload_kqv": True, "no_perf": True, "op_offload": True, "swa_full": True, "kv_unified": False,
}  # fmt: skip


class Batch(ctypes.Structure):
    """`llama_batch`: tokens, their places and sequences, and which of them are to have logits."""

    _fields_ = [
        ("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))), ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]  # fmt: skip


class Native:
    """The library and its log. Raises KernelsMissing, OSError or AttributeError if it is not there, or not as it was."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(str(library_file()))
        for name, kind in (
            ("llama_model_default_params", ModelParams),
            ("llama_context_default_params", ContextParams),
        ):
            getattr(self.library, name).restype = kind
        self.log: list[str] = []
        callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
        self._callback = callback(lambda _level, text, _data: self.log.append(text.decode("utf-8", "replace")))
        self.library.llama_log_set(self._callback, None)
        self.library.llama_backend_init()

    def parameters(self) -> tuple[ModelParams, ContextParams]:
        """The defaults, compared. Raises ValueError where they show another layout."""
        model: ModelParams = self.library.llama_model_default_params()
        context: ContextParams = self.library.llama_context_default_params()
        for params, expected in ((model, _MODEL_DEFAULTS), (context, _CONTEXT_DEFAULTS)):
            for name, value in expected.items():
                if getattr(params, name) != value:
                    raise ValueError(f"this build's parameters are laid out otherwise ({name})")
        return model, context

    def load(self, path: str, model: ModelParams, context: ContextParams) -> tuple[int | None, int | None]:
        """Addresses of the model and of its context; None for what failed. Structures this large go by value as a copy, of which
        the library reads the part that it knows."""
        read, start = self.library.llama_model_load_from_file, self.library.llama_init_from_model
        read.argtypes, read.restype = (ctypes.c_char_p, ModelParams), ctypes.c_void_p
        start.argtypes, start.restype = (ctypes.c_void_p, ContextParams), ctypes.c_void_p
        loaded = read(path.encode(), model)
        return loaded, start(loaded, context) if loaded else None

    def free(self, model: int | None, context: int | None) -> None:
        """Gives back what `load` made."""
        if context:
            self.library.llama_free(ctypes.c_void_p(context))
        if model:
            self.library.llama_model_free(ctypes.c_void_p(model))
