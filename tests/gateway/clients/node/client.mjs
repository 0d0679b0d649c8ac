// One thing that ollama's JavaScript client does with the gateway, by its name; what came of it is printed as JSON.
//
//   node client.mjs STEP URL KEY
import { Ollama } from "ollama";

const [step, host, key] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${key}` };
const client = new Ollama({ host, headers });
const messages = [{ role: "user", content: "hi" }];
const parameters = {
  type: "object",
  properties: { city: { type: "string", description: "name" } },
  required: ["city"],
};
const tools = [{ type: "function", function: { name: "get_weather", description: "d", parameters } }];

async function failureOf(promise) {
  try {
    await promise;
  } catch (error) {
    return { status: error.status_code ?? null, message: error.message };
  }
  return null;
}

async function textOf(stream) {
  let text = "";
  for await (const part of stream) text += part.message?.content ?? part.response;
  return text;
}

const steps = {
  async answers() {
    return {
      chat: (await client.chat({ model: "tiny", messages })).message.content,
      generate: (await client.generate({ model: "tiny", prompt: "hi" })).response,
      streamed: await textOf(await client.chat({ model: "tiny", messages, stream: true })),
      thinking: (await client.chat({ model: "tiny-thinker", messages, think: true })).message.thinking,
    };
  },
  async tools() {
    const asked = await client.chat({ model: "tiny-tools", messages, tools });
    const result = { role: "tool", content: "18 C", tool_name: "get_weather" };
    const final = await client.chat({ model: "tiny-tools", messages: [...messages, asked.message, result], tools });
    return { call: asked.message.tool_calls[0].function, answer: final.message.content };
  },
  async embeddings() {
    const { embeddings } = await client.embed({ model: "tiny-embed", input: ["a", "b"] });
    return embeddings.map((vector) => vector.length);
  },
  async errors() {
    const stranger = new Ollama({ host, headers: { Authorization: "Bearer n3_wrong" } });
    return [
      await failureOf(client.chat({ model: "nope", messages })),
      await failureOf(client.chat({ model: "tiny", messages, options: { num_ctx: 1e9 } })),
      await failureOf(stranger.chat({ model: "tiny", messages })),
    ];
  },
  async broken() {
    return failureOf(textOf(await client.generate({ model: "tiny", prompt: "hi", stream: true })));
  },
  async leaving() {
    const stream = await client.generate({ model: "tiny-endless", prompt: "hi", stream: true });
    const running = async () => (await (await fetch(`${host}/requests`, { headers })).json()).requests.length;
    const seen = [];
    try {
      for await (const part of stream) {
        // What had come together with the first piece may still follow.
        if (seen.length) continue;
        seen.push(part.response, await running());
        stream.abort();
      }
    } catch (error) {
      seen.push(error.name);
    }
    // The process stays, so that it is the client and not its end that closes the connection.
    while (await running()) await new Promise((resolve) => setTimeout(resolve, 5));
    return seen;
  },
};

console.log(JSON.stringify(await steps[step]()));
