"""`run --prompt` and `run --chain`: inputs by their types, answers on stdout, steps on stderr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.command_line import Called, call

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
ai model chat { provider: ollama  model: llama3:8b }
ai model other { provider: ollama  model: mistral:7b }
prompt summarise {
    model: chat
    input: { text: str, words: int = 3, tags: list[str] = [] }
    output: { title: str, words: int }
    template: "{{text}} {{words}} {{tags}}"
}
prompt say { model: chat  input: { text: str }  template: "{{text}}" }
chain both {
    input: { text: str, twice: bool = false }
    output: { answer: str, title: str }
    step say { prompt: say  input: { text: "{{input.text}}" }  output: answer }
    step again { if: "input.twice"  prompt: say  input: { text: "again" }  output: answer }
    step sum { prompt: summarise  input: { text: "{{answer}}" }  output: { title: str } }
}
chain one { output: { answer: str }  step s { model: other  prompt: "Hi"  output: answer } }
chain foreign {
    step s {
        python: |
            return 1
        output: x
    }
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "app.ai"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


def run(program: Path, *arguments: str, stdin: str = "") -> Called:
    return call("run", program, "--sandbox", *arguments, stdin=stdin, environ={})


def test_a_typed_answer_is_json(program: Path):
    done = run(program, "--prompt", "summarise", "--input", "text=a=b", "--input", 'tags=["x"]')

    assert done.code == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"title", "words"}


def test_a_text_answer_is_text(program: Path):
    done = run(program, "--prompt", "say", "--input", "text=12")

    assert (done.code, done.stdout.endswith("You wrote: 12\n")) == (0, True)


@pytest.mark.parametrize(("argument", "stdin"), [(("Hello",), ""), ((), "Hello\n")])
def test_the_one_missing_text_is_the_argument_or_what_is_piped_in(
    program: Path, argument: tuple[str, ...], stdin: str
):
    done = run(program, *argument, "--prompt", "say", stdin=stdin)

    assert done.stdout.endswith("You wrote: Hello\n")


def test_json_has_the_output_beside_the_answer(program: Path):
    done = run(program, "--prompt", "summarise", "--input", "text=x", "--json", "--stats")

    document = json.loads(done.stdout)
    assert document["output"] == json.loads(document["output_text"])
    assert (document["repaired"], document["model"]) == (False, "llama3:8b")
    assert "completion tokens" in done.stderr


def test_another_model_and_settings_may_be_chosen(program: Path):
    done = run(program, "--prompt", "say", "x", "--model", "other", "--set", "temperature=0", "--json")

    assert json.loads(done.stdout)["model"] == "mistral:7b"


def test_a_chain_shows_its_steps_on_stderr_and_its_output_on_stdout(program: Path):
    done = run(program, "--chain", "both", "--input", "text=x")

    assert set(json.loads(done.stdout)) == {"answer", "title"}
    said = [line.partition(" in ")[0] for line in done.stderr.splitlines()[1:]]
    assert sorted(line[6:] for line in said) == [
        "again: skipped",
        "say: done",
        "say: started",
        "sum: done",
        "sum: started",
    ]
    assert said[-1] == "[3/3] sum: done"


def test_a_chain_with_one_text_prints_it(program: Path):
    done = run(program, "--chain", "one")

    assert done.stdout.startswith("This is a made-up answer")


def test_a_chain_as_json_has_its_steps(program: Path):
    done = run(program, "--chain", "both", "--input", "text=x", "--input", "twice=true", "--json")

    document = json.loads(done.stdout)
    assert set(document["output"]) == {"answer", "title"}
    assert document["steps"]["again"]["tries"] == 1
    assert document["steps"]["sum"]["model"] == "llama3:8b"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--prompt", "sey"), 2, "Did you mean say?"),
        (("--chain", "bth"), 2, "declares no chain 'bth'"),
        (("--prompt", "say"), 2, "The input `text` is missing."),
        (("--prompt", "say", "--input", "text"), 2, "is not an input"),
        (("--prompt", "say", "--input", "text=x", "more"), 2, "no input for the text"),
        (("--prompt", "say", "two", "words"), 2, 'Put it in quotes: "two words"'),
        (
            ("--prompt", "summarise", "--input", "text=x", "--input", "words=many"),
            2,
            "`words` must be a whole number",
        ),
        (("--prompt", "say", "--input", "txt=x"), 2, "Did you mean `text`? It takes: text."),
        (("--chain", "one", "--input", "a=b"), 2, "There is no input `a`."),
        (("--prompt", "both"), 2, "'both' is the name of a chain."),
        (("--chain", "chat"), 2, "'chat' is the name of an ai model."),
        (("--prompt", "say", "--chain", "both"), 2, "give one of them"),
        (("--input", "a=b"), 2, "--input goes with --prompt or --chain"),
        (("--prompt", "say", "x", "--system", "y"), 2, "--system and --image do not go"),
        (("--chain", "one", "--model", "chat"), 2, "--model does not go with --chain"),
        (("--chain", "foreign"), 1, "`python`, which this version does not run"),
    ],
)
def test_wrong_calls_say_what_to_do(program: Path, arguments: tuple[str, ...], code: int, message: str):
    done = run(program, *arguments)

    assert done.code == code
    assert message in done.stderr
    assert done.stdout == ""


def test_a_failing_step_has_the_exit_code_of_what_failed_and_names_its_place(program: Path):
    refused = {"NAMEL3SS_OLLAMA_BASE_URL": "http://127.0.0.1:9"}
    text = program.read_text(encoding="utf-8").replace(
        "llama3:8b }", 'llama3:8b  config: { base_url: "http://127.0.0.1:9"  max_retries: 0 } }'
    )
    program.write_text(text, encoding="utf-8")

    done = call("run", program, "--chain", "both", "--input", "text=x", environ=refused)

    assert done.code == 3
    assert f"Step 'say' of chain 'both' ({program}:14:10) failed:" in done.stderr
    assert "Add --sandbox" in done.stderr
