"""Where data is looked for, and downloads from a server on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nnspec.data import DataError
from nnspec.data.location import Lookup, cache_folder, fetch

pytestmark = pytest.mark.torch

CONTENT = bytes(range(256)) * 5_000
RIGHT = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        Handler.asked.append(kind)
        if kind == "error":
            self.send_error(500, "the server is tired")
        elif kind == "missing":
            self.send_error(404, "gone")
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write({"good": CONTENT, "wrong": CONTENT[:-1] + b"x", "cut": CONTENT[:1000]}[kind])

    def log_message(self, format: str, *args: object) -> None: ...

    asked: list[str] = []  # noqa: RUF012


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NNSPEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NNSPEC_DATA", raising=False)
    return tmp_path / "cache"


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.rglob("*") if each.is_file())


def test_a_good_file_is_downloaded_once(server: str, cache: Path) -> None:
    told: list[str] = []
    for _ in range(2):
        found = fetch(("set",), "a.gz", RIGHT, [f"{server}/good"], told.append)
        assert found == cache / "set" / "a.gz"
        assert found.read_bytes() == CONTENT
    assert Handler.asked == ["good"]
    assert told == [f"downloading {server}/good/a.gz"]
    assert names(cache) == ["a.gz"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("wrong", "is not the file that was published"),
        ("cut", "is not the file that was published"),
        ("error", "the server is tired"),
        ("missing", "gone"),
    ],
)
def test_a_bad_file_leaves_nothing_behind(server: str, cache: Path, kind: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as found:
        fetch(("set",), "a.gz", RIGHT, [f"{server}/{kind}"])
    assert "set NNSPEC_DATA to a folder with set/a.gz" in str(found.value)
    assert names(cache) == []


def test_the_next_mirror_is_tried(server: str, cache: Path) -> None:
    mirrors = [f"{server}/error", "http://127.0.0.1:1/nobody", f"{server}/wrong", f"{server}/good"]
    assert fetch(("set",), "a.gz", RIGHT, mirrors).read_bytes() == CONTENT
    assert Handler.asked == ["error", "wrong", "good"]
    assert names(cache) == ["a.gz"]


def test_a_file_that_changed_in_the_cache(server: str, cache: Path) -> None:
    (cache / "set").mkdir(parents=True)
    (cache / "set" / "a.gz").write_bytes(b"other")
    with pytest.raises(DataError, match=r"delete .*a.gz, and it is downloaded again"):
        fetch(("set",), "a.gz", RIGHT, [f"{server}/good"])
    assert Handler.asked == []


def test_the_data_folder_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "other").mkdir(parents=True)
    (tmp_path / "data" / "other" / "a").write_bytes(b"own")
    monkeypatch.setenv("NNSPEC_DATA", str(tmp_path / "data"))
    assert fetch(("set", "other"), "a.gz", RIGHT, []).read_bytes() == b"own"


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NNSPEC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "nnspec" / "data"


def test_paths_are_taken_from_the_spec_then_from_the_data_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, first, second = (tmp_path / name for name in ("spec", "first", "second"))
    for folder in (spec, first, second):
        folder.mkdir()
    monkeypatch.setenv("NNSPEC_DATA", f"{first}:{second}")
    (second / "t.csv").write_text("second")
    assert Lookup((spec,)).find("t.csv") == second / "t.csv"
    (first / "t.csv").write_text("first")
    assert Lookup((spec,)).find("t.csv") == first / "t.csv"
    (spec / "t.csv").write_text("spec")
    assert Lookup((spec,)).find("t.csv") == spec / "t.csv"


def test_paths_that_leave_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "spec"
    inside.mkdir()
    (tmp_path / "secret.csv").write_text("secret")
    (inside / "link.csv").symlink_to(tmp_path / "secret.csv")
    lookup = Lookup((inside,))
    with pytest.raises(DataError, match="leads out of the folder"):
        lookup.find("../secret.csv")
    with pytest.raises(DataError, match="leads out of the folder"):
        lookup.find("link.csv")
    with pytest.raises(DataError, match="is an absolute path"):
        lookup.find(str(tmp_path / "secret.csv"))
    with pytest.raises(DataError, match="is not a path"):
        lookup.find("a\0b")
    with pytest.raises(DataError, match="is not there"):
        lookup.find("nothing.csv")
    monkeypatch.setenv("NNSPEC_DATA", str(tmp_path))
    assert lookup.find("secret.csv") == tmp_path / "secret.csv"
