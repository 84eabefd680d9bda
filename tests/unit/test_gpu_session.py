"""Sessions on a GPU, on an ONNX Runtime that is told what it offers and computes on the CPU."""

from types import SimpleNamespace

import onnxruntime
import pytest

from swisscli import Predictor
from swisscli.core.errors import ConfigurationError, DeviceError
from swisscli.inference import devices, session

CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))


class Runtime:
    """ONNX Runtime with other providers.

    Args:
        offered: What this build has.
        loads: Providers that a session takes when asked for them.
        places: Providers that parts of the graph are put on; None: as the session has them.
    """

    def __init__(self, offered, loads, places=None):
        self.offered, self.loads, self.places = offered, loads, places
        self.asked, self.shapes, self.moved = [], [], []
        self.OrtValue = SimpleNamespace(ortvalue_from_numpy=self._move)

    def __getattr__(self, name):
        return getattr(onnxruntime, name)

    def get_available_providers(self):
        return [*self.offered, CPU]

    def preload_dlls(self):
        print("Failed to load libcublas.so.13: it is not there")

    def _move(self, array, device, index):
        self.moved.append((device, index))
        self.shapes.append(array.shape)
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)

    def InferenceSession(self, graph, options, providers, enable_fallback):  # noqa: N802
        assert enable_fallback == 0
        self.asked.append(providers)
        real = onnxruntime.InferenceSession(graph, options, providers=[CPU])
        return Session(
            real, [name for name in _names(providers) if name in (*self.loads, CPU)], self
        )


class Session:
    def __init__(self, real, providers, runtime):
        self._real, self._providers, self._runtime = real, providers, runtime

    def __getattr__(self, name):
        return getattr(self._real, name)

    def get_providers(self):
        return self._providers

    def get_provider_graph_assignment_info(self):
        places = self._runtime.places
        return [SimpleNamespace(ep_name=name) for name in places or self._providers]


def _names(providers):
    return [item if isinstance(item, str) else item[0] for item in providers]


@pytest.fixture
def use(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def install(offered=(TENSORRT, CUDA), loads=(CUDA,), places=None):
        runtime = Runtime(offered, loads, places)
        monkeypatch.setattr(session, "onnxruntime", runtime)
        monkeypatch.setattr(devices, "has_cuda_device", lambda: True)
        return runtime

    return install


def test_cuda_gets_its_options_and_a_trial(use, tiny_model, capfd):
    runtime = use()
    predictor = Predictor(tiny_model, device="cuda:1")
    assert predictor.device == "cuda:1"
    assert runtime.asked == [[(CUDA, {"device_id": "1", "use_tf32": "0"}), CPU]]
    assert runtime.shapes == [(1, 2)] * 3
    assert set(runtime.moved) == {("cuda", 1)}
    assert capfd.readouterr() == ("", "")


def test_auto_takes_the_gpu_that_works(use, tiny_model, recwarn):
    use()
    assert Predictor(tiny_model).device == "cuda:0"
    assert Predictor(tiny_model, device="cpu").device == "cpu"
    assert not recwarn.list


def test_answers_are_those_of_the_cpu_in_few_shapes(use, tiny_model):
    runtime = use()
    pairs = [("good " * (n % 9), "bad film " * (n % 7)) for n in range(500)]
    gpu = Predictor(tiny_model, device="cuda")
    cpu = Predictor(tiny_model, device="cpu")
    names = ["paraphrase", "similarity"]
    found = list(gpu.predict_tasks(names, pairs))
    for ours, theirs in zip(found, cpu.predict_tasks(names, pairs), strict=True):
        for our, their in zip(ours, theirs, strict=True):
            assert (our.label, our.skipped) == (their.label, their.skipped)
            assert our.score == pytest.approx(their.score, abs=1e-5)
    assert {shape[1] for shape in runtime.shapes[3:]} == {16}


@pytest.mark.parametrize(
    ("options", "device", "message"),
    [
        ({"offered": ()}, "cuda", "this build of ONNX Runtime has no CUDA support"),
        ({"loads": ()}, "cuda", "cuda:0 cannot be used: "),
        ({"places": (CPU,)}, "cuda:2", "cuda:2 cannot be used: "),
        ({"offered": (CUDA,)}, "tensorrt", "this build of ONNX Runtime has no TensorRT support"),
        ({"loads": (CUDA,)}, "tensorrt", "tensorrt:0 cannot be used: "),
        ({"loads": (TENSORRT, CUDA), "places": (CUDA,)}, "tensorrt", "tensorrt:0 cannot be used"),
    ],
)
def test_a_device_that_the_session_does_not_run_on_is_refused(
    use, tiny_model, options, device, message, capfd
):
    use(**options)
    with pytest.raises(DeviceError, match=message) as caught:
        Predictor(tiny_model, device=device)
    assert caught.value.exit_code == 6
    assert "pip " in caught.value.hint
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("options", [{"offered": ()}, {"loads": ()}, {"places": (CPU,)}])
def test_auto_says_what_it_falls_back_to(use, tiny_model, options):
    use(**options)
    with pytest.warns(session.DeviceFallbackWarning, match="using the CPU instead of the GPU: "):
        predictor = Predictor(tiny_model)
    assert predictor.device == "cpu"
    assert [answer.label for answer in predictor.predict("sst", ["good film"])] == ["positive"]


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_int8_is_refused_with_the_reason(use, make_model, device):
    runtime = use(loads=(TENSORRT, CUDA))
    model = make_model(precision="int8")
    with pytest.raises(DeviceError, match=r"int8, which runs on the CPU only: .* no GPU kernels"):
        Predictor(model, device=device)
    assert runtime.asked == []
    with pytest.warns(session.DeviceFallbackWarning, match="int8"):
        assert Predictor(model).device == "cpu"


def test_tensorrt_keeps_its_engines_and_leaves_the_rest_to_cuda(use, tiny_model, tmp_path):
    runtime = use(loads=(TENSORRT, CUDA))
    predictor = Predictor(tiny_model, device="tensorrt:1")
    assert predictor.device == "tensorrt:1"
    (providers,) = runtime.asked
    assert _names(providers) == [TENSORRT, CUDA, CPU]
    assert providers[0][1]["device_id"] == providers[1][1]["device_id"] == "1"
    engines = tmp_path / "swiss" / "tensorrt"
    assert providers[0][1]["trt_engine_cache_path"] == str(engines)
    assert engines.is_dir()
    assert [answer.label for answer in predictor.predict("sst", ["good film"])] == ["positive"]


def test_a_version_that_does_not_tell_places_is_trusted(use, tiny_model, monkeypatch):
    def of_older_version(self, name):
        if name == "get_provider_graph_assignment_info":
            raise AttributeError(name)
        return getattr(self._real, name)

    monkeypatch.delattr(Session, "get_provider_graph_assignment_info")
    monkeypatch.setattr(Session, "__getattr__", of_older_version)
    use()
    assert Predictor(tiny_model, device="cuda").device == "cuda:0"


def test_a_gpu_that_fails_later_is_an_error_of_the_device(use, tiny_model, monkeypatch):
    use()
    predictor = Predictor(tiny_model, device="cuda")

    def fail(*_):
        raise RuntimeError("CUDA out of memory\nmore")

    monkeypatch.setattr(Session, "run_with_iobinding", fail, raising=False)
    with pytest.raises(DeviceError, match=r"^cuda:0 failed: CUDA out of memory$") as caught:
        list(predictor.predict("sst", ["good"]))
    assert "`batch_tokens=4096`" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "parsed"),
    [("auto", ("auto", 0)), ("cpu", ("cpu", 0)), ("cuda", ("cuda", 0)), ("cuda:12", ("cuda", 12))],
)
def test_names_of_devices(name, parsed):
    assert devices.parse_device(name) == parsed


@pytest.mark.parametrize("name", ["gpu", "cpu:0", "auto:1", "cuda:", "cuda:-1", "cuda:1234", ""])
def test_what_is_no_device(name):
    with pytest.raises(ConfigurationError, match="unknown device"):
        devices.parse_device(name)
