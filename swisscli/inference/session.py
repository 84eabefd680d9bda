"""One ONNX Runtime session over the multitask graph, on a device that it really runs on."""

import contextlib
import ctypes
import io
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from swisscli.errors import ConfigurationError, DeviceError, ModelError
from swisscli.tokenization import Int64


@contextlib.contextmanager
def _native_stderr() -> Iterator[list[str]]:
    """Keep what native code writes to file descriptor 2, line by line, from the user."""
    lines: list[str] = []
    try:
        saved = os.dup(2)
    except OSError:  # the program runs without a standard error
        yield lines
        return
    with tempfile.TemporaryFile() as sink:
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(sink.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            lines.extend(sink.read().decode("utf-8", "replace").splitlines())


with _native_stderr():  # some builds warn on import about a GPU that is not there
    import onnxruntime

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_CUDA = "CUDAExecutionProvider"
_ERRORS_ONLY = 3


class DeviceFallbackWarning(RuntimeWarning):
    """The machine has a GPU, but `device="auto"` had to use the CPU."""


class Session:
    """The graph, ready to run.

    Args:
        graph: The `model.onnx`.
        tasks: Output names that the graph must have.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads of one operator; None takes the physical cores allowed.
        precision: The graph's precision, as its manifest has it.

    Attributes:
        device: Where it runs: `cpu` or `cuda:N`.

    Raises:
        ConfigurationError: if `device` is not one of the names above.
        DeviceError: if a CUDA device is asked for and the graph does not run there.
        ModelError: if the graph cannot be loaded or lacks an input or output.
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
        self._graph = graph
        self._tasks = tuple(tasks)
        self._options = _session_options(threads or _allowed_cores())
        self._run_options = onnxruntime.RunOptions()
        self._run_options.only_execute_path_to_fetches = True
        self._run_options.log_severity_level = _ERRORS_ONLY
        self.device = "cpu"

        index = _cuda_index(device)
        if index is not None:
            self._open_cuda(index, precision)
        elif device == "cpu" or not _has_cuda_device():
            self._open_cpu()
        else:
            try:
                self._open_cuda(0, precision)
            except DeviceError as error:
                self._open_cpu()
                warnings.warn(
                    f"using the CPU instead of the GPU: {error.message}",
                    DeviceFallbackWarning,
                    stacklevel=3,
                )

    def run(
        self,
        task: str,
        input_ids_BT: Int64,
        attention_mask_BT: Int64,
        token_type_ids_BT: Int64,
    ) -> npt.NDArray[np.float32]:
        """Compute one task's logits.

        Args:
            task: The output's name; only its part of the graph is computed.
            input_ids_BT: Token ids.
            attention_mask_BT: 1 for a token, 0 for padding.
            token_type_ids_BT: 0 for the first sentence, 1 for the second.

        Returns:
            Logits of shape (B, C).

        Raises:
            DeviceError: if the GPU fails, for want of memory for instance.
            ModelError: if the graph fails otherwise.
        """
        inputs = dict(
            zip(INPUTS, (input_ids_BT, attention_mask_BT, token_type_ids_BT), strict=True)
        )
        try:
            (logits_BC,) = self._session.run([task], inputs, self._run_options)
        except Exception as error:  # ONNX Runtime has one class per status code
            reason = _first_line(str(error))
            if self.device == "cpu":
                raise ModelError(f"{self._graph}: the graph failed: {reason}") from error
            raise DeviceError(
                f"{self.device} failed: {reason}",
                hint="use smaller batches (--batch-tokens 4096) or --device cpu",
            ) from error
        return np.asarray(logits_BC, dtype=np.float32)

    def _open_cpu(self) -> None:
        self.device = "cpu"
        self._open(["CPUExecutionProvider"])

    def _open_cuda(self, index: int, precision: str) -> None:
        if precision == "int8":
            raise DeviceError(
                "the model is int8, which runs on the CPU only",
                hint="use --device cpu, or for the GPU export it as fp32",
            )
        if _CUDA not in onnxruntime.get_available_providers():
            raise DeviceError(
                "this build of ONNX Runtime has no CUDA support",
                hint="pip uninstall onnxruntime && pip install onnxruntime-gpu",
            )
        self.device = f"cuda:{index}"
        # TF32 would make the GPU's answers differ from the CPU's in the third digit.
        provider = (_CUDA, {"device_id": str(index), "use_tf32": "0"})
        with _native_stderr() as log, contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()  # CUDA libraries that pip installed
            try:
                self._open([provider, "CPUExecutionProvider"])
                runs_there = _CUDA in self._session.get_providers()
                if runs_there:
                    one = np.ones((1, 2), dtype=np.int64)
                    self.run(self._tasks[0], one, one, np.zeros_like(one))
            except (ModelError, DeviceError) as error:
                log.append(error.message)
                runs_there = False
        if not runs_there:
            raise DeviceError(
                f"cuda:{index} cannot be used: {_reason(log)}",
                hint="check nvidia-smi and the CUDA libraries, or use --device cpu",
            )

    def _open(self, providers: list[Any]) -> None:
        try:
            # Its own fallback would take the CPU without asking and print to standard output.
            self._session = onnxruntime.InferenceSession(
                str(self._graph), self._options, providers=providers, enable_fallback=0
            )
        except Exception as error:  # ONNX Runtime has one class per status code
            raise ModelError(
                f"{self._graph}: cannot be loaded: {_first_line(str(error))}",
                hint="export the model again with: swiss export",
            ) from error
        inputs = {node.name for node in self._session.get_inputs()}
        outputs = {node.name for node in self._session.get_outputs()}
        missing = (set(INPUTS) ^ inputs) | (set(self._tasks) - outputs)
        if missing:
            raise ModelError(
                f"{self._graph}: not a graph of this program: {', '.join(sorted(missing))}",
                hint="export the model again with: swiss export",
            )


def _session_options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERRORS_ONLY
    options.enable_mem_pattern = False  # it keeps a plan for every shape it has met
    return options


def _cuda_index(device: str) -> int | None:
    """The N of `cuda:N`, 0 for `cuda`, None for `auto` and `cpu`."""
    if device in ("auto", "cpu"):
        return None
    match = re.fullmatch(r"cuda(?::([0-9]{1,3}))?", device)
    if match is None:
        raise ConfigurationError(
            f"unknown device {device!r}", hint="use --device auto, cpu, cuda or cuda:N"
        )
    return int(match[1] or 0)


def _has_cuda_device() -> bool:
    """Whether the NVIDIA driver sees a GPU, usable or not."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    no_device = 100
    return bool(driver.cuInit(0) != no_device)


def _allowed_cores() -> int:
    """Physical cores that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    cores = set()
    for cpu in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text())
        except OSError:
            return len(allowed)
    return len(cores)


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0]


def _reason(log: Sequence[str]) -> str:
    """The most telling line of ONNX Runtime's log."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in log]
    for line in lines:
        if found := re.search(r"with error: (.+)", line):
            return found[1].strip()
    errors = [line for line in lines if "[E:" in line] or [line for line in lines if line.strip()]
    return errors[-1].strip() if errors else "ONNX Runtime did not take the CUDA provider"
