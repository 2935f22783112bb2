// A stand-in for a language model: model.mjs LOG, an OpenAI-compatible server on
// loopback. Prints its URL. What it does a request says: a word DO:name in the
// last one. Each call leaves a line in LOG: {text, images, tools, begun, ended}.
import fs from "node:fs";
import http from "node:http";

const log = process.argv[2];
const nap = (ms) => new Promise((done) => setTimeout(done, ms));

function parts(message) {
  if (typeof message.content === "string") return [{ type: "text", text: message.content }];
  return message.content ?? [];
}

const textOf = (message) => parts(message).map((p) => p.text ?? "").join("\n");

// The tool called name, or the way to it where tools are looked up first.
function toolCall(tools, name, args) {
  const names = tools.map((t) => t.function.name);
  const found = names.find((n) => n === name || n.endsWith("__" + name));
  if (found) return { name: found, arguments: JSON.stringify(args) };
  if (names.includes("tool_call"))
    return { name: "tool_call", arguments: JSON.stringify({ id: "agentrux__" + name, name: "agentrux__" + name, args, arguments: args }) };
  return { name, arguments: JSON.stringify(args) };
}

async function think(body) {
  const messages = body.messages ?? [];
  const users = messages.filter((m) => m.role === "user");
  const all = users.map(textOf).join("\n");
  const acts = [...all.matchAll(/DO:([a-z0-9_]+)/g)];
  const act = acts.length ? acts.pop()[1] : "";
  const asked = messages.findLastIndex((m) => m.role === "user" && textOf(m).includes("begins -----"));
  const answers = messages.slice(asked + 1).filter((m) => m.role === "tool");
  const tools = body.tools ?? [];
  const topic_id = all.match(/topic_id\s+([A-Za-z0-9_-]+)/)?.[1];
  if (/^[45][0-9][0-9]$/.test(act)) return { status: Number(act) };
  if (act.startsWith("slow")) await nap(Number(act.slice(4)) || 3000);
  if (act === "empty") return { text: "" };
  if (act === "no_reply") return { text: "NO_REPLY" };
  if (act === "no_answer") return { text: "NO_ANSWER" };
  if (act === "big") return { text: "x".repeat(1 << 20) };
  if (act === "paths") return { text: `see ${process.env.HOME}/a/report.txt` };
  if (act === "bytes") return { text: "caf\u00e9 \ud800 end" };
  if (act === "recall") return { text: "before: " + (all.match(/remember ([a-z]+)/)?.[1] ?? "nothing") };
  if (act === "exec" && !answers.length)
    return { call: { name: "exec", arguments: JSON.stringify({ command: "touch " + process.env.CANARY }) } };
  if (act === "run" && !answers.length)
    return { call: toolCall(tools, "exec", { command: all.match(/command <(.*?)>/)?.[1] ?? "" }) };
  if (act === "publish" && !answers.length)
    return { call: toolCall(tools, "agentrux_publish", { topic_id, event_type: "check.said", payload: { said: "by the model" } }) };
  if (act === "upload" && !answers.length) {
    const turn = all.match(/turn ([0-9a-f]{24})\./g)?.pop().slice(5, 29);
    return { call: toolCall(tools, "agentrux_upload", { topic_id, path: "made.txt", turn }) };
  }
  if (answers.length) return { text: "tool said: " + textOf(answers.pop()).slice(0, 2000) };
  return { text: "answer " + (all.match(/say ([a-z0-9]+)/g)?.pop() ?? "") };
}

function reply(stream, res, { status, text, call }) {
  if (status) {
    res.writeHead(status, { "content-type": "application/json" });
    res.end('{"error":{"message":"sk-canary /var/secret","type":"server_error"}}');
    return;
  }
  const base = { id: "x", object: "chat.completion.chunk", created: 1, model: "m" };
  const usage = { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 };
  const tool_calls = call && [{ index: 0, id: "call_1", type: "function", function: call }];
  const message = { role: "assistant", content: text ?? null, ...(call && { tool_calls }) };
  const finish_reason = call ? "tool_calls" : "stop";
  if (!stream) {
    res.writeHead(200, { "content-type": "application/json" });
    res.end(JSON.stringify({ ...base, object: "chat.completion", choices: [{ index: 0, message, finish_reason }], usage }));
    return;
  }
  res.writeHead(200, { "content-type": "text/event-stream" });
  for (const chunk of [{ choices: [{ index: 0, delta: message }] },
    { choices: [{ index: 0, delta: {}, finish_reason }] }, { choices: [], usage }])
    res.write(`data: ${JSON.stringify({ ...base, ...chunk })}\n\n`);
  res.end("data: [DONE]\n\n");
}

http.createServer((req, res) => {
  const pieces = [];
  req.on("data", (piece) => pieces.push(piece));
  req.on("end", async () => {
    const begun = Date.now();
    let body = {};
    try { body = JSON.parse(Buffer.concat(pieces).toString()); } catch { /* no body */ }
    const users = (body.messages ?? []).filter((m) => m.role === "user");
    const said = await think(body);
    fs.appendFileSync(log, JSON.stringify({
      text: users.map(textOf).join("\n"),
      images: users.flatMap(parts).map((p) => p.image_url?.url).filter(Boolean),
      tools: (body.tools ?? []).map((t) => t.function.name),
      begun, ended: Date.now(),
    }) + "\n");
    reply(body.stream, res, said);
  });
}).listen(0, "127.0.0.1", function () {
  console.log(`http://127.0.0.1:${this.address().port}`);
});
