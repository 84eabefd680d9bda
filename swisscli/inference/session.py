"""Runs the multitask graph in an ONNX Runtime session, on a device that is known to work."""

import contextlib
import io
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from swisscli.core.errors import DeviceError, ModelError
from swisscli.core.io.text import escape_control
from swisscli.core.model.graph import EMBEDDING, INPUTS, check_graph
from swisscli.core.processor import allowed_cores
from swisscli.core.tokenization import Int64
from swisscli.inference import devices

_END = b"\0"


@contextlib.contextmanager
def _capture_native_stderr() -> Iterator[list[str]]:
    """Collect what native code writes to file descriptor 2, and hide it from the user."""
    lines: list[str] = []
    try:
        saved = os.dup(2)
    except OSError:  # the program runs without a standard error
        yield lines
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    read_end, write_end = os.pipe()  # not a temporary file, because no writable folder may exist
    reader = threading.Thread(target=_read_lines, args=(read_end, lines), daemon=True)
    reader.start()
    os.dup2(write_end, 2)
    try:
        yield lines
    finally:
        os.dup2(saved, 2)
        os.write(write_end, _END)
        reader.join()
        for descriptor in (saved, read_end, write_end):
            os.close(descriptor)


def _read_lines(descriptor: int, lines: list[str]) -> None:
    """Read up to the end mark; the pipe's own end may be held open by another process."""
    text = b""
    while not text.endswith(_END):
        text += os.read(descriptor, 1 << 16)
    lines.extend(text.removesuffix(_END).decode("utf-8", "replace").splitlines())


with _capture_native_stderr():  # some builds warn on import about a missing GPU
    import onnxruntime

CUDA_HINT = (
    "install the CUDA libraries with: pip install 'swissbert[cuda]'; see swiss doctor; "
    "or use `device=cpu`"
)
_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"
_ERRORS_ONLY, _FATAL_ONLY = 3, 4
_INT64, _FLOAT = "tensor(int64)", "tensor(float)"
_RECORD_PLACES = "session.record_ep_graph_assignment_info"


class _Gpu(NamedTuple):
    """How to open a kind of GPU device."""

    provider: str
    name: str
    install: str


_GPUS = {
    "cuda": _Gpu(_CUDA, "CUDA", CUDA_HINT),
    "tensorrt": _Gpu(
        _TENSORRT,
        "TensorRT",
        "install TensorRT 10 (pip install tensorrt-cu13) beside swissbert[cuda], "
        "or use `device=cuda` or `device=cpu`",
    ),
}


class DeviceFallbackWarning(RuntimeWarning):
    """The machine has a GPU, but `device="auto"` had to use the CPU."""


class Session:
    """The graph, ready to run.

    Args:
        graph: Path of `model.onnx`.
        tasks: Output names that the graph must have.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `tensorrt` or `tensorrt:N`.
        threads: Number of CPU threads per operator; None selects the physical cores allowed.
        precision: Precision of the graph, from its manifest.

    Attributes:
        device: Device in use: `cpu`, `cuda:N` or `tensorrt:N`.
        has_embedding: Whether the graph has the output `EMBEDDING`; older ones have not.

    Raises:
        ConfigurationError: if `device` is not one of the names above.
        DeviceError: if a GPU is asked for and the graph does not run there.
        ModelError: if the graph may not be run (see `check_graph`), cannot be loaded, or lacks an
            input or output.
    """

    def __init__(
        self,
        graph: Path,
        tasks: Sequence[str],
        *,
        device: str = "auto",
        threads: int | None = None,
        precision: str = "fp32",
    ) -> None:
        check_graph(graph)
        self._graph = graph
        self._tasks = tuple(tasks)
        self._options = _session_options(threads or allowed_cores())
        self._run_options = onnxruntime.RunOptions()
        self._run_options.only_execute_path_to_fetches = True
        self._run_options.log_severity_level = _ERRORS_ONLY
        self.device = "cpu"
        self._gpu_index = 0

        kind, index = devices.parse_device(device)
        if kind in _GPUS:
            self._open_gpu(kind, index, precision)
        elif kind == "cpu" or not devices.has_cuda_device():
            self._open_cpu()
        else:
            try:
                self._open_gpu("cuda", 0, precision)
            except DeviceError as error:
                self._open_cpu()
                warnings.warn(
                    f"using the CPU instead of the GPU: {error.message}",
                    DeviceFallbackWarning,
                    stacklevel=3,
                )
        # The error is raised too; what is logged goes past every escaping to standard error.
        self._run_options.log_severity_level = _FATAL_ONLY

    def run(
        self,
        task: str,
        input_ids_BT: Int64,
        attention_mask_BT: Int64,
        token_type_ids_BT: Int64,
    ) -> npt.NDArray[np.float32]:
        """Compute one output, such as a task's logits.

        Args:
            task: The output's name; only its part of the graph is computed.
            input_ids_BT: Token ids.
            attention_mask_BT: 1 for a token, 0 for padding.
            token_type_ids_BT: 0 for the first sentence, 1 for the second.

        Returns:
            Logits of shape (B, C).

        Raises:
            DeviceError: if the GPU fails, for example because it is out of memory.
            ModelError: if the graph fails otherwise.
        """
        (logits_BC,) = self.run_tasks([task], input_ids_BT, attention_mask_BT, token_type_ids_BT)
        return logits_BC

    def run_tasks(
        self,
        tasks: Sequence[str],
        input_ids_BT: Int64,
        attention_mask_BT: Int64,
        token_type_ids_BT: Int64,
    ) -> list[npt.NDArray[np.float32]]:
        """Compute the logits of several tasks that read the same input; the encoder runs once.

        Args:
            tasks: Names of the outputs.
            input_ids_BT: As in `run`.
            attention_mask_BT: As in `run`.
            token_type_ids_BT: As in `run`.

        Returns:
            For each task its logits of shape (B, C).

        Raises:
            DeviceError: if the GPU fails, for example because it is out of memory.
            ModelError: if the graph fails otherwise.
        """
        inputs = dict(
            zip(INPUTS, (input_ids_BT, attention_mask_BT, token_type_ids_BT), strict=True)
        )
        try:
            if self.device == "cpu":
                outputs = self._session.run(list(tasks), inputs, self._run_options)
            else:
                outputs = self._run_bound(tasks, inputs)
        except Exception as error:  # ONNX Runtime has one class per status code
            reason = _first_line(str(error))
            if self.device == "cpu":
                raise ModelError(f"{self._graph}: the graph failed: {reason}") from error
            raise DeviceError(
                f"{self.device} failed: {reason}",
                hint="use smaller batches (`batch_tokens=4096`) or `device=cpu`",
            ) from error
        return [np.asarray(logits_BC, dtype=np.float32) for logits_BC in outputs]

    def _run_bound(self, tasks: Sequence[str], inputs: dict[str, Int64]) -> list[Any]:
        """Run with inputs copied to the GPU once, in the layout that the graph takes."""
        binding = self._session.io_binding()
        for name, array_BT in inputs.items():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(array_BT, "cuda", self._gpu_index)
            binding.bind_ortvalue_input(name, value)
        for task in tasks:
            binding.bind_output(task, "cpu")
        self._session.run_with_iobinding(binding, self._run_options)
        return list(binding.copy_outputs_to_cpu())

    def _open_cpu(self) -> None:
        self.device = "cpu"
        self._options.log_severity_level = _FATAL_ONLY
        self._open([_CPU])

    def _open_gpu(self, kind: str, index: int, precision: str) -> None:
        gpu = _GPUS[kind]
        if precision == "int8":
            raise DeviceError(
                "the model is int8, which runs on the CPU only: "
                "ONNX Runtime has no GPU kernels for its operators",
                hint="use `device=cpu`, or export it for the GPU with: swiss export RUN "
                "`precision=fp16`",
            )
        if gpu.provider not in onnxruntime.get_available_providers():
            raise DeviceError(
                f"this build of ONNX Runtime has no {gpu.name} support",
                hint="pip uninstall onnxruntime && pip install onnxruntime-gpu",
            )
        self.device, self._gpu_index = f"{kind}:{index}", index
        with _capture_native_stderr() as log, contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()  # CUDA libraries that pip installed
            if kind == "tensorrt":
                with contextlib.suppress(ImportError):
                    import_module("tensorrt")  # loads the libraries that pip installed
            try:
                self._options.add_session_config_entry(_RECORD_PLACES, "1")
                self._open([*_gpu_providers(kind, index), _CPU])
                runs_there = self._runs_on(gpu.provider)
                if runs_there:
                    one = np.ones((1, 2), dtype=np.int64)
                    self.run(self._tasks[0], one, one, np.zeros_like(one))
            except (ModelError, DeviceError) as error:
                log.append(error.message)
                runs_there = False
        if not runs_there:
            raise DeviceError(f"{kind}:{index} cannot be used: {_reason(log)}", hint=gpu.install)

    def _runs_on(self, provider: str) -> bool:
        """Whether the session's graph was really placed on the device."""
        if provider not in self._session.get_providers():
            return False
        if not hasattr(self._session, "get_provider_graph_assignment_info"):
            # An older version does not report where the nodes of the graph were placed.
            return True
        places = self._session.get_provider_graph_assignment_info()
        return any(place.ep_name == provider for place in places)

    def _open(self, providers: list[Any]) -> None:
        try:
            # Its own fallback would use the CPU without asking and print to standard output.
            self._session = onnxruntime.InferenceSession(
                str(self._graph), self._options, providers=providers, enable_fallback=0
            )
        except Exception as error:  # ONNX Runtime has one class per status code
            raise ModelError(
                f"{self._graph}: cannot be loaded: {_first_line(str(error))}",
                hint="export the model again with: swiss export",
            ) from error
        inputs = {node.name: node.type for node in self._session.get_inputs()}
        outputs = {node.name: node.type for node in self._session.get_outputs()}
        self.has_embedding = outputs.get(EMBEDDING) == _FLOAT
        wrong = inputs.keys() ^ set(INPUTS)
        wrong |= {name for name, kind in inputs.items() if kind != _INT64}
        wrong |= {task for task in self._tasks if outputs.get(task) != _FLOAT}
        if wrong:
            raise ModelError(
                f"{self._graph}: not a graph of this program: an input or output is missing,"
                f" unknown or of another type: {escape_control(', '.join(sorted(wrong)))}",
                hint="export the model again with: swiss export",
            )


def _session_options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERRORS_ONLY
    options.enable_mem_pattern = False  # it keeps a plan for every shape it has seen
    return options


def _gpu_providers(kind: str, index: int) -> list[tuple[str, dict[str, str]]]:
    # TF32 would make the GPU's answers differ from the CPU's in the third digit.
    cuda = (_CUDA, {"device_id": str(index), "use_tf32": "0"})
    if kind == "cuda":
        return [cuda]
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    engines = Path(home) / "swiss" / "tensorrt"
    engines.mkdir(parents=True, exist_ok=True)
    options = {
        "device_id": str(index),
        "trt_engine_cache_enable": "1",  # an engine takes minutes to build
        "trt_engine_cache_path": str(engines),
    }
    return [(_TENSORRT, options), cuda]


def _first_line(message: str) -> str:
    return escape_control(message.strip().partition("\n")[0])


def _reason(log: Sequence[str]) -> str:
    """Return the most informative line of ONNX Runtime's log."""
    lines = [escape_control(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in log]
    for line in lines:
        if found := re.search(r"with error: (.+)", line):
            return found[1].strip()
    errors = [line for line in lines if "[E:" in line] or [line for line in lines if line.strip()]
    if errors:
        return errors[-1].strip()
    return "ONNX Runtime opened the model but placed none of it on the GPU"
