"""ggml by ctypes: what is used of its functions, and a graph of them that runs in one thread."""
from __future__ import annotations

import ctypes
import functools
import platform
import re
from ctypes import c_bool, c_float, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

import numpy as np

PACKAGE = Path(__file__).resolve().parents[2] / "peers/ggml/node_modules/@node-llama-cpp/linux-x64"
FOLDER = PACKAGE / "bins/linux-x64"
FLOAT = np.dtype(np.float32).itemsize
TYPES = {np.dtype(np.float32): 0, np.dtype(np.int32): 26}  # ggml_type
GRAPH_NODES = 256  # no layer here has so many
HEADERS = 1 << 20  # bytes for descriptions of tensors and of a graph; their numbers are elsewhere
FLUSH_TO_ZERO = 0x8040  # of MXCSR: results and inputs that are subnormal become 0
MXCSR = 7  # its place in fenv_t of x86-64, in words of 32 bits


class TensorHead(ctypes.Structure):
    """How ggml_tensor begins: numbers per dimension, the fastest first, and bytes between them."""
    _fields_ = [("type", c_int), ("buffer", c_void_p), ("ne", c_int64 * 4), ("nb", c_size_t * 4)]


class Memory(ctypes.Structure):
    """ggml_init_params."""
    _fields_ = [("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool)]


Tensor = ctypes.POINTER(TensorHead)
LETTERS = {"t": Tensor, "f": c_float, "i": c_int, "l": c_int64, "z": c_size_t}
OPERATIONS = {  # arguments behind the context; each gives a tensor
    "add": "tt", "sub": "tt", "mul": "tt", "div": "tt", "mul_mat": "tt", "concat": "tti", "pad": "tiiii",
    "scale": "tf", "scale_bias": "tff", "sqr": "t", "neg": "t", "exp": "t", "tanh": "t", "sigmoid": "t",
    "silu": "t", "softplus": "t", "swiglu_split": "tt", "sum_rows": "t", "norm": "tf", "rms_norm": "tf",
    "l2_norm": "tf", "soft_max_ext": "ttff", "flash_attn_ext": "ttttfff", "ssm_conv": "tt",
    "ssm_scan": "tttttttl", "gated_delta_net": "ttttttl", "rwkv_wkv7": "ttttttt", "cont": "t", "cpy": "tt",
    "transpose": "t", "reshape_2d": "tll", "reshape_3d": "tlll", "reshape_4d": "tllll",
    "view_3d": "tlllzzz", "view_4d": "tllllzzzz",
}
FUNCTIONS = {  # result, arguments
    "ggml_version": (ctypes.c_char_p, []),
    "ggml_log_set": (None, [c_void_p, c_void_p]),
    "ggml_init": (c_void_p, [Memory]),
    "ggml_free": (None, [c_void_p]),
    "ggml_new_tensor": (Tensor, [c_void_p, c_int, c_int, ctypes.POINTER(c_int64)]),
    "ggml_nelements": (c_int64, [Tensor]),
    "ggml_set_output": (None, [Tensor]),
    "ggml_new_graph_custom": (c_void_p, [c_void_p, c_size_t, c_bool]),
    "ggml_build_forward_expand": (None, [c_void_p, Tensor]),
    "ggml_threadpool_params_init": (None, [c_void_p, c_int]),
    "ggml_gallocr_new": (c_void_p, [c_void_p]),
    "ggml_gallocr_alloc_graph": (c_bool, [c_void_p, c_void_p]),
    "ggml_gallocr_free": (None, [c_void_p]),
    "ggml_backend_load_all_from_path": (None, [ctypes.c_char_p]),
    "ggml_backend_init_by_name": (c_void_p, [ctypes.c_char_p, ctypes.c_char_p]),
    "ggml_backend_reg_by_name": (c_void_p, [ctypes.c_char_p]),
    "ggml_backend_reg_get_proc_address": (c_void_p, [c_void_p, ctypes.c_char_p]),
    "ggml_backend_get_default_buffer_type": (c_void_p, [c_void_p]),
    "ggml_backend_alloc_ctx_tensors": (c_void_p, [c_void_p, c_void_p]),
    "ggml_backend_buffer_free": (None, [c_void_p]),
    "ggml_backend_tensor_set": (None, [Tensor, c_void_p, c_size_t, c_size_t]),
    "ggml_backend_tensor_get": (None, [Tensor, c_void_p, c_size_t, c_size_t]),
    "ggml_backend_graph_compute": (c_int, [c_void_p, c_void_p]),
}

SILENCE = ctypes.CFUNCTYPE(None, c_int, ctypes.c_char_p, c_void_p)(lambda *_: None)  # what ggml logs to


# ---- the library -------------------------------------------------------------------------------


@functools.cache
def library() -> ctypes.CDLL:
    """ggml with the types of its functions."""
    if platform.machine() != "x86_64":
        raise OSError(f"the package of ggml is for x86-64, and this is {platform.machine()}")
    found = sorted(FOLDER.glob("libggml.*so"))
    if not found:
        raise OSError(f"{FOLDER}: no ggml; `make deps-peers` installs it")
    ggml = ctypes.CDLL(str(found[0]))
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(ggml, name)
        function.restype, function.argtypes = result, arguments
    for name, letters in OPERATIONS.items():
        function = getattr(ggml, f"ggml_{name}")
        function.restype, function.argtypes = Tensor, [c_void_p, *(LETTERS[one] for one in letters)]
    return ggml


@functools.cache
def backend() -> c_void_p:
    """ggml's backend for this CPU, with one thread that it keeps."""
    ggml = library()
    ggml.ggml_log_set(SILENCE, None)
    ggml.ggml_backend_load_all_from_path(str(FOLDER).encode())
    made = ggml.ggml_backend_init_by_name(b"CPU", None)
    if not made:
        raise OSError("ggml has no backend for this CPU")
    register = ggml.ggml_backend_reg_by_name(b"CPU")

    def of_cpu(name: bytes, result, *arguments):
        address = ggml.ggml_backend_reg_get_proc_address(register, name)
        return ctypes.CFUNCTYPE(result, *arguments)(address)

    settings = ctypes.create_string_buffer(4096)  # ggml_threadpool_params is smaller
    ggml.ggml_threadpool_params_init(settings, 1)
    pool = of_cpu(b"ggml_threadpool_new", c_void_p, c_void_p)(ctypes.addressof(settings))
    of_cpu(b"ggml_backend_set_n_threads", None, c_void_p, c_int)(made, 1)
    of_cpu(b"ggml_backend_cpu_set_threadpool", None, c_void_p, c_void_p)(made, pool)
    return made


def version() -> str:
    """Of ggml: 0.25.1."""
    return library().ggml_version().decode()


def built_for() -> str:
    """The library that ggml has chosen for this CPU: libggml-cpu-haswell.so."""
    backend()
    return re.search(r"libggml-cpu-\w+\.so", Path("/proc/self/maps").read_text()).group()


def flush_to_zero(on: bool) -> None:
    """Whether this thread takes subnormal numbers as 0."""
    libm = ctypes.CDLL("libm.so.6")
    environment = (ctypes.c_uint32 * 8)()  # fenv_t
    libm.fegetenv(environment)
    environment[MXCSR] = environment[MXCSR] & ~FLUSH_TO_ZERO | (FLUSH_TO_ZERO if on else 0)
    libm.fesetenv(environment)


# ---- a graph -----------------------------------------------------------------------------------


class Graph:
    """Tensors with numbers, and operations on them: graph.add(a, b) is ggml_add.

    Shapes are ours reversed: x[BatchSize, SeqLen, HidSize] is a tensor of HidSize, SeqLen, BatchSize.
    """

    def __init__(self):
        self.ggml, self.backend = library(), backend()
        memory = Memory(HEADERS, None, True)
        self.given, self.made = self.ggml.ggml_init(memory), self.ggml.ggml_init(memory)
        self.graph = self.ggml.ggml_new_graph_custom(self.made, GRAPH_NODES, False)
        self.room = self.ggml.ggml_gallocr_new(
            self.ggml.ggml_backend_get_default_buffer_type(self.backend))
        self.numbers = None

    def give(self, arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
        """Tensors with these numbers, outside of what operations overwrite."""
        tensors = {name: self.ggml.ggml_new_tensor(self.given, TYPES[array.dtype], array.ndim,
                                                   (c_int64 * array.ndim)(*reversed(array.shape)))
                   for name, array in arrays.items()}
        self.numbers = self.ggml.ggml_backend_alloc_ctx_tensors(self.given, self.backend)
        for name, tensor in tensors.items():
            self.fill(tensor, arrays[name])
        return tensors

    def fill(self, tensor: Tensor, array: np.ndarray) -> None:
        """Numbers into a tensor that was given some."""
        array = np.ascontiguousarray(array)
        self.ggml.ggml_backend_tensor_set(tensor, array.ctypes.data, 0, array.nbytes)

    def __getattr__(self, operation: str):
        if operation not in OPERATIONS:
            raise AttributeError(operation)
        return functools.partial(getattr(self.ggml, f"ggml_{operation}"), self.made)

    def compute(self, *tensors: Tensor) -> None:
        """These belong to the graph, in this order, and keep their numbers to the end of a run."""
        for tensor in tensors:
            self.ggml.ggml_set_output(tensor)
            self.ggml.ggml_build_forward_expand(self.graph, tensor)

    def place(self) -> None:
        """Give every tensor of the graph its memory; then it can run."""
        if not self.ggml.ggml_gallocr_alloc_graph(self.room, self.graph):
            raise MemoryError("ggml has no memory for the graph")

    def run(self) -> None:
        """All operations."""
        status = self.ggml.ggml_backend_graph_compute(self.backend, self.graph)
        if status != 0:
            raise RuntimeError(f"ggml ends with status {status}")

    def numbers_of(self, tensor: Tensor) -> np.ndarray:
        """All numbers of a contiguous tensor, one behind the other."""
        array = np.empty(self.ggml.ggml_nelements(tensor), np.float32)
        self.ggml.ggml_backend_tensor_get(tensor, array.ctypes.data, 0, array.nbytes)
        return array

    def __del__(self):
        self.ggml.ggml_gallocr_free(self.room)
        self.ggml.ggml_backend_buffer_free(self.numbers)
        self.ggml.ggml_free(self.made)
        self.ggml.ggml_free(self.given)
