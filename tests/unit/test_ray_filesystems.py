"""Inputs and results of `--engine ray` on other filesystems, without a cluster."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from swisscli.core.columns import InputColumns
from swisscli.core.errors import ConfigurationError, DataError, OutputError
from swisscli.core.io.formats import ColumnChoice
from swisscli.core.tasks import TASKS, input_columns
from swisscli.inference.writers.formats import OutputFormat
from swisscli.ray.filesystems import find_filesystem
from swisscli.ray.folder import Folder, find_folder
from swisscli.ray.plan import Job, Report, cut_into_parts
from swisscli.ray.remote import find_files, find_versions
from swisscli.ray.worker import PartWorker, count_records

pytest.importorskip("fsspec", reason="the extra ray is not installed")
pytest.importorskip("pyarrow", reason="the extra ray is not installed")

SENTIMENT: InputColumns = input_columns([TASKS["sentiment"]])
CSV = b"id,text\n1,good film\n2,bad film\n3,\n4,dull\n"


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """A bucket on this machine.

    moto is in no group: its botocore needs an older dateutil than constraints.txt has.
    """
    server_module = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    from pyarrow.fs import S3FileSystem

    server = server_module.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    address = f"127.0.0.1:{port}"
    here = {"endpoint_override": address, "scheme": "http"}
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    place = {"AWS_ENDPOINT_URL": f"http://{address}", "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (keys | place).items():
            patch.setenv(name, value)
        S3FileSystem(**here, allow_bucket_creation=True).create_dir("bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(params=["memory", "file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty folder."""
    if request.param == "s3":
        return f"{request.getfixturevalue('s3')}/{uuid4().hex}"
    return f"memory://{uuid4().hex}" if request.param == "memory" else tmp_path.as_uri()


def put(url: str, content: bytes) -> None:
    folder, _, name = url.rpartition("/")
    target = find_folder(folder)
    target.make()
    with target.write(name) as write:
        write(content)


def make_job(folder: Folder, urls: list[str], model: Path) -> Job:
    sources = find_files(urls, SENTIMENT, None)
    options = {"device": "cpu", "threads": 1, "classes": None, "threshold": None}
    return Job(
        tasks=("sentiment",),
        columns=SENTIMENT,
        choice=ColumnChoice(),
        model=model,
        options=options,
        folder=folder,
        format=OutputFormat.JSONL,
        directory=Path.cwd(),
        parts=cut_into_parts(sources, SENTIMENT, ColumnChoice(), 20),
        num_sources=len(sources),
        versions=find_versions(sources),
    )


def test_parts_of_files_behind_urls_are_written_behind_one(place: str, tiny_model: Path) -> None:
    for name in ("b.csv", "a.csv", "other.txt"):
        put(f"{place}/{name}", CSV)
    job = make_job(find_folder(f"{place}/out/"), [f"{place}/*.csv"], tiny_model)
    assert job.parts[0].path.endswith("/a.csv")
    assert len(job.parts) > 2
    job.check(resume=False)
    job.begin()
    assert job.finished_reports() == {}
    last = len(job.parts) - 1
    work = PartWorker(job)
    assert work({"part": range(last)})["refusal"] == [""] * last
    with pytest.raises(ConfigurationError, match="is not empty"):
        job.check(resume=False)
    job.check(resume=True)
    assert sorted(job.finished_reports()) == list(range(last))
    work({"part": [0, last]})  # one is predicted again, as after a lost worker
    job.end()
    reports = job.finished_reports()
    total = sum((report.count for report in reports.values()), Report().count)
    assert total == count_records(job, find_files([f"{place}/*.csv"], SENTIMENT, None))
    assert total.records == 8
    rows = b"".join(job.folder.read(job.output(number)) for number in range(last + 1))
    assert rows.count(b'"sentiment_label"') == 8
    names = {f"part-{number:05}.jsonl" for number in range(last + 1)}
    assert job.folder.names() == names | {"_swiss"}
    assert len(job.folder.names("_swiss")) == last + 2


def test_an_input_that_has_changed_is_not_resumed(place: str, tiny_model: Path) -> None:
    url, out = f"{place}/a.csv", find_folder(f"{place}/out")
    put(url, CSV)
    make_job(out, [url], tiny_model).begin()
    assert PartWorker(make_job(out, [url], tiny_model))({"part": [0]})["refusal"] == [""]
    make_job(out, [url], tiny_model).check(resume=True)
    put(url, CSV.replace(b"dull", b"fine!"))  # as many records
    with pytest.raises(ConfigurationError, match="was started with other inputs"):
        make_job(out, [url], tiny_model).check(resume=True)


def test_an_error_leaves_nothing_half_written(place: str) -> None:
    folder = find_folder(f"{place}/out")
    assert folder.names() == set()
    folder.make()

    def write_half() -> None:
        with folder.write("part") as write:
            write(b"half")
            raise DataError("the input ends here")

    with pytest.raises(DataError):
        write_half()
    assert folder.names() == set()
    for content in (b"first", b"second"):
        with folder.write("part") as write:
            write(content)
    assert folder.read("part") == b"second"
    assert folder.names() == {"part"}


def test_what_a_killed_worker_left_is_removed(place: str) -> None:
    folder = find_folder(place)
    folder.make()
    filesystem, path = find_filesystem(place)
    with filesystem.open_output_stream(f"{path}/.swiss-1234-part") as stream:
        stream.write(b"half")
    put(f"{place}/part", b"whole")
    folder.clean()
    assert folder.names() == {"part"}


def test_a_url_that_cannot_be_reached_is_an_error_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nosuch://x/out: cannot be reached: "):
        find_folder("nosuch://x/out").check()
    with pytest.raises(DataError, match=r"memory://nothing/a.csv: cannot be read: "):
        find_files(["memory://nothing/a.csv"], SENTIMENT, None)
    with pytest.raises(DataError, match="no file matches"):
        find_files([f"{tmp_path.as_uri()}/*.csv"], SENTIMENT, None)
    (tmp_path / "a").write_text("")
    with pytest.raises(ConfigurationError, match="exists and is not a folder"):
        find_folder((tmp_path / "a").as_uri()).check()
    with pytest.raises(OutputError, match="memory://nothing/x"):
        find_folder("memory://nothing").read("x")
