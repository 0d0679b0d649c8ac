"""Models of any other name: sizes one would expect from the name, and answers that say they are made up."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.models import (
    DEFAULT_TEMPLATE,
    Job,
    Layer,
    Model,
    Tensor,
    Weights,
    digest_of,
    manifest_digest,
)
from namel3ss.sandbox.schemas import instance_of, json_text
from namel3ss.sandbox.vectors import unit_vector
from namel3ss.sandbox.vocabulary import PieceTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from namel3ss.sandbox.names import ModelName
    from namel3ss.sandbox.requests import Tool

__all__ = ["made_up_model"]

_LONGEST_ECHO: Final = 600
_LONGEST_RUN: Final = 20
_TRAINED_CONTEXT: Final = 32_768
_BYTES_PER_PARAMETER: Final = 0.58
"""What a 4-bit file needs, all in all."""

_EMBEDS = re.compile(r"embed|minilm|\bbge|\bgte|\be5\b|arctic", re.IGNORECASE)
_SEES = re.compile(r"vision|llava|moondream|-vl\b|vl\b|minicpm-v|gemma3|gemma4|pixtral|llama4", re.IGNORECASE)
_THINKS = re.compile(
    r"think|reason|qwen3|qwq|gpt-oss|magistral|deepseek-r1|\br1\b|deepseek-v3\.1", re.IGNORECASE
)
_FILLS = re.compile(r"code|coder|starcoder", re.IGNORECASE)
_BILLIONS = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)(b|m)(?![a-z0-9])", re.IGNORECASE)

# What a question names: numbers, and words between quotation marks.
_NUMBER = re.compile(r"(?<![\w.])-?\d{1,15}(?:\.\d{1,15})?(?![\w.]*\w)")
_QUOTED = re.compile(r"(?<!\w)['\"“‘«]([^'\"”’»\n]{1,200})['\"”’»](?!\w)")
# A schema of no more than these words takes any number, or any text.
_ANYTHING: Final = frozenset({"type", "title", "description"})

_TURNS: Final = (
    "{{- if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
    "{{- if .Tools }}<|im_start|>system\nTools:{{ range .Tools }}\n{{ json . }}{{ end }}<|im_end|>\n{{ end }}"
    '{{- range .Messages }}{{- if ne .Role "system" }}<|im_start|>{{ .Role }}\n'
    "%s"
    "{{ .Content }}"
    "{{- if .ToolCalls }}{{ range .ToolCalls }}<tool_call>"
    '{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}</tool_call>{{ end }}{{ end }}'
    "<|im_end|>\n{{ end }}{{ end }}<|im_start|>assistant\n"
)
_THOUGHTS: Final = "{{- if .Thinking }}<think>{{ .Thinking }}</think>\n{{ end }}"
_FILLING: Final = (
    "{{- if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>{{ else }}"
)


@dataclass(frozen=True, slots=True)
class _Narrator:
    """Writes the made-up answers."""

    tokenizer: PieceTokenizer

    def write(self, job: Job) -> Iterator[str]:
        return iter(_without_long_runs(self.tokenizer.pieces(self._text(job))))

    def embed(self, text: str, width: int) -> list[float]:
        return unit_vector(text, width)

    def _text(self, job: Job) -> str:
        thoughts = f"<think>{_thoughts(job)}</think>" if job.thinks else ""
        return thoughts + self._visible(job)

    def _visible(self, job: Job) -> str:
        asked, result = _last_exchange(job)
        if job.tools and result is None:
            return _tool_call(job.tools, asked)
        if job.format is not None:
            return _formatted(job, asked)
        if result is not None:
            return (
                f"This is a made-up answer by the namel3ss sandbox, in place of {job.model}. "
                f"The tool said: {_cut(result)}"
            )
        if job.suffix:
            return " made up by the namel3ss sandbox "
        return (
            f"This is a made-up answer by the namel3ss sandbox, in place of {job.model}. "
            f"You wrote: {_cut(asked)}{_about_images(job)}"
        )


def _without_long_runs(pieces: Sequence[str]) -> list[str]:
    """An echo must not look like a model that is caught in a loop: the server would cut it off."""
    kept: list[str] = []
    for _, run in groupby(pieces, key=str.strip):
        same = list(run)
        kept += same if len(same) <= _LONGEST_RUN else [*same[:_LONGEST_RUN], " …"]
    return kept


def _last_exchange(job: Job) -> tuple[str, str | None]:
    """What the user asked last, and the tool result that followed, if one did."""
    if not job.messages:
        return job.prompt, None
    asked, result = "", None
    for message in job.messages:
        if message.role == "user":
            asked, result = message.content, None
        elif message.role == "tool":
            result = message.content
    return asked, result


def _thoughts(job: Job) -> str:
    asked, _ = _last_exchange(job)
    return (
        f"The user wrote {len(asked)} characters. I am a sandbox and have no thoughts, so these are made up."
    )


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _LONGEST_ECHO else text[:_LONGEST_ECHO] + " …"


def _about_images(job: Job) -> str:
    count = sum(len(message.images) for message in job.messages)
    return f" (with {count} image{'s' if count > 1 else ''})" if count else ""


def _formatted(job: Job, asked: str) -> str:
    if isinstance(job.format, str) or job.format is None:
        note = f"made up by the namel3ss sandbox, in place of {job.model}"
        return json_text({"answer": note, "you_wrote": _cut(asked)})
    return instance_of(job.format)


def _tool_call(tools: Sequence[Tool], asked: str) -> str:
    tool = max(tools, key=lambda each: _likeness(each, asked))
    parameters = {"type": "object", **tool.function.parameters}
    arguments = _with_what_was_asked(instance_of(parameters), tool.function.parameters, asked)
    return f'<tool_call>{{"name": {json_text(tool.function.name)}, "arguments": {arguments}}}</tool_call>'


def _with_what_was_asked(arguments: str, parameters: Mapping[str, object], asked: str) -> str:
    """The arguments with numbers and quoted words of the question, where any number or text would do."""
    made = json.loads(arguments)
    properties = parameters.get("properties")
    if not isinstance(made, dict) or not isinstance(properties, dict):
        return arguments
    numbers = iter(_NUMBER.findall(asked))
    words = iter(_QUOTED.findall(asked))
    for name in made:
        schema = properties.get(name)
        kind = schema.get("type") if isinstance(schema, dict) and schema.keys() <= _ANYTHING else None
        if kind == "integer" and (number := next(numbers, None)) is not None:
            made[name] = int(float(number))
        elif kind == "number" and (number := next(numbers, None)) is not None:
            made[name] = float(number)
        elif kind == "string" and (word := next(words, None)) is not None:
            made[name] = word
    return json_text(made)


def _likeness(tool: Tool, asked: str) -> int:
    """How many words of the question the tool's name and description share."""
    described = set(
        re.findall(r"\w{3,}", f"{tool.function.name.replace('_', ' ')} {tool.function.description}".lower())
    )
    return len(described & set(re.findall(r"\w{3,}", asked.lower())))


def made_up_model(name: ModelName, modified_ns: int) -> Model:
    """A model for `name`, with the capabilities that the name suggests."""
    text = f"{name.model}:{name.tag}"
    embeds = bool(_EMBEDS.search(name.model))
    template = "" if embeds else _template(text)
    weights = _weights(name, text, embeds=embeds)
    layers = [Layer("model", weights.digest, weights.size)]
    if template:
        layers.append(Layer.of("template", template.encode()))
    licence = f"The model {name.shortest} is made up by the namel3ss sandbox."
    layers.append(Layer.of("license", licence.encode()))
    config = Layer("config", digest_of(f"configuration of {name.full}".encode()), 414)
    return Model(
        name=name,
        weights=weights,
        modified_ns=modified_ns,
        layers=tuple(layers),
        config=config,
        digest=manifest_digest(layers, config),
        parent="",
        template=template or DEFAULT_TEMPLATE,
        licences=(licence,),
    )


def _template(text: str) -> str:
    turns = _TURNS % (_THOUGHTS if _THINKS.search(text) else "")
    return f"{_FILLING}{turns}{{{{ end }}}}" if _FILLS.search(text) else turns


def _family(name: ModelName) -> str:
    match = re.match(r"[a-z]+", name.model.lower())
    return match[0] if match else "llama"


def _weights(name: ModelName, text: str, *, embeds: bool) -> Weights:
    parameters = _parameter_count(text, embeds=embeds)
    family = _family(name)
    width = 384 if embeds else 4096
    tokenizer = PieceTokenizer()
    return Weights(
        digest=digest_of(f"weights of {name.full}".encode()),
        size=int(parameters * (2 if embeds else _BYTES_PER_PARAMETER)),
        family=family,
        parameter_count=parameters,
        parameter_size=_human(parameters),
        quantization="F16" if embeds else "Q4_K_M",
        stored_as="F16" if embeds else "Q4_K_M",
        context_length=2048 if embeds else _TRAINED_CONTEXT,
        embedding_length=width,
        base_memory=int(parameters * 0.62),
        memory_per_token=width * 4,
        info=_info(family, parameters, width, embeds=embeds),
        tensors=_tensors(width, embeds=embeds),
        tokenizer=tokenizer,
        brain=_Narrator(tokenizer),
        embeds=embeds,
        sees=not embeds and bool(_SEES.search(text)),
    )


def _parameter_count(text: str, *, embeds: bool) -> int:
    match = _BILLIONS.search(text.replace(":", " ").replace("-", " "))
    if match is None:
        return 137_000_000 if embeds else 8_030_000_000
    number = float(match[1]) * (1e9 if match[2].lower() == "b" else 1e6)
    return int(min(max(number, 1e6), 2e12))


def _human(parameters: int) -> str:
    if parameters >= 1_000_000_000:
        return f"{parameters / 1e9:.1f}B"
    return f"{parameters / 1e6:.0f}M"


def _info(family: str, parameters: int, width: int, *, embeds: bool) -> dict[str, object]:
    info: dict[str, object] = {
        "general.architecture": family,
        "general.basename": "made up by the namel3ss sandbox",
        "general.file_type": 1 if embeds else 15,
        "general.parameter_count": parameters,
        "general.quantization_version": 2,
        f"{family}.attention.head_count": 32,
        f"{family}.attention.head_count_kv": 8,
        f"{family}.attention.layer_norm_rms_epsilon": 0.00001,
        f"{family}.block_count": 32,
        f"{family}.context_length": 2048 if embeds else _TRAINED_CONTEXT,
        f"{family}.embedding_length": width,
        f"{family}.feed_forward_length": width * 4,
        f"{family}.vocab_size": 128_256,
        "tokenizer.ggml.bos_token_id": 128_000,
        "tokenizer.ggml.eos_token_id": 128_009,
        "tokenizer.ggml.merges": None,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.token_type": None,
        "tokenizer.ggml.tokens": None,
    }
    if embeds:
        info[f"{family}.pooling_type"] = 1
    return info


def _tensors(width: int, *, embeds: bool) -> tuple[Tensor, ...]:
    kind = "F16" if embeds else "Q4_K"
    return (
        Tensor("token_embd.weight", (width, 128_256), kind),
        Tensor("output_norm.weight", (width,)),
        Tensor("blk.0.attn_q.weight", (width, width), kind),
        Tensor("blk.0.ffn_up.weight", (width, width * 4), kind),
    )
