"""Hypothesis strategies for texts: pieces of the language in any order, and whole declarations."""

from __future__ import annotations

from hypothesis import strategies as st

PIECES = [
    "ai model", "llm", "prompt", "chain", "server", "gateway", "import", "page", "step s {", "step", "x", "name", "{", "}",
    "[", "]", "<", ">", ",", ":", ": ", "=", " = ", "?", "??", "|", "|\n", "\n", "\r\n", " ", "    ", "\t", "# note", " # note",
    '"', "'", '"text"', "'text'", '"a": ', "key: ", "key:", "key:\n", "env.X", "env.", "env.X ?? ", "true", "null", "1", "-1.5e3",
    "1e999", "9" * 5000, "str?", "list[", "int = 1", '"a" | "b"', "{{x}}", "{%", "\\", "\\n", "\\q", "\ufeff", "\u00a0", "日本", "\x00",
    "\ud800", "\u202e", "\x1b[31m", "llama3:8b", "http://h:1/#x", "a>b", "a>", "\n}", "\n}\n", "\nai model m {\n", "\npage p {\n",
]  # fmt: skip

pieces = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)
any_text = st.text(st.characters(), max_size=200)

names = st.sampled_from(["a", "B_1", "with-dash", "_x", "model", "config", "step", "env", "list", "true"])
plain_strings = st.text(st.sampled_from("aZ09 .,:#{}[]<>|?=/'é日\t"), max_size=12)
words = st.sampled_from(
    ["llama3:8b", "hf.co/a/b:Q4", "./x.gguf", "10m", "http://h:1/#x", "a>b", "x", "a=b", "str"]
)
scalars = st.one_of(
    words,
    plain_strings.map(lambda text: f'"{text}"'),
    st.integers(-(10**9), 10**9).map(str),
    st.sampled_from(["true", "false", "null", "env.HOME", 'env.A ?? "b"']),
)
blanks = st.sampled_from(["\n", "\r\n", "\n\n    ", "\n  # note\n", "\n\t"])


@st.composite
def maps(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    pairs = draw(st.lists(st.tuples(names, values), max_size=4))
    separator = draw(blanks)
    return "{" + separator + "".join(f"{key}: {value}{separator}" for key, value in pairs) + "}"


values = st.recursive(
    scalars,
    lambda inner: maps(inner) | st.lists(inner, max_size=4).map(lambda items: "[" + ", ".join(items) + "]"),
    max_leaves=12,
)
declarations = st.tuples(
    st.sampled_from(["ai model", "llm", "prompt", "chain", "server", "gateway"]), names, maps(values)
).map(" ".join)
programs = st.lists(declarations, max_size=4).map(lambda found: "\n\n".join(found) + "\n")
