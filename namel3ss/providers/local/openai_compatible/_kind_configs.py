"""What is one server's own: the settings that OpenAI, vLLM and LocalAI do not share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from namel3ss.errors import UsageError
from namel3ss.providers.local.openai_compatible._config import (
    SERVERS_OWN,
    OpenAICompatibleConfig,
    address_setting,
    started_with,
)
from namel3ss.providers.local.openai_compatible._kinds import GENERIC, LOCAL_AI, OPENAI, VLLM, Kind
from namel3ss.providers.local.openai_compatible._setting_rules import JsonMap
from namel3ss.providers.local.openai_compatible._started_server import StartedLocalAI, StartedVllm
from namel3ss.providers.setting_rules import LARGEST_INT, Url
from namel3ss.providers.settings import Advice, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CONFIGS", "GenericConfig", "LocalAIConfig", "OpenAIConfig", "VllmConfig"]


class OpenAIConfig(OpenAICompatibleConfig):
    """`provider: openai`: OpenAI's own API, or a server or gateway that stands in for it."""

    kind: ClassVar[Kind] = OPENAI
    own_fields: ClassVar[tuple[str, ...]] = ("service_tier", "verbosity", "store", "logit_bias")

    base_url: Url | None = address_setting(OPENAI)

    verbosity: Literal["low", "medium", "high"] | None = setting(
        doc="How long the answer of a newer model is.", placeholder=SERVERS_OWN
    )
    logit_bias: dict[str, float] | None = setting(
        doc="How much likelier single tokens are made, from -100 (never) to 100 (always), by their numbers.",
        form="a map from the number of a token to a number from -100 to 100",
        placeholder="none",
    )
    service_tier: Literal["auto", "default", "flex", "priority"] | None = setting(
        doc="Which of OpenAI's classes of service the request asks for.", placeholder=SERVERS_OWN
    )
    store: bool | None = setting(
        doc="Whether OpenAI keeps the answer for its own tools.", placeholder=SERVERS_OWN
    )
    organization: str | None = setting(
        doc="On which organization's account the request goes; sent as a header.",
        placeholder="the key's own",
        pattern=r"^[\x21-\x7e]{1,200}$",
    )
    project: str | None = setting(
        doc="On which project's account the request goes; sent as a header.",
        placeholder="the key's own",
        pattern=r"^[\x21-\x7e]{1,200}$",
    )

    @field_validator("logit_bias")
    @classmethod
    def _check_bias(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        for token, bias in (value or {}).items():
            if not token.isdecimal() or not -100 <= bias <= 100:
                raise UsageError(
                    f"logit_bias: {token!r:.40}: {bias:g} is not the number of a token with a number from -100 to 100."
                )
        return value

    def account_headers(self) -> dict[str, str]:
        found = {"OpenAI-Organization": self.organization, "OpenAI-Project": self.project}
        return {name: value for name, value in found.items() if value is not None}


class VllmConfig(StartedVllm):
    """`provider: vllm`: a vLLM server."""

    kind: ClassVar[Kind] = VLLM
    own_fields: ClassVar[tuple[str, ...]] = (
        "top_k",
        "min_p",
        "repetition_penalty",
        "min_tokens",
        "stop_token_ids",
        "structured_outputs",
        "chat_template_kwargs",
    )

    base_url: Url | None = address_setting(VLLM)

    # What the model generates
    top_k: int | None = setting(
        doc="Choose among the k most likely tokens only; 0 and -1 mean all of them.",
        placeholder=SERVERS_OWN,
        ge=-1,
        le=LARGEST_INT,
    )
    min_p: float | None = setting(
        doc="Leave out tokens less likely than this share of the most likely one.",
        placeholder=SERVERS_OWN,
        ge=0,
        le=1,
    )
    repetition_penalty: float | None = setting(
        doc="How strongly repeated tokens are held back; 1 does not, higher does more, lower favours them.",
        placeholder=SERVERS_OWN,
        synonyms=("repeat_penalty",),
        gt=0,
        le=10,
    )
    min_tokens: int | None = setting(
        doc="The shortest answer: the model may not end before.",
        unit="tokens",
        placeholder="0",
        ge=0,
        le=LARGEST_INT,
    )
    stop_token_ids: list[int] | None = setting(
        doc="Tokens, by their numbers, at which the answer ends.", placeholder="none"
    )
    structured_outputs: JsonMap = setting(
        {},
        doc=(
            "What the answer must be, in vLLM's form: one of json, regex, choice, grammar. For a JSON Schema alone,"
            " response_format is enough. Servers before vLLM 0.12 want guided_json and the like, inside extra."
        ),
        form="a map with json, regex, choice or grammar",
        placeholder="none",
        synonyms=("guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_decoding"),
    )
    chat_template_kwargs: JsonMap = setting(
        {},
        doc="Values for the model's chat template, such as enable_thinking.",
        placeholder="none",
        synonyms=("template_kwargs",),
    )

    gpu_memory_utilization: float | None = started_with(
        doc="The share of each GPU's memory that the server takes.",
        gt=0,
        le=1,
    )
    tensor_parallel_size: int | None = started_with(
        doc="How many GPUs share each layer of the model.",
        unit="GPUs",
        synonyms=("tensor_parallel", "num_gpus"),
        ge=1,
        le=1024,
    )
    pipeline_parallel_size: int | None = started_with(
        doc="How many groups of GPUs have some of the layers each.",
        ge=1,
        le=1024,
    )
    max_model_len: int | None = started_with(
        doc="The context window that the server was started with: prompt and answer together.",
        unit="tokens",
        synonyms=("num_ctx", "context_size", "context_length", "context_window", "max_context_length"),
        ge=1,
        le=LARGEST_INT,
    )
    max_num_seqs: int | None = started_with(
        doc="How many requests the server works on at the same time.",
        ge=1,
        le=LARGEST_INT,
    )
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] | None = started_with(
        doc="The type of the model's numbers.",
        synonyms=("torch_dtype", "precision"),
    )
    quantization: str | None = started_with(
        doc="How the model's numbers were made smaller, by vLLM's word for it, such as awq or fp8.",
        form="a word such as awq, gptq or fp8",
        pattern=r"^[A-Za-z0-9_.-]{1,60}$",
    )
    enforce_eager: bool | None = started_with(doc="Whether the server runs the model without CUDA graphs.")

    @field_validator("structured_outputs")
    @classmethod
    def _check_constraint(cls, value: dict[str, Any]) -> dict[str, Any]:
        known = [name for name in ("json", "regex", "choice", "grammar", "json_object") if name in value]
        if value and len(known) != 1:
            raise UsageError(
                "structured_outputs needs exactly one of json, regex, choice, grammar and json_object.",
                suggestion='For example structured_outputs: { choice: ["yes", "no"] }',
            )
        return value

    def advice(self, environ: Mapping[str, str]) -> tuple[Advice, ...]:
        return (*super().advice(environ), *_idle_temperature(self.top_k, self.temperature))


class LocalAIConfig(StartedLocalAI):
    """`provider: local_ai`: a LocalAI server."""

    kind: ClassVar[Kind] = LOCAL_AI
    own_fields: ClassVar[tuple[str, ...]] = ("top_k", "repeat_penalty")

    base_url: Url | None = address_setting(LOCAL_AI)

    # What the model generates
    top_k: int | None = setting(
        doc="Choose among the k most likely tokens only.",
        placeholder=SERVERS_OWN,
        ge=0,
        le=LARGEST_INT,
    )
    repeat_penalty: float | None = setting(
        doc="How strongly repeated tokens are held back; 1 does not, higher does more.",
        placeholder=SERVERS_OWN,
        synonyms=("repetition_penalty",),
        gt=0,
        le=10,
    )

    backend: str | None = started_with(
        doc="Which of LocalAI's backends runs the model.",
        form="a word such as llama-cpp",
        pattern=r"^[A-Za-z0-9_.:/-]{1,100}$",
    )
    f16: bool | None = started_with(doc="Whether the model is computed with 16-bit numbers.")
    threads: int | None = started_with(
        doc="How many CPU threads the model uses.",
        unit="threads",
        synonyms=("num_thread", "num_threads"),
        ge=1,
        le=4096,
    )
    context_size: int | None = started_with(
        doc="The context window that the model was set up with: prompt and answer together.",
        unit="tokens",
        synonyms=("num_ctx", "max_model_len", "context_window", "n_ctx"),
        ge=1,
        le=LARGEST_INT,
    )
    gpu_layers: int | None = started_with(
        doc="How many layers of the model run on the GPU: not how many GPUs. 0 means none.",
        unit="layers",
        synonyms=("num_gpu", "n_gpu_layers"),
        ge=0,
        le=LARGEST_INT,
    )
    mmap: bool | None = started_with(
        doc="Whether the model's file is mapped into memory instead of read.",
        synonyms=("use_mmap",),
    )

    def advice(self, environ: Mapping[str, str]) -> tuple[Advice, ...]:
        found = [*super().advice(environ), *_idle_temperature(self.top_k, self.temperature)]
        if self.gpu_layers == 1:
            found.append(
                Advice(
                    "gpu_layers",
                    "gpu_layers: 1 puts one layer of the model on the GPU, not the model on one GPU.",
                    "Write the number of layers.",
                    "N3801",
                )
            )
        return tuple(found)


class GenericConfig(OpenAICompatibleConfig):
    """`provider: openai_compatible`: any other server that speaks the protocol."""

    kind: ClassVar[Kind] = GENERIC

    base_url: Url = address_setting(GENERIC)


def _idle_temperature(top_k: int | None, temperature: float | None) -> tuple[Advice, ...]:
    if top_k != 1 or not temperature:
        return ()
    return (
        Advice(
            "temperature",
            "With top_k: 1 the most likely token is always taken, and temperature changes nothing.",
            "Leave one of the two out.",
            "N3804",
        ),
    )


CONFIGS: dict[str, type[OpenAICompatibleConfig]] = {
    config.kind.name: config for config in (OpenAIConfig, VllmConfig, LocalAIConfig, GenericConfig)
}
