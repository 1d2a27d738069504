"""Texts that ask for more than they may have: each is a mistake, so each has to end as a finding, soon and in little memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

#: A name, and the files by name; the first is the one that is checked.
Files = dict[str, bytes]

HEAD = "network A {\n  input x: float32[N, 8]\n  "
IMAGE = "network A {\n  input x: float32[N, 3, H, W]\n  "


def nn(text: str) -> Files:
    return {"hostile.nn": text.encode()}


def yaml(text: str) -> Files:
    return {"hostile.yaml": text.encode()}


def _noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def _letters(seed: int, size: int) -> str:
    return "".join(random.Random(seed).choices("(){}[]<>:=->,.#\"'\\\n\t +*/%@ abNH019_!&|-?", k=size))


def _brackets() -> Iterator[tuple[str, Files]]:
    for name, opening in (("[", "["), ("(", "("), ("{", "{")):
        yield f"60 kB of `{name}` (.nn)", nn(opening * 60_000)
        yield f"60 kB of `{name}` (YAML)", yaml(opening * 60_000)
        yield f"60 kB of `{name}` in an output", nn(HEAD + "output x -> Linear(" + opening * 60_000)
    yield "60 kB of `[` in a type", nn("network A { input x: float32" + "[" * 60_000)
    yield "60 kB of `]`", nn("]" * 60_000)
    yield "60 kB of `[` in a YAML value", yaml("network A:\n  output: " + "[" * 60_000)
    yield "60 kB of `- `", yaml("- " * 30_000)
    yield "60 kB of `? `", yaml("? " * 30_000)
    yield "60 kB of `a: `", yaml("a: " * 20_000)


def _nesting() -> Iterator[tuple[str, Files]]:
    deep = "(" * 10_000 + "x" + ")" * 10_000
    yield "10,000 nested parentheses (.nn)", nn(HEAD + f"output {deep}\n}}")
    yield "10,000 nested parentheses (YAML)", yaml(f"network A:\n  input x: float32[N, 8]\n  output: {deep}\n")
    yield "10,000 nested lists", nn("network A(n: int = " + "[" * 10_000 + "]" * 10_000 + ") { output 1 }")
    yield "10,000 nested lists (YAML)", yaml("network A:\n  output: " + "[" * 10_000 + "]" * 10_000 + "\n")
    yield "10,000 nested calls", nn(HEAD + "output " + "relu(" * 10_000 + "x" + ")" * 10_000 + "\n}")
    yield "10,000 nested `repeat`", nn(HEAD + "output x -> " + "repeat 2 { " * 10_000 + "ReLU" + " }" * 10_000 + "\n}")
    yield "60 nested `repeat 2`", nn(HEAD + "output x -> " + "repeat 2 { " * 60 + "ReLU" + " }" * 60 + "\n}")
    yield "10,000 nested `if`", nn(HEAD + "output " + "if true then x else " * 10_000 + "x\n}")
    yield "10,000 minus signs", nn(HEAD + "output " + "-" * 10_000 + "x\n}")
    yield "10,000 times `not`", nn(HEAD + "output " + "not " * 10_000 + "x\n}")
    yield "10,000 powers", nn(HEAD + "output x" + " ** 1" * 10_000 + "\n}")
    yield "10,000 levels of YAML", yaml("\n".join(" " * depth + "a:" for depth in range(1_000)) + "\n" + "- " * 10_000)
    yield "10,000 bodies", nn("network A { " + "step s { " * 10_000)


def _copies() -> Iterator[tuple[str, Files]]:
    yield "`repeat 1_000_000_000`", nn(HEAD + "output x -> repeat 1_000_000_000 { Linear(8) }\n}")
    yield (
        "`repeat 1_000_000_000` (YAML)",
        yaml("network A:\n  input x: float32[N, 8]\n  output: [x, {repeat: 1_000_000_000, do: [{Linear: 8}]}]\n"),
    )
    yield "`repeat` 10,000 x 10,000", nn(HEAD + "output x -> repeat 10_000 { repeat 10_000 { Linear(8) } }\n}")
    yield (
        "`repeat` 10,000 x 10,000, of nothing",
        nn(HEAD + "output x -> repeat 10_000 { repeat 10_000 { if false { ReLU } } }\n}"),
    )
    yield "`repeat i in range(10 ** 9)`", nn(HEAD + "output x -> repeat i in range(10 ** 9) { Linear(i) }\n}")
    yield "a list of 10 ** 9", nn(HEAD + "a = [i for i in range(10 ** 9)]\n  output x\n}")
    yield "a list of lists, 10,000 x 10,000", nn(HEAD + "a = [[j for j in range(10_000)] for i in range(10_000)]\n  output x\n}")
    yield (
        "lists that double 60 times",
        nn(HEAD + "\n  ".join(["a0 = [1, 2]", *(f"a{i + 1} = a{i} + a{i}" for i in range(60))]) + "\n  output x\n}"),
    )
    yield "a concat of 10 ** 9", nn(HEAD + "output concat([x -> Linear(8) for i in range(10 ** 9)], dim=1)\n}")
    yield (
        "a block that calls itself for ever",
        nn("block B(n: int) {\n  input x: float32[N, 8]\n  output x -> B(n + 1)\n}\n" + HEAD + "output x -> B(0)\n}"),
    )
    yield "a block that calls itself twice", nn(
        "block B(n: int) {\n  input x: float32[N, 8]\n  output if n == 0 then x else (x -> B(n - 1)) + (x -> B(n - 1))\n}\n"
        + HEAD + "output x -> B(60)\n}"
    )  # fmt: skip
    yield "two blocks that call one another", nn(
        "block B {\n  input x: float32[N, 8]\n  output x -> C\n}\nblock C {\n  input x: float32[N, 8]\n  output x -> B\n}\n"
        + HEAD + "output x -> B\n}"
    )  # fmt: skip
    yield "a chain of 60 blocks, each twice the one before", nn(
        "block B0 {\n  input x: float32[N, 8]\n  output x -> ReLU\n}\n"
        + "".join(f"block B{i + 1} {{\n  input x: float32[N, 8]\n  output x -> B{i} -> B{i}\n}}\n" for i in range(60))
        + HEAD + "output x -> B60\n}"
    )  # fmt: skip
    yield "a chain of 25 blocks, each twice the one before", nn(
        "block B0 {\n  input x: float32[N, 8]\n  output x\n}\n"
        + "".join(f"block B{i + 1} {{\n  input x: float32[N, 8]\n  output x -> B{i} -> B{i}\n}}\n" for i in range(25))
        + HEAD + "output x -> B25\n}"
    )  # fmt: skip
    yield "a network that is its own variant", nn("network A = A()\nnetwork B = C()\nnetwork C = B()\n")
    yield (
        "a maker given to itself",
        nn("block B(M: block) {\n  input x: float32[N, 8]\n  output x -> M(M=M)\n}\n" + HEAD + "output x -> B(M=B)\n}"),
    )


def _numbers() -> Iterator[tuple[str, Files]]:
    digits = "7" * 5_000
    yield "a number of 5,000 digits", nn(HEAD + f"output x -> Linear({digits})\n}}")
    yield "a number of 5,000 digits (YAML)", yaml(f"network A:\n  input x: float32[N, 8]\n  output: [x, {{Linear: {digits}}}]\n")
    yield "a number of 5,000 digits as YAML's `params`", yaml(f"network A:\n  params: {{n: int = {digits}}}\n  output: 1\n")
    yield "a fraction of 5,000 digits", nn(HEAD + f"output x -> Dropout(0.{digits}e{digits})\n}}")
    yield "`1e999999`", nn(HEAD + "output x -> Dropout(1e999999)\n}")
    for power in ("2 ** 10 ** 10", "9 ** 9 ** 9 ** 9", "10 ** 1_000_000", "(-3) ** 10 ** 9", "2.0 ** 10 ** 10", "0 ** -1"):
        yield f"`{power}`", nn(HEAD + f"output x -> Linear({power})\n}}")
    yield "`N ** 10 ** 9` as a size", nn("network A {\n  input x: float32[N, N ** 1_000_000_000]\n  output x\n}")
    yield "`(N + H + W) ** 200`", nn(IMAGE + "output ones[(N + H + W) ** 200]\n}")
    yield (
        "squares of squares, 60 times",
        nn(HEAD + "\n  ".join(["a0 = 10", *(f"a{i + 1} = a{i} * a{i}" for i in range(60))]) + "\n  output x -> Linear(a60)\n}"),
    )
    yield (
        "squares of sums of sizes, 30 times",
        nn(IMAGE + "\n  ".join(["a0 = H + W", *(f"a{i + 1} = a{i} * a{i} + N" for i in range(30))]) + "\n  output zeros[a30]\n}"),
    )
    yield "halved 5,000 times", nn(IMAGE + "output x -> repeat 5_000 { MaxPool2d(2) }\n}")
    yield (
        "28 pixels halved 5,000 times",
        nn("network A {\n  input x: float32[N, 3, 28, 28]\n  output x -> repeat 5_000 { MaxPool2d(2) }\n}"),
    )
    yield (
        "doubled 20,000 times, and wrong",
        nn(
            "network A {\n  input x: float32[N, 3, 28, 28]\n  output y: float32[N, 3, 1, 1] = x -> repeat 9_000 { Upsample(scale_factor=2) }\n}"
        ),
    )
    yield "divided by zero", nn(HEAD + "output x -> Linear(8 // 0) -> Linear(8 % 0) -> Linear(8 / 0)\n}")


def _yaml() -> Iterator[tuple[str, Files]]:
    yield "duplicate keys", yaml("network A:\n  input x: float32[N, 8]\n  output: x\nnetwork A:\n  output: 1\n")
    yield "10,000 duplicate keys", yaml("network A:\n" + "  h: 1\n" * 10_000)
    yield "`!!python/object/apply`", yaml('network A: !!python/object/apply:os.system ["echo hostile"]\n')
    yield "`!!python/name`", yaml("!!python/name:os.system x: 1\n")
    yield "`!include /etc/passwd`", yaml("network A: !include /etc/passwd\n")
    laughs = "a0: &a0 [ha, ha]\n" + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(12))
    yield "a billion laughs", yaml(laughs)
    yield "laughs in merge keys", yaml("a: &a {b: 1}\n" + "".join(f"c{i}:\n  <<: *a\n" for i in range(1_000)))
    yield "a list that holds itself", yaml("network A: &a [*a]\n")
    yield "1,000 documents", yaml("---\na: 1\n" * 1_000)
    yield "a directive for tags", yaml("%TAG ! tag:yaml.org,2002:python/\n---\n!object a: 1\n")
    yield "a key of 60 kB", yaml("a" * 60_000 + ": 1\n")
    yield "a key that is a list", yaml("? [a, b]\n: 1\n")
    yield "a binary scalar", yaml("network A: !!binary aGk=\n")


def _bytes() -> Iterator[tuple[str, Files]]:
    for seed in range(3):
        noise = _noise(seed, 60_000)
        yield f"60 kB of random bytes {seed} (.nn)", {"hostile.nn": noise}
        yield f"60 kB of random bytes {seed} (YAML)", {"hostile.yaml": noise}
        yield f"60 kB of random signs {seed} (.nn)", nn(_letters(seed, 60_000))
        yield f"60 kB of random signs {seed} (YAML)", yaml(_letters(seed, 60_000))
    yield "zero bytes", {"hostile.nn": bytes(60_000)}
    yield "zero bytes (YAML)", {"hostile.yaml": bytes(60_000)}
    yield "UTF-16", {"hostile.nn": "network A { output 1 }".encode("utf-16")}
    yield "a lone surrogate", {"hostile.nn": b"network \xed\xa0\x80 { }"}
    yield "2 MB of comment", nn("#" * 2_000_000)
    yield "2 MB of spaces", nn(" " * 2_000_000 + "x")
    yield "2 MB of lines", yaml("\n" * 2_000_000 + "x")
    yield "an open text of 60 kB", nn(HEAD + 'output "' + "a{" * 30_000)
    yield "a text of 20,000 `{`", nn(HEAD + 'output x -> Linear(8) as "' + "{" * 20_000 + '"\n}')
    yield "invisible and turning letters", nn(HEAD + "out\u200bput x -> \u202eLinear(8)\n}")


def _names() -> Iterator[tuple[str, Files]]:
    yield "a name of 60 kB", nn(HEAD + "output " + "x" * 60_000 + "\n}")
    yield (
        "2,000 unknown names, all alike",
        nn(HEAD + "\n  ".join(f"name_{i} = nane_{i} + 1" for i in range(2_000)) + "\n  output x\n}"),
    )
    yield "5,000 unknown operators", nn(HEAD + "output x" + "".join(f" -> Linaer{i}(8)" for i in range(5_000)) + "\n}")
    yield "20,000 broken lines", nn(HEAD + "x -> = )\n  " * 20_000 + "\n}")
    yield "20,000 broken items", nn("network { output\n" * 20_000)
    yield "5,000 parameters that repeat", nn(f"network A({', '.join(['n: int = 1'] * 5_000)}) {{ output 1 }}")
    yield "5,000 arguments", nn(HEAD + f"output x -> Linear({', '.join(['8'] * 5_000)})\n}}")
    yield "1,000 mistakes in a repeat", nn(HEAD + "output x -> repeat 1_000 { Linear(8) -> Conv2d(8, 3) }\n}")


def _files() -> Iterator[tuple[str, Files]]:
    yield (
        "two files that use one another",
        {
            "hostile.nn": b'use B from "other.nn"\nnetwork A {\n  input x: float32[N, 8]\n  output x -> B\n}\n',
            "other.nn": b'use A from "hostile.nn"\nblock B {\n  input x: float32[N, 8]\n  output x -> A\n}\n',
        },
    )
    yield "a file that uses itself", nn('use A from "hostile.nn"\nnetwork A {\n  input x: float32[N, 8]\n  output x\n}\n')
    chain = {f"f{i}.nn": f'use B from "f{i + 1}.nn"\n'.encode() for i in range(1_000)}
    yield (
        "a chain of 1,000 files",
        {"hostile.nn": b'use B from "f0.nn"\nnetwork A {\n  input x: float32[N, 8]\n  output x -> B\n}\n'} | chain,
    )
    for path in ("/dev/zero", "/etc/passwd", "../../../../../../etc/passwd", "", ".", "a\\u0000b", "x" * 5_000, "hostile.nn/b"):
        yield f"`use` of {path[:30]!r}", nn(f'use B from "{path}"\nnetwork A {{\n  input x: float32[N, 8]\n  output x -> B\n}}\n')


def hostile_inputs() -> dict[str, Files]:
    """All of them, by name."""
    sources: tuple[Callable[[], Iterator[tuple[str, Files]]], ...] = (
        _brackets, _nesting, _copies, _numbers, _yaml, _bytes, _names, _files,
    )  # fmt: skip
    found: dict[str, Files] = {}
    for source in sources:
        for name, files in source():
            assert name not in found, name
            found[name] = files
    return found


def write_files(files: Files, folder: Path) -> Path:
    """Put an input into a folder; returns the file to check."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))
