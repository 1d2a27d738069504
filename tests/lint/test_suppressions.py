"""Comments that take findings back: which findings, which comments are complained about, and in both forms."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nnspec.checker import Report, check_path, check_source, parse
from nnspec.diagnostics import Diagnostic, Source
from nnspec.lint import suppressions
from nnspec.syntax import tree
from nnspec.syntax.node import same_tree
from nnspec.syntax.yaml_writer import write_yaml


def checked(text: str, name: str = "spec.nn") -> Report:
    return check_source(Source(name, text))


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.diagnostics]


def taken(report: Report) -> list[tuple[str, str]]:
    return [(each.finding.code, each.reason) for each in report.suppressed]


def mended(text: str, findings: tuple[Diagnostic, ...], name: str = "spec.nn") -> str:
    """The text after the fixes of these findings."""
    edits = {
        (edit.span.start, edit.span.end, edit.replacement) for finding in findings if finding.fix for edit in finding.fix.edits
    }
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


#: A network with two values that nothing uses, on the third and fourth line of its body.
IDLE = """network Example {{
  input x: float32[N, 8]
  first = relu(x){first}
  second = tanh(x){second}
  output y = x -> Linear(4)
}}
"""
WHY = "# nnspec: ignore[NN601]: kept to compare"


def idle(first: str = "", second: str = "") -> str:
    return IDLE.format(first=first, second=second)


# --- which findings are taken back ------------------------------------------------------------------------------------------------


def test_without_a_comment_both_are_told() -> None:
    assert codes(checked(idle())) == ["NN601", "NN601"]


def test_at_the_end_of_a_line_it_speaks_of_this_line() -> None:
    report = checked(idle(first=f"  {WHY}"))
    assert codes(report) == ["NN601"]
    assert report.diagnostics[0].span.text == "second"
    assert taken(report) == [("NN601", "kept to compare")]


def test_at_the_end_it_speaks_of_what_begins_on_the_line_and_of_what_ends_there() -> None:
    text = idle().replace("first = relu(x)", f"first = x  {WHY}\n    -> relu")
    assert codes(checked(text)) == ["NN601"]
    text = idle().replace("first = relu(x)", f"first = x\n    -> relu  {WHY}")
    assert codes(checked(text)) == ["NN601"]
    text = idle().replace("first = relu(x)", f"first = x\n    -> relu  {WHY}\n    -> tanh")
    assert codes(checked(text)) == ["NN601", "NN801", "NN601"]


def test_the_same_comment_may_stand_at_several_places() -> None:
    text = idle().replace("first = relu(x)", f"first = x  {WHY}\n    -> relu")
    text = text.replace("second = tanh(x)", f"{WHY}\n  second = x  {WHY}\n    -> tanh")
    assert codes(checked(text)) == ["NN801"]
    both = text + text.replace("Example", "Other")
    assert codes(checked(both)) == ["NN801", "NN801"]


def test_at_the_head_of_an_item_it_speaks_of_the_head() -> None:
    text = "network Example(mix: float = 0.5,\n    width: int = 4) {  # nnspec: ignore[NN604]: for later\n"
    text += "  input x: float32[N, 8]\n  output y = x -> Linear(4)\n}\n"
    report = checked(text)
    assert codes(report) == []
    assert [each.finding.span.text for each in report.suppressed] == ["mix", "width"]
    assert codes(checked(idle().replace("{", f"{{  {WHY}", 1))) == ["NN801", "NN601", "NN601"]


def test_at_the_head_of_an_item_in_yaml() -> None:
    text = "network Example:  # nnspec: ignore[NN604]: for later\n  params: {mix: float = 0.5, width: int = 4}\n"
    text += "  input x: float32[N, 8]\n  output y: [x, {Linear: 4}]\n"
    assert codes(checked(text, "spec.yaml")) == []


def test_behind_the_end_of_an_item_it_speaks_of_all_of_it() -> None:
    assert codes(checked(idle().rstrip("\n") + f"  {WHY}\n")) == []


def test_on_a_line_of_its_own_it_speaks_of_the_statement_below() -> None:
    report = checked(idle().replace("  first =", f"  {WHY}\n  first ="))
    assert [each.finding.span.text for each in report.suppressed] == ["first"]
    assert codes(report) == ["NN601"]


def test_of_a_statement_over_several_lines_it_speaks_as_a_whole() -> None:
    text = """network Example {
  input x: float32[N, 8]
  # nnspec: ignore[NN605]: dropout comes with the number of layers
  h = unsqueeze(x, 1)
    -> LSTM(16,
      dropout=0.5)
  output y = h
}
"""
    report = checked(text)
    assert taken(report) == [("NN605", "dropout comes with the number of layers")]
    assert codes(report) == []


def test_above_an_item_it_speaks_of_all_of_it() -> None:
    report = checked(f"{WHY}\n{idle()}")
    assert codes(report) == []
    assert len(report.suppressed) == 2


def test_above_an_item_it_does_not_speak_of_the_next_one() -> None:
    other = idle().replace("Example", "Other")
    assert codes(checked(f"{WHY}\n{idle()}{other}")) == ["NN601", "NN601"]


def test_other_comments_and_blank_lines_may_stand_between() -> None:
    text = idle().replace("  first =", f"  {WHY}\n\n  # a note\n  first =")
    assert len(checked(text).suppressed) == 1


def test_within_a_chain_it_speaks_of_the_step_below() -> None:
    text = """network Example {
  input x: float32[N, 3, 8]
  h = x
    # nnspec: ignore[NN605]: dropout comes with the number of layers
    -> LSTM(16,
      dropout=0.5)
    -> LSTM(8, dropout=0.5)
  output y = h
}
"""
    report = checked(text)
    assert [each.finding.span.line for each in report.suppressed] == [6]
    assert codes(report) == ["NN605"]


def test_for_the_whole_file() -> None:
    report = checked(f"{idle()}# nnspec: ignore-file[NN601]: an exercise\n")
    assert codes(report) == []
    assert len(report.suppressed) == 2


def test_several_codes_and_names_in_one_comment() -> None:
    text = """network Example {
  input x: float32[N, 3, 8]
  h = x -> LSTM(16, dropout=0.5)  # nnspec: ignore[unused-binding, nn605 ,]: an exercise
  output y = x
}
"""
    report = checked(text)
    assert sorted(code for code, _ in taken(report)) == ["NN601", "NN605"]
    assert codes(report) == ["NN802"]  # the comma at the end


def test_a_name_stands_for_its_code() -> None:
    assert codes(checked(idle(first="  # nnspec: ignore[unused-binding]: kept"))) == ["NN601"]


def test_behind_another_comment() -> None:
    assert codes(checked(idle(first=f"  # half of it  {WHY}"))) == ["NN601"]


def test_a_comment_may_be_written_without_blanks() -> None:
    assert taken(checked(idle(first="  #nnspec:ignore[NN601]:kept"))) == [("NN601", "kept")]
    assert taken(checked(idle(first=WHY))) == [("NN601", "kept to compare")]


def test_of_two_that_reach_a_finding_the_first_counts() -> None:
    report = checked(f"# nnspec: ignore-file[NN601]: an exercise\n{idle(first=f'  {WHY}')}")
    assert codes(report) == ["NN801"]
    assert report.diagnostics[0].span.line == 4
    assert {reason for _, reason in taken(report)} == {"an exercise"}


def test_each_line_can_have_its_own() -> None:
    report = checked(idle(first=f"  {WHY}", second="  # nnspec: ignore[NN601]: for later"))
    assert codes(report) == []
    assert taken(report) == [("NN601", "kept to compare"), ("NN601", "for later")]


def test_an_error_cannot_be_taken_back() -> None:
    text = idle().replace("Linear(4)", "Linaer(4)  # nnspec: ignore[NN103]: a joke")
    assert sorted(codes(checked(text))) == ["NN103", "NN802"]


def test_a_finding_that_is_raised_to_an_error_is_not_taken_back() -> None:
    text = """network Small {
  input x: float32[N, 4]
  output y = x -> Linear(8, bias=false) -> BatchNorm1d -> ReLU -> Linear(3)
}
train Small {
  data iris = Iris()
  y = Small(iris.x)
  minimize cross_entropy(y, iris.label)
  optimizer SGD(lr=0.1)
  batch_size 1  # nnspec: ignore[NN409]: small
  epochs 3
}
"""
    report = checked(text)
    assert codes(report) == ["NN409"]
    assert report.diagnostics[0].severity == "error"


# --- comments that take nothing back ----------------------------------------------------------------------------------------------


def test_a_comment_without_a_finding_is_told_and_can_go() -> None:
    text = "network Example {\n  input x: float32[N, 8]\n  output y = x -> Linear(4)  # nnspec: ignore[NN601]: old\n}\n"
    report = checked(text)
    assert codes(report) == ["NN801"]
    assert report.diagnostics[0].span.text == "NN601"
    assert mended(text, report.diagnostics) == text.replace("  # nnspec: ignore[NN601]: old", "")


def test_on_its_own_line_it_goes_with_the_line() -> None:
    text = f"network Example {{\n  input x: float32[N, 8]\n  {WHY}\n  output y = x -> Linear(4)\n}}\n"
    report = checked(text)
    assert codes(report) == ["NN801"]
    assert mended(text, report.diagnostics) == text.replace(f"  {WHY}\n", "")


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("[NN601, NN605]", "[NN601]"),
        ("[NN605, NN601]", "[NN601]"),
        ("[NN605 , NN601]", "[NN601]"),
        ("[NN601,NN605]", "[NN601]"),
        ("[NN605,NN601,NN630]", "[NN601]"),
        ("[NN601, NN601]", "[NN601]"),
    ],
)
def test_of_several_codes_the_idle_ones_go(written: str, left: str) -> None:
    text = idle(first=f"  # nnspec: ignore{written}: kept", second=f"  {WHY}")
    report = checked(text)
    assert set(codes(report)) == {"NN801"}
    after = mended(text, report.diagnostics)
    assert f"ignore{left}: kept" in after
    assert codes(checked(after)) == []


def test_both_codes_of_a_comment_go_with_it() -> None:
    text = "network Example {\n  input x: float32[N, 8]\n  output y = x -> Linear(4)  # nnspec: ignore[NN601, NN605]: old\n}\n"
    report = checked(text)
    assert codes(report) == ["NN801", "NN801"]
    assert codes(checked(mended(text, report.diagnostics))) == []


def test_nothing_is_called_idle_where_there_are_errors() -> None:
    text = "network Example {\n  input x: float32[N, 8]\n  output y = x -> Linaer(4)  # nnspec: ignore[NN601]: old\n}\n"
    assert codes(checked(text)) == ["NN103"]


def test_a_rule_that_is_off_is_not_missed() -> None:
    text = idle(second=f"  {WHY}").replace("relu(x)", "relu(x)  # nnspec: ignore[NN601, NN627]: narrow on purpose")
    assert codes(checked(text)) == []


def test_in_a_block_that_nothing_uses_here_nothing_is_missed() -> None:
    block = (
        "block Part {\n  input x: float32[N, C]\n  h = relu(x)  # nnspec: ignore[NN601]: for others\n  output x -> Linear(4)\n}\n"
    )
    assert codes(checked(block)) == []
    network = "network Whole {\n  input x: float32[N, 4]\n  output y = x -> Part\n}\n"
    assert codes(checked(block + network)) == []
    assert codes(checked(block.replace("  h = relu(x)", "  _h = relu(x)") + network)) == ["NN801"]


def test_in_a_recipe_that_is_not_run_yet_nothing_is_missed() -> None:
    text = """network Small {
  input x: float32[N, 4]
  output y = x -> Linear(3)
}
train Small {
  data iris = Iris()
  y = Small(iris.x)
  data more = TUDataset("PROTEINS")
  minimize cross_entropy(y, iris.label)  # nnspec: ignore[NN602]: for later
  optimizer SGD(lr=0.1)
  epochs 3
}
"""
    assert codes(checked(text)) == ["NN901"]


# --- comments that cannot be read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comment", "said", "place"),
    [
        ("# nnspec: ignore", "does not say which", "# nnspec: ignore"),
        ("# nnspec: ignore NN601: because", "does not say which", "# nnspec: ignore NN601: because"),
        ("# nnspec: ignore[NN601]", "does not say why", "# nnspec: ignore[NN601]"),
        ("# nnspec: ignore[NN601]:", "does not say why", "# nnspec: ignore[NN601]:"),
        ("# nnspec: ignore[NN601] because", "does not say why", "# nnspec: ignore[NN601] because"),
        ("# nnspec: ignore[]: because", "a code is missing", "# nnspec: ignore[]: because"),
        ("# nnspec: ignore[NN699]: because", "no finding has the code", "NN699"),
        ("# nnspec: ignore[unused-bindin]: because", "no finding has the code", "unused-bindin"),
        ("# nnspec: ignore[NN201]: because", "is an error", "NN201"),
        ("# nnspec: ignored[NN601]: because", "no comment can ask for `ignored`", "ignored"),
        ("# nnspec: disable[NN601]: because", "no comment can ask for `disable`", "disable"),
        ("# nnspec:", "does not say what", "# nnspec:"),
    ],
)
def test_a_comment_that_says_too_little_is_told(comment: str, said: str, place: str) -> None:
    report = checked(idle(first=f"  {comment}", second=f"  {WHY}"))
    assert codes(report) in (["NN601", "NN802"], ["NN802", "NN601"])
    finding = next(each for each in report.diagnostics if each.code == "NN802")
    assert said in finding.message
    assert finding.span.text == place


def test_a_similar_code_is_offered() -> None:
    text = idle(first="  # nnspec: ignore[unused-bindin]: because", second=f"  {WHY}")
    after = mended(text, tuple(each for each in checked(text).diagnostics if each.code == "NN802"))
    assert codes(checked(after)) == []


# --- what is no such comment ------------------------------------------------------------------------------------------------------


def test_within_a_string_it_is_text() -> None:
    text = f"""network Example {{
  input x: float32[N, 8] where N >= 1, "{WHY}"
  first = relu(x)
  output y = x -> Linear(4)  {WHY}
}}
"""
    report = checked(text)
    assert codes(report) == ["NN601", "NN801"]
    assert report.diagnostics[1].span.line == 4


def test_in_prose_it_is_quoted() -> None:
    assert codes(checked(f"# write `{WHY}` at the end of a line\n{idle()}")) == ["NN601", "NN601"]


def test_signs_of_any_kind_may_stand_before_it() -> None:
    text = f"# Größe: 8 \U0001f40e naïve ſ\n{idle(first=f'  # ✓ über  {WHY}')}"
    report = checked(text)
    assert codes(report) == ["NN601"]
    assert [each.finding.span.text for each in report.suppressed] == ["first"]


def test_lines_may_end_as_on_windows() -> None:
    text = idle(first=f"  {WHY}", second="  # nnspec: ignore[NN605]: old").replace("\n", "\r\n")
    report = checked(text)
    assert codes(report) == ["NN601", "NN801"]
    assert taken(report) == [("NN601", "kept to compare")]
    after = mended(text, tuple(each for each in report.diagnostics if each.code == "NN801"))
    assert after == text.replace("  # nnspec: ignore[NN605]: old", "")
    own_line = f"{WHY}\r\n" + "network A {\r\n  input x: float32[N, 8]\r\n  output y = x\r\n}\r\n"
    report = checked(own_line)
    assert codes(report) == ["NN801"]
    assert mended(own_line, report.diagnostics) == own_line.removeprefix(f"{WHY}\r\n")


def test_at_the_end_of_a_text_without_a_last_line_break() -> None:
    text = idle().rstrip("\n") + "  # nnspec: ignore-file[NN601]: an exercise"
    assert codes(checked(text)) == []
    assert codes(checked(idle().rstrip("\n") + f"\n{WHY}")) == ["NN601", "NN601", "NN801"]


# --- the other form ---------------------------------------------------------------------------------------------------------------

YAML = """network Example:
  input x: float32[N, 8]
  first: relu(x){first}
  second:{second}
    - x
    - Tanh
  output y: [x, {{Linear: 4}}]
"""


def test_in_yaml_at_the_end_and_above() -> None:
    text = YAML.format(first=f"  {WHY}", second="")
    report = checked(text, "spec.yaml")
    assert codes(report) == ["NN601"]
    above = YAML.format(first="", second="").replace("  second:", f"  {WHY}\n  second:")
    report = checked(above, "spec.yaml")
    assert [each.finding.span.text for each in report.suppressed] == ["second"]
    assert codes(checked(f"{WHY}\n" + YAML.format(first="", second=""), "spec.yaml")) == []


def test_in_yaml_a_comment_above_the_first_statement_speaks_of_it_alone() -> None:
    text = YAML.format(first="", second="").replace("  input x: float32[N, 8]\n", "", 1)
    text = text.replace("network Example:\n", f"network Example:\n  {WHY}\n  first: relu(x)\n  input x: float32[N, 8]\n", 1)
    text = text.replace("  first: relu(x)\n  second", "  second", 1).replace("  first: relu(x)\n  input x: float32[N, 8]\n",
        "  input x: float32[N, 8]\n")  # fmt: skip
    report = checked(text, "spec.yaml")
    assert codes(report) == ["NN801", "NN601"]


def test_in_yaml_within_a_string_it_is_text() -> None:
    text = YAML.format(first="", second="").replace(
        "input x: float32[N, 8]", f'input x:\n    type: "float32[N, 8]"\n    where: \'N >= 1, "{WHY}"\''
    )
    assert codes(checked(text, "spec.yaml")) == ["NN601", "NN601"]


def test_above_an_item_it_stays_a_comment_in_the_other_form() -> None:
    """What stands above an item is its documentation, `doc` in YAML, unless it speaks to nnspec."""
    text = f"# Reads digits.\n{WHY}\n{idle()}"
    file, _ = parse(Source("spec.nn", text))
    written = write_yaml(file)
    assert "doc:" not in written
    assert codes(checked(written, "spec.yaml")) == []
    again, _ = parse(Source("spec.yaml", written))
    assert same_tree(file, again, comments=True)
    plain, _ = parse(Source("spec.nn", f"# Reads digits.\n{idle()}"))
    assert "doc: Reads digits." in write_yaml(plain)


# --- files that a spec uses -------------------------------------------------------------------------------------------------------


def test_in_a_used_file_comments_count_and_are_not_complained_about(tmp_path: Path) -> None:
    (tmp_path / "nnspec.toml").touch()
    part = """block Part {
  input x: float32[N, 3, 8]
  output x -> LSTM(16, dropout=0.5)  # nnspec: ignore[NN605]: comes with the number of layers
}
block Idle {
  input x: float32[N, 8]
  output x -> Linear(4)  # nnspec: ignore[NN601, NN699]
}
"""
    (tmp_path / "part.nn").write_text(part)
    (tmp_path / "whole.nn").write_text(
        'use Part from "part.nn"\nnetwork Whole {\n  input x: float32[N, 3, 8]\n  output y = x -> Part\n}\n'
    )
    report = check_path(tmp_path / "whole.nn")
    assert codes(report) == []
    assert [code for code, _ in taken(report)] == ["NN605"]
    (tmp_path / "part.nn").write_text(part.replace("# nnspec", "# not"))
    assert codes(check_path(tmp_path / "whole.nn")) == ["NN605"]


def test_a_comment_in_the_spec_does_not_speak_of_a_used_file(tmp_path: Path) -> None:
    (tmp_path / "nnspec.toml").touch()
    (tmp_path / "part.nn").write_text("block Part {\n  input x: float32[N, 3, 8]\n  output x -> LSTM(16, dropout=0.5)\n}\n")
    (tmp_path / "whole.nn").write_text(
        '# nnspec: ignore-file[NN605]: ours\nuse Part from "part.nn"\nnetwork Whole {\n  input x: float32[N, 3, 8]\n  output y = x -> Part\n}\n'
    )
    assert sorted(codes(check_path(tmp_path / "whole.nn"))) == ["NN605", "NN801"]


# --- time -------------------------------------------------------------------------------------------------------------------------


def spread(lines: int) -> str:
    """A text with a comment that takes a finding back at each tenth line, and one above it."""
    body: list[str] = []
    for number in range(lines - 4):
        body += [f"  {WHY}"] * (number % 10 == 1)
        body.append(f"  v{number} = relu(x)" + f"  {WHY}" * (number % 10 == 0))
    return "\n".join(["network Long {", "  input x: float32[N, 8]", *body, "  output y = x", "}"]) + "\n"


def stacked(lines: int) -> str:
    """A text whose comments stand one below the other, for the whole file and for a statement."""
    comments = [f"  {WHY}", "  # nnspec: ignore-file[NN601]: all of them"] * (lines // 20)
    body = [f"  v{number} = relu(x)" for number in range(lines - lines // 10)]
    return "\n".join(["network Long {", "  input x: float32[N, 8]", *comments, *body, "  output y = x", "}"]) + "\n"


def work_of_comments(text: str) -> int:
    """How many functions are called, Python's own among them, to read the comments of a text and to answer findings on all its names."""
    file, _ = parse(Source("spec.nn", text))
    (item,) = file.items
    assert isinstance(item, tree.Item)
    assert isinstance(item.body, tree.Body)
    findings = [Diagnostic("NN601", "unused", name.span) for statement in item.body.statements for name in statement.names]
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        found, _ = suppressions._read(file)
        answered = suppressions._answered(findings, found)
    finally:
        sys.setprofile(None)
    assert answered
    return calls


@pytest.mark.parametrize("text", [spread, stacked])
def test_the_work_grows_with_the_text_and_not_with_its_square(text: Callable[[int], str]) -> None:
    short, long = work_of_comments(text(1_250)), work_of_comments(text(5_000))
    assert long < 5 * short  # four times the text
