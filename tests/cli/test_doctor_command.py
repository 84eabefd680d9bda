"""`swiss doctor`: what there is, what would be used, what is missing."""

import json
import os

import numpy
import onnxruntime
import pytest

from swisscli import __version__
from swisscli.core.processor import processor
from swisscli.inference import devices

NAMES = [
    "swiss", "python", "onnxruntime", "tokenizers", "numpy", "torch", "system", "processor",
    "instruction_sets", "cores", "nvidia_driver", "gpus", "providers", "cuda_libraries", "model",
    "model_precision", "model_tasks", "model_works", "device_auto", "device_reason", "for_a_gpu",
]  # fmt: skip


RUNTIMES = [f"{name} {onnxruntime.__version__}" for name in ("onnxruntime", "onnxruntime-gpu")]


class Driver:
    """NVIDIA's driver library on a machine with one GPU."""

    def __init__(self, num_gpus=1):
        self._num_gpus = num_gpus

    def cuInit(self, flags):  # noqa: N802
        return 0 if self._num_gpus else 100

    def cuDriverGetVersion(self, version):  # noqa: N802
        version._obj.value = 13010
        return 0

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = self._num_gpus
        return 0

    def cuDeviceGet(self, handle, index):  # noqa: N802
        handle._obj.value = 7 + index

    def cuDeviceGetName(self, name, size, handle):  # noqa: N802
        name.value = b"NVIDIA Test GPU %d" % handle.value

    def cuDeviceTotalMem_v2(self, size, handle):  # noqa: N802
        size._obj.value = 80 << 30

    def cuDeviceGetAttribute(self, value, attribute, handle):  # noqa: N802
        value._obj.value = {75: 9, 76: 0}[attribute]


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(devices, "load_driver", lambda: None)


@pytest.fixture
def facts(swiss):
    def run(*options, exit_code=0):
        outcome = swiss("doctor", "--format", "json", *options)
        assert outcome.exit_code == exit_code, outcome.stderr
        return json.loads(outcome.stdout)

    return run


def test_a_line_per_finding(swiss, no_gpu, tiny_model):
    outcome = swiss("doctor")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    lines = dict(line.split(": ", 1) for line in outcome.stdout.decode().splitlines())
    assert list(lines) == NAMES
    assert lines["swiss"] == __version__
    assert lines["numpy"] == numpy.__version__
    assert lines["onnxruntime"] in RUNTIMES
    assert lines["model"] == str(tiny_model)
    assert lines["model_precision"] == "fp32"
    assert lines["model_tasks"] == "sentiment, paraphrase, similarity"
    assert lines["model_works"] == "yes, a text was predicted on cpu"
    assert (lines["device_auto"], lines["gpus"]) == ("cpu", "none")
    assert lines["device_reason"] == "no NVIDIA driver is installed"
    assert lines["for_a_gpu"].startswith("a machine with an NVIDIA GPU and a driver for CUDA")


def test_json_has_the_same(facts, no_gpu):
    found = facts()
    assert list(found) == NAMES
    assert set(found["onnxruntime"]) <= set(RUNTIMES)
    assert found["providers"] == onnxruntime.get_available_providers()
    assert found["gpus"] == []


def test_a_gpu_that_the_engine_cannot_use(facts, monkeypatch):
    monkeypatch.setattr(devices, "load_driver", Driver)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load /x/lib.so.1: y"))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])

    def fails(graph, options, providers, enable_fallback):
        assert enable_fallback == 0
        if "CUDAExecutionProvider" in str(providers):
            raise RuntimeError("no kernel image\nmore")
        return real(graph, options, providers=providers)

    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", fails)
    found = facts()
    assert found["nvidia_driver"] == "for CUDA up to 13.1"
    assert found["gpus"] == ["NVIDIA Test GPU 7, 80 GiB, compute capability 9.0"]
    assert found["cuda_libraries"] == "missing: lib.so.1"
    assert found["device_auto"] == "cpu"
    assert found["device_reason"].startswith("using the CPU instead of the GPU: cuda:0 cannot")
    assert found["device_reason"].endswith("no kernel image")
    assert found["for_a_gpu"] == ["pip install 'swissbert[cuda]'"]


def test_a_driver_without_a_gpu(facts, monkeypatch):
    monkeypatch.setattr(devices, "load_driver", lambda: Driver(num_gpus=0))
    found = facts()
    assert found["gpus"] == []
    assert found["device_reason"] == "the NVIDIA driver sees no GPU"
    assert found["for_a_gpu"][0] == "a GPU that the driver sees: check nvidia-smi"


def test_a_build_without_cuda_and_a_model_in_int8(facts, no_gpu, monkeypatch, make_model):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    found = facts("--model", make_model(precision="int8"))
    assert found["cuda_libraries"].startswith("none needed")
    assert found["for_a_gpu"][1:] == [
        "pip uninstall onnxruntime && pip install onnxruntime-gpu",
        "a model in fp16: swiss export RUN --precision fp16",
    ]


def test_two_builds_of_the_engine_are_named_and_one_is_to_go(facts, no_gpu, tmp_path, monkeypatch):
    for name in ("onnxruntime", "onnxruntime-gpu"):
        metadata = tmp_path / f"{name.replace('-', '_')}-9.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Name: {name}\nVersion: 9.0\n")
        (metadata / "top_level.txt").write_text("onnxruntime\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = facts()
    assert found["onnxruntime"] == ["onnxruntime 9.0", "onnxruntime-gpu 9.0"]
    assert found["for_a_gpu"][1].startswith("pip uninstall onnxruntime onnxruntime-gpu && ")


def test_a_damaged_model_is_4_and_the_rest_is_told(swiss, make_model):
    model = make_model()
    (model / "config.json").write_text("{}")
    outcome = swiss("doctor", "--model", model)
    assert outcome.exit_code == 4
    assert f"model: {model}\n" in outcome.stdout.decode()
    assert "model_works: no: " in outcome.stdout.decode()
    assert "its sha256 differs" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_model_whose_answer_is_no_number_does_not_work(swiss, make_model, monkeypatch):
    monkeypatch.setattr("swisscli.inference.diagnosis._TEXT", "nan")
    outcome = swiss("doctor", "--model", make_model())
    assert outcome.exit_code == 4
    assert "not a number" in outcome.stderr


def test_an_engine_that_cannot_be_loaded(spawn, environment, tmp_path):
    broken = tmp_path / "onnxruntime.py"
    broken.write_text("raise ImportError('libstdc++ is too old')")
    paths = [str(tmp_path), *filter(None, [environment.get("PYTHONPATH")])]
    process = spawn("doctor", env=environment | {"PYTHONPATH": os.pathsep.join(paths)})
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"providers" not in stdout
    assert stdout.startswith(b"swiss: ")
    assert stderr.startswith(b"error: ONNX Runtime cannot be loaded: libstdc++ is too old\nhint: ")


def test_the_processor(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name\t: Test CPU\nflags\t\t: fpu avx2 avx512_vnni amx_int8 x\n")
    assert processor(cpuinfo) == ("Test CPU", ("avx2", "avx512_vnni", "amx_int8"))
    assert processor(tmp_path / "none") == (None, ())
