"""The tiny models that the recordings were made with, rebuilt from what they are: tables from token to token."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.models import DEFAULT_TEMPLATE, Job, Layer, Model, Tensor, Weights, digest_of
from namel3ss.sandbox.schemas import instance_of
from namel3ss.sandbox.vectors import one_hot, unit_vector
from namel3ss.sandbox.vocabulary import BLANK, TinyVocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.sandbox.names import ModelName

__all__ = ["TINY_NAMES", "tiny_model", "tiny_weights"]

END = "</s>"

_CHAT_TEMPLATE: Final = (
    "{{- if .System }}<|system|>{{ .System }}{{ end }}"
    "{{- range .Messages }}<|{{ .Role }}|>{{ .Content }}{{ end }}<|assistant|>"
)
_TOOLS_TEMPLATE: Final = (
    "{{- if .System }}<|system|>{{ .System }}{{ end }}"
    "{{- if .Tools }}<|system|>{{ range .Tools }}{{ . }}{{ end }}{{ end }}"
    '{{- $end := "<|assistant|>" }}{{- range .Messages }}'
    '{{- if eq .Role "tool" }}{{ $end = "<|answer|>" }}{{ else }}{{ $end = "<|assistant|>" }}{{ end }}'
    "<|{{ .Role }}|>{{ if .ToolCalls }}{{ range .ToolCalls }}"
    '<tool_call>{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}</tool_call>'
    "{{ end }}{{ else }}{{ .Content }}{{ end }}{{ end }}{{ $end }}"
)
_THINKING_TEMPLATE: Final = (
    "{{- if .System }}<|system|>{{ .System }}{{ end }}{{- range .Messages }}<|{{ .Role }}|>"
    "{{- if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ end }}<|assistant|>"
)

_HELLO = ("Hello", "▁from", "▁a", "▁tiny", "▁model", ".", END)
_LOOP = tuple(f"▁w{number}" for number in range(40))
_CALL = (
    "<tool_call>",
    '{"name":',
    '▁"get_weather",',
    '▁"arguments":',
    '▁{"city":',
    '▁"Paris"}}',
    "</tool_call>",
    END,
)
_THOUGHT = ("<think>", "▁The", "▁user", "▁greets", "▁me", "</think>", "Hi", "▁there", "!", END)
_WEATHER = ("It", "▁is", "▁18", "▁C", "▁in", "▁Paris", ".", END)


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What sets one tiny model apart; digests and sizes are those of the recorded files."""

    says: tuple[tuple[str, tuple[str, ...]], ...]
    template: str
    file_digest: str
    file_size: int
    manifest: str
    config: str = ""
    context: int = 2048
    width: int = 384
    special: tuple[str, ...] = ()
    parameter_size: str = "907K"
    base_memory: int = 3_070_464
    embeds: bool = False


_RECIPES: Final = {
    "tiny:latest": _Recipe(
        (("<|assistant|>", _HELLO),),
        _CHAT_TEMPLATE,
        "sha256:bdc9a63b7c50d76d2ca26d5be8cc300aec47bcc4430abc4cad3986d2f9664d1a",
        3_638_752,
        "86c8463a4fce2ce99b8f3788c6b8880f6eb98e8c63ec523f58a8c0eb27b604ba",
        "sha256:29d52f5c3f837de4ce2d4ceddecb2d954431fbe99c1865ae0c7283d551cf7006",
    ),
    "tiny-endless:latest": _Recipe(
        (("<|assistant|>", (*_LOOP, _LOOP[0])),),
        _CHAT_TEMPLATE,
        "sha256:c1608f0e013daa78daabb8a4c87dd07a6306a5742dd091e12ffa904d1f88f7c0",
        4_271_456,
        "1632c81bc3d4e04a28a6cb68079c21e51923e5d8509a6e9b762d6b264375a367",
        "sha256:4e2a9ae559570cbbe316374a115782ea8dd087a5656e3d24bf1a4991d6900033",
        context=4096,
        width=416,
        parameter_size="1.07M",
        base_memory=3_597_568,
    ),
    "tiny-short:64": _Recipe(
        (("<|assistant|>", _HELLO),),
        _CHAT_TEMPLATE,
        "sha256:7ddbb9f6c8af19f6fa75e4cf95b86fb387bb4590fa06fcfc1534017875c9e18d",
        3_638_752,
        "75ca51a10dfbeb7325baaa232fb23a866632ee6be83710913e98d4f3bd6911b9",
        context=64,
    ),
    "tiny-tools:latest": _Recipe(
        (("<|assistant|>", _CALL), ("<|answer|>", _WEATHER)),
        _TOOLS_TEMPLATE,
        "sha256:b7d332f4a6fed51ef5b70f004759f14d7f51e33fde0c5dc51c61479ddc0d1298",
        3_666_656,
        "cd82374ebecfdfe78ba0a59cee862541c1888cf11995cd7edc7e3d6e54364df0",
        "sha256:3b512e60ef2faf53f6ccedd54bd5b9a2bda1e8e89452454a7da3c1a5e972862d",
        special=("<|answer|>",),
        parameter_size="914K",
        base_memory=3_084_288,
    ),
    "tiny-thinker:latest": _Recipe(
        (("<|assistant|>", _THOUGHT),),
        _THINKING_TEMPLATE,
        "sha256:9da5a08d110500ded9ce7856dc93e133f2323c573a2c712580e07586020729fc",
        3_648_064,
        "8d1c5df4bb0d7312e870629d903999e91b8e1b7241a343de5366c3e79fd64ef1",
        "sha256:909286206225e99788e0e535d6e3d51a2022e5cbb3ff98d6eb3be4bd661cd022",
        special=("<think>", "</think>"),
        parameter_size="910K",
        base_memory=3_075_072,
    ),
    "tiny-embed:latest": _Recipe(
        (),
        "",
        "sha256:2bf37b6e572f2fd9d2376cf8902c8edc110063362a34ee21e494aac8dffd3b65",
        130_080,
        "3a2454a45a2d8de85174f0c85e5326210255aec6b95cdebcd547cbbe3745113d",
        context=64,
        width=32,
        parameter_size="30K",
        base_memory=75_008,
        embeds=True,
    ),
    "tiny-repeat:latest": _Recipe(
        (("<|assistant|>", ("▁again", "▁again")),),
        _CHAT_TEMPLATE,
        "sha256:2ec926569f7c547b1cc1215234365284e939377bb12bad5f1e72ba0cd79f14df",
        3_626_400,
        "2cf76b3adf9f1f2c9d7e6e019013927b0b3ace69ee445af692fb4c5754c4680e",
        parameter_size="904K",
        base_memory=3_064_320,
    ),
}

TINY_NAMES: Final = tuple(_RECIPES)


@dataclass(frozen=True, slots=True)
class _TokenTable:
    """Says after each token the one that always follows it; tokens that nothing follows end the text."""

    vocabulary: TinyVocabulary
    following: dict[int, int]
    embeds: bool

    def write(self, job: Job) -> Iterator[str]:
        if job.format is not None:
            return iter(self.vocabulary.pieces(instance_of(job.format)))
        return self._follow(job.tokens[-1] if job.tokens else 0)

    def _follow(self, current: int) -> Iterator[str]:
        end = self.vocabulary.index[END]
        while (current := self.following.get(current, end)) != end:
            yield self.vocabulary.tokens[current].replace(BLANK, " ")

    def embed(self, text: str, width: int) -> list[float]:
        if self.embeds:
            return unit_vector(text, width)
        # Only the last token reaches the output, and each token stands for one direction.
        tokens = self.vocabulary.encode(text)
        return one_hot(tokens[-1] if tokens else 1, width)


@lru_cache
def _weights(name: str) -> Weights:
    recipe = _RECIPES[name]
    vocabulary = TinyVocabulary((word for _, chain in recipe.says for word in chain), recipe.special)
    following = {}
    for start, chain in recipe.says:
        for current, after in zip((start, *chain), chain, strict=False):
            following[vocabulary.index[current]] = vocabulary.index[after]
    count = len(vocabulary)
    return Weights(
        digest=recipe.file_digest,
        size=recipe.file_size,
        family="llama",
        parameter_count=sum(_volume(tensor) for tensor in _tensors(count, recipe.width)),
        parameter_size=recipe.parameter_size,
        quantization="unknown",
        stored_as="F32",
        context_length=recipe.context,
        embedding_length=recipe.width,
        base_memory=recipe.base_memory,
        memory_per_token=recipe.width * 4,
        info=_info(recipe, count),
        tensors=_tensors(count, recipe.width),
        tokenizer=vocabulary,
        brain=_TokenTable(vocabulary, following, recipe.embeds),
        embeds=recipe.embeds,
    )


def _volume(tensor: Tensor) -> int:
    volume = 1
    for side in tensor.shape:
        volume *= side
    return volume


def _tensors(count: int, width: int) -> tuple[Tensor, ...]:
    return (
        Tensor("token_embd.weight", (width, count)),
        Tensor("output_norm.weight", (width,)),
        Tensor("output.weight", (width, count)),
        Tensor("blk.0.attn_norm.weight", (width,)),
        *(Tensor(f"blk.0.attn_{part}.weight", (width, width)) for part in ("q", "k", "v", "output")),
        Tensor("blk.0.ffn_norm.weight", (width,)),
        Tensor("blk.0.ffn_gate.weight", (width, 32)),
        Tensor("blk.0.ffn_up.weight", (width, 32)),
        Tensor("blk.0.ffn_down.weight", (32, width)),
    )


def _info(recipe: _Recipe, count: int) -> dict[str, object]:
    info: dict[str, object] = {
        "general.architecture": "llama",
        "general.file_type": 0,
        "general.parameter_count": sum(_volume(tensor) for tensor in _tensors(count, recipe.width)),
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 4,
        "llama.attention.layer_norm_rms_epsilon": 0.000001,
        "llama.block_count": 1,
        "llama.context_length": recipe.context,
        "llama.embedding_length": recipe.width,
        "llama.feed_forward_length": 32,
        "llama.rope.dimension_count": recipe.width // 4,
        "llama.vocab_size": count,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_eos_token": False,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.scores": None,
        "tokenizer.ggml.token_type": None,
        "tokenizer.ggml.tokens": None,
        "tokenizer.ggml.unknown_token_id": 0,
    }
    if recipe.embeds:
        info["llama.pooling_type"] = 1
    return info


def tiny_model(name: str, installed_as: ModelName, modified_ns: int) -> Model:
    """The tiny model `name`, installed under a name of its own or of a registry."""
    recipe = _RECIPES[name]
    layers = [Layer("model", recipe.file_digest, recipe.file_size)]
    if recipe.template:
        layers.append(Layer.of("template", recipe.template.encode()))
    # One figure more in the parameter size is one byte more in the configuration; so is each layer's digest.
    config_size = 340 + len(recipe.parameter_size) - 4 - (74 if not recipe.template else 0)
    config = Layer("config", recipe.config or digest_of(f"configuration of {name}".encode()), config_size)
    return Model(
        name=installed_as,
        weights=_weights(name),
        modified_ns=modified_ns,
        layers=tuple(layers),
        config=config,
        digest=recipe.manifest,
        parent="",
        template=recipe.template or DEFAULT_TEMPLATE,
    )


def tiny_weights(digest: str) -> Weights | None:
    """The tiny model whose file has this digest."""
    found = (name for name, recipe in _RECIPES.items() if recipe.file_digest == digest)
    name = next(found, None)
    return _weights(name) if name else None
