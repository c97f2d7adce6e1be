"""The shared folder under other people's hands: damage, crashes, full disks, several processes."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedvol.errors import StorageError
from fedvol.storage import MAX_OBJECT_BYTES, LocalFolder

pytestmark = pytest.mark.timeout(60)


def place(folder: Path, name: bytes) -> Path:
    return folder / name.hex()[:2] / name.hex()


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    prelude = "import os, resource, sys\nfrom pathlib import Path\nfrom fedvol.storage import LocalFolder\n"
    return subprocess.Popen(
        [sys.executable, "-c", prelude + script, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> LocalFolder:
    return LocalFolder(tmp_path_factory.mktemp("shared"))


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=20_000))
def test_what_is_put_is_got(shared: LocalFolder, data: bytes) -> None:
    name = shared.put(data)
    assert name == hashlib.sha256(data).digest()
    assert shared.get(name) == data


@pytest.mark.parametrize("damage", [b"", b"other bytes", bytes(MAX_OBJECT_BYTES + 1)])
def test_damaged_object_is_refused_then_repaired_by_put(folder: Path, damage: bytes) -> None:
    storage = LocalFolder(folder)
    data = os.urandom(500)
    name = storage.put(data)
    place(folder, name).chmod(0o644)
    place(folder, name).write_bytes(damage)
    assert not storage.has(name)
    with pytest.raises(StorageError, match=name.hex()):
        storage.get(name)
    storage.put(data)
    assert storage.get(name) == data


def test_pipe_in_place_of_an_object_does_not_block(folder: Path) -> None:
    storage = LocalFolder(folder)
    data = os.urandom(500)
    name = storage.put(data)
    place(folder, name).unlink()
    os.mkfifo(place(folder, name))
    assert not storage.has(name)
    with pytest.raises(StorageError, match="not a regular file"):
        storage.get(name)
    storage.put(data)
    assert storage.get(name) == data


def test_directory_in_place_of_an_object_is_refused(folder: Path) -> None:
    storage = LocalFolder(folder)
    name = hashlib.sha256(b"data").digest()
    place(folder, name).mkdir(parents=True)
    for use in (lambda: storage.get(name), lambda: storage.put(b"data"), lambda: storage.unpin(name)):
        with pytest.raises(StorageError, match=name.hex()):
            use()
    assert files(folder) == []


def test_crash_before_the_rename_leaves_nothing_to_read(folder: Path) -> None:
    data = b"half" * 100
    name = hashlib.sha256(data).digest()
    crash = "os.replace = lambda *_: os._exit(9)\nLocalFolder(Path(sys.argv[1])).put(b'half' * 100)"
    assert python(crash, folder).wait(30) == 9
    assert len(files(folder)) == 1, "the process died with its temporary file written"
    storage = LocalFolder(folder)
    assert not storage.has(name)
    with pytest.raises(StorageError, match=name.hex()):
        storage.get(name)
    storage.put(data)
    assert storage.get(name) == data


def test_bytes_and_directory_reach_the_disk_around_the_rename(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalFolder(folder)
    steps: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        steps.append(("fsync", path.rpartition("/")[2][:9]))
        fsync(descriptor)

    def spy_replace(source: str, target: Path) -> None:
        steps.append(("rename", Path(source).name[:9]))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    name = storage.put(b"durable")
    shard = name.hex()[:2]
    assert steps == [("fsync", "objects"), ("fsync", ".partial-"), ("rename", ".partial-"), ("fsync", shard)]


def test_full_disk_is_an_error_and_leaves_nothing(folder: Path) -> None:
    script = """
from fedvol.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
storage = LocalFolder(Path(sys.argv[1]))
for use in (lambda: storage.put(bytes(5000)), storage.check):
    try:
        use()
    except StorageError as error:
        print(error.message)
storage.put(bytes(900))
"""
    process = python(script, folder)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output.count("File too large") == 2
    assert hashlib.sha256(bytes(5000)).hexdigest() in output
    assert [path.name for path in files(folder)] == [hashlib.sha256(bytes(900)).hexdigest()]


def test_processes_that_write_the_same_objects_agree(folder: Path) -> None:
    script = """
storage = LocalFolder(Path(sys.argv[1]))
for round in range(3):
    for i in range(60):
        name = storage.put(i.to_bytes(2, "big") * 4000)
        if round == 1 and sys.argv[2] == "unpins":
            storage.unpin(name)
"""
    writers = [python(script, folder, role) for role in ("keeps", "unpins")]
    storage = LocalFolder(folder)
    objects = {hashlib.sha256(data).digest(): data for data in (i.to_bytes(2, "big") * 4000 for i in range(60))}
    seen = 0
    while any(writer.poll() is None for writer in writers):
        for name, data in objects.items():
            # An object may come and go; what must never be seen is a part of it.
            try:
                found = storage.get(name)
            except StorageError as error:
                if "is not in" not in error.message:
                    raise
            else:
                assert found == data
                seen += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen
    assert all(storage.get(name) == data for name, data in objects.items())
    assert len(files(folder)) == len(objects)


@pytest.mark.parametrize("path", ["file", "file/below", "nowhere/below"])
def test_unusable_folder_is_an_error_with_a_hint(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    storage = LocalFolder(tmp_path / path)
    for use in (storage.check, lambda: storage.put(b"data"), lambda: storage.get(bytes(32))):
        with pytest.raises(StorageError, match=path) as caught:
            use()
        assert "Check" in caught.value.hint
    assert not storage.has(bytes(32))
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_other_users_of_the_folder_may_read_and_add(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o2775)
    before = os.umask(0o077)
    try:
        name = LocalFolder(folder).put(b"data")
    finally:
        os.umask(before)
    assert stat.S_IMODE(place(folder, name).parent.stat().st_mode) == 0o2775
    assert stat.S_IMODE(place(folder, name).stat().st_mode) == 0o444


def test_check_leaves_no_trace(folder: Path) -> None:
    LocalFolder(folder).check()
    assert files(folder) == []
