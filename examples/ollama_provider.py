"""Use a model without a `.ai` file: health, a conversation, a batch, and the models on the server."""

import asyncio
import sys

from namel3ss.providers.local.ollama import OllamaError, OllamaProvider


async def main() -> None:
    """Each call of the provider that most programs need."""
    async with OllamaProvider(name="example", model="llama3:8b", config={"temperature": 0}) as provider:
        health = await provider.health_check()
        print(f"The server at {provider.base_url} is {health['status']}.")

        answer = await provider.generate(
            [
                {"role": "system", "content": "You answer in one word."},
                {"role": "user", "content": "Which colour has the sky?"},
            ]
        )
        print(answer.output_text, dict(answer.usage))

        for result in await provider.generate_batch(["Say one.", "Say two."], max_concurrency=2):
            print(result)

        for model in await provider.list_models():
            print(f"{model['name']}: {model['size']} bytes")

        try:
            await provider.show_model("no-such-model")
        except OllamaError as error:
            print(error.message)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except OllamaError as error:
        sys.exit(str(error))
