"""From bytes to a `Source`: UTF-8 only, with a limit. Opens no file."""

from __future__ import annotations

from nnspec.diagnostics import Diagnostic, Source, Span
from nnspec.syntax.limits import SOURCE_LIMIT


def read_source(path: str, data: bytes) -> tuple[Source | None, list[Diagnostic]]:
    """The text of a file. A byte order mark is dropped. Findings: NN007 (too large), NN008 (not UTF-8); then no source."""
    if len(data) > SOURCE_LIMIT:
        return None, [too_large(Source(path, ""), len(data))]
    try:
        return Source(path, data.decode("utf-8-sig")), []
    except UnicodeDecodeError as error:
        return None, [_not_utf8(path, data, error)]


def too_large(source: Source, size: int) -> Diagnostic:
    """The finding on a text beyond `SOURCE_LIMIT`."""
    message = f"the file has {size:,} bytes, more than {SOURCE_LIMIT:,}"
    return Diagnostic("NN007", message, Span(source, 0, 0), "not read", help="split the spec, and `use` one file in the other")


def _not_utf8(path: str, data: bytes, error: UnicodeDecodeError) -> Diagnostic:
    """Points at the first byte that is wrong, in the text with such bytes replaced."""
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    readable = data[start:].decode("utf-8", "replace")
    # the decoder counts from after a byte order mark, and what precedes the first wrong byte is valid
    place = len(error.object[: error.start].decode("utf-8", "replace"))
    wrong = error.object[error.start]
    guess = None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        guess = "this looks like UTF-16: save the file as UTF-8"
    span = Span(Source(path, readable), place, place + 1)
    return Diagnostic("NN008", "the file is not UTF-8 text", span, f"byte 0x{wrong:02x}", help=guess or "save the file as UTF-8")
