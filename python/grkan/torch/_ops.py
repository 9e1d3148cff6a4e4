"""The operators of libgrkan_frameworks.so, registered with PyTorch.

``forward`` and ``backward`` are differentiable, batchable and traceable (see ``_rules``).
``raw_forward`` and ``raw_backward`` are the same kernels without rules: what costs microseconds
there, eager calls do without.
"""

from __future__ import annotations

import ctypes

import torch

from grkan import _frameworks
from grkan.errors import BY_STATUS, LibraryMissing

__all__ = [
    "backward",
    "error_of",
    "forward",
    "forward_out",
    "pool",
    "raw_backward",
    "raw_forward",
    "set_own_pool",
]


def _load() -> ctypes.CDLL:
    library = _frameworks.library()
    library.grkan_torch_last_error.restype = ctypes.c_char_p
    library.grkan_torch_pool.restype = ctypes.c_void_p
    message = ctypes.create_string_buffer(1024)
    if library.grkan_torch_register(message, ctypes.c_size_t(len(message))) != 0:
        raise LibraryMissing(f"grkan.torch: {message.value.decode()}")
    return library


_library = _load()
set_own_pool = _library.grkan_torch_set_own_pool
pool = _library.grkan_torch_pool

forward = torch.ops.grkan.forward.default
backward = torch.ops.grkan.backward.default
forward_out = torch.ops.grkan.forward_out.default
# What an OpOverload calls: a Python frame less.
raw_forward = torch.ops.grkan._forward.default._op
raw_backward = torch.ops.grkan._backward.default._op


def error_of(error: RuntimeError) -> Exception:
    """The exception of grkan.errors, or the TypeError, that an operator's RuntimeError stands for;
    itself where PyTorch failed."""
    status, is_type, field = ctypes.c_int32(), ctypes.c_int32(), ctypes.c_char_p()
    text = _library.grkan_torch_last_error(
        ctypes.byref(status), ctypes.byref(is_type), ctypes.byref(field)
    ).decode(errors="replace")
    if not text or text not in str(error):
        return error
    if is_type.value:
        return TypeError(text)
    kind = BY_STATUS.get(status.value)
    return error if kind is None else kind(text, (field.value or b"").decode())
