// The official client of the protocol against agentrux-mcp and a live hub: it
// connects, lists, and calls every tool. Started by tests/check-mcp, which says
// in the environment what there is. Prints what holds; ends with 1 at the first
// thing that does not.
"use strict";

const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");

const sdk = createRequire(path.join(process.env.SDK, "package.json"));
const { Client } = sdk("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } =
	sdk("@modelcontextprotocol/sdk/client/stdio.js");

const { T, R, CODE, INVITE, OTHER, FILES, DIALECT } = process.env;
const said = []; // all that the server said, for what must not be in it

function passed(what) {
	console.log(`ok ${DIALECT}: ${what}`);
}

async function connect() {
	const transport = new StdioClientTransport({
		command: "agentrux-mcp",
		args: ["--root", FILES, "-vv"],
		env: process.env,
		stderr: "pipe",
	});
	const client = new Client({ name: "check", version: "1" });
	transport.stderr.on("data", (data) => said.push(String(data)));
	await client.connect(transport);
	return { client, pid: transport.pid };
}

// A call whose result is no error; the client checks it against the schema.
async function call(client, name, args, options) {
	const result =
		await client.callTool({ name, arguments: args }, undefined, options);
	said.push(JSON.stringify(result));
	assert.equal(result.isError, false, JSON.stringify(result));
	return result.structuredContent;
}

async function fails(client, name, args, how) {
	const result = await client.callTool({ name, arguments: args });
	said.push(JSON.stringify(result));
	assert.equal(result.isError, true, JSON.stringify(result));
	assert.match(result.content[0].text, how);
}

async function listing(client) {
	const { tools } = await client.listTools();
	assert.deepEqual(tools.map((t) => t.name).sort(), ["agentrux_activate",
		"agentrux_download", "agentrux_publish", "agentrux_read",
		"agentrux_redeem_grant", "agentrux_send_message",
		"agentrux_topics", "agentrux_upload", "exec"]);
	assert.equal(client.getServerVersion().name, "agentrux-mcp");
	await client.ping();
	passed("connects and lists");
}

async function joining(client) {
	await fails(client, "agentrux_publish", { topic_id: T, payload: 1 },
		/agentrux_activate/);
	const joined = await call(client, "agentrux_activate",
		{ activation_code: CODE });
	assert.deepEqual(Object.keys(joined).sort(), ["grants", "outcome"]);
	assert.ok(JSON.stringify(joined.grants).includes(T));
	if (DIALECT === "classic") {
		const grant = await call(client, "agentrux_redeem_grant",
			{ invite_code: INVITE });
		assert.deepEqual(grant, { topic_id: OTHER, action: "read" });
	} else {
		await fails(client, "agentrux_redeem_grant",
			{ invite_code: "inv_x" }, /invite/);
	}
	const { topics } = await call(client, "agentrux_topics", {});
	assert.ok(JSON.stringify(topics).includes(T));
	passed("activates, redeems a grant, lists topics");
}

async function events(client) {
	const sent = await call(client, "agentrux_publish", { topic_id: T,
		event_type: "check", payload: { text: "ä", n: [1.5, null] } });
	const read = await call(client, "agentrux_read", { topic_id: T });
	const found = read.events.find((e) => e.event_id === sent.event_id);
	assert.deepEqual(found.payload, { text: "ä", n: [1.5, null] });
	const more = await call(client, "agentrux_read",
		{ topic_id: T, after: read.next });
	assert.deepEqual(more.events, []);
	passed("publishes and reads");
}

// Answers the request with this message, once it is in T.
async function answer(client, message) {
	for (;;) {
		const { events } = await call(client, "agentrux_read",
			{ topic_id: T, event_type: "openclaw.request" });
		const asked = events.find((e) => e.payload.message === message);
		if (!asked)
			continue;
		const { request_id } = asked.payload;
		return call(client, "agentrux_publish", { topic_id: R,
			event_type: "openclaw.response", payload: { request_id,
				status: "completed", message: `re: ${message}` } });
	}
}

async function messages(client) {
	const message = `hello ${DIALECT}`;
	const [sent] = await Promise.all([
		call(client, "agentrux_send_message", { topic_id: T,
			message, reply_topic: R, timeout_seconds: 50 }),
		answer(client, message),
	]);
	assert.equal(sent.reply.payload.message, `re: ${message}`);
	assert.equal(sent.reply.payload.request_id, sent.request_id);
	passed("sends a message and gets its reply");
}

async function files(client) {
	const bytes = Buffer.alloc(300000, "0123456789abcdef\0");
	fs.writeFileSync(path.join(FILES, "up.bin"), bytes);
	const { attachment } = await call(client, "agentrux_upload",
		{ topic_id: T, path: "up.bin", turn: "turn-1" });
	const id = attachment.object_id || attachment.payload_object_id;
	const stored = await call(client, "agentrux_download",
		{ topic_id: T, object_id: id, path: "down.bin" });
	assert.deepEqual(fs.readFileSync(path.join(FILES, stored.path)), bytes);
	await fails(client, "agentrux_upload", { topic_id: T, path: "/etc/passwd" },
		/outside/);
	passed("uploads and downloads");
}

async function commands(client) {
	const ran = await call(client, "exec", { command: ["echo", "a b"] });
	assert.deepEqual(ran,
		{ exit_status: 0, output: "a b\n", truncated: false });
	await fails(client, "exec", { command: ["rm", "-rf", FILES] },
		/not allowed/);
	await assert.rejects(client.callTool({ name: "none", arguments: {} }),
		/unknown tool/);
	await assert.rejects(client.callTool({ name: "exec", arguments: {} }),
		/command is missing/);
	passed("runs what is allowed, refuses the rest");
}

async function sideBySide(client) {
	let progress = 0;
	const gone = new AbortController();
	const slow = call(client, "exec", { command: ["sleep", "6"] },
		{ onprogress: () => progress++ });
	const cancelled = client.callTool({ name: "exec",
		arguments: { command: ["sleep", "55"] } }, undefined,
		{ signal: gone.signal });
	await client.ping();
	const all = await Promise.all([...Array(100).keys()].map((i) =>
		i % 2 ? call(client, "exec", { command: ["echo", String(i)] })
		      : call(client, "agentrux_publish",
			      { topic_id: T, payload: { i } })));
	all.forEach((result, i) => {
		assert.equal(i % 2 ? result.output : typeof result.event_id,
			i % 2 ? `${i}\n` : "string");
	});
	gone.abort();
	await assert.rejects(cancelled);
	await slow;
	assert.ok(progress > 0);
	passed("100 calls at once, a slow one with progress, a cancelled one");
}

async function end(client, pid) {
	const left = client.callTool({ name: "exec",
		arguments: { command: ["sleep", "54"] } }).catch(() => {});
	const started = Date.now();
	while (!running("sleep 54") && Date.now() - started < 30000)
		await new Promise((done) => setTimeout(done, 50));
	await client.close();
	await left;
	while (alive(pid) || running("sleep 54")) {
		assert.ok(Date.now() - started < 60000, "something is left");
		await new Promise((done) => setTimeout(done, 50));
	}
	passed("leaves no process behind");
}

function running(command) {
	try {
		execFileSync("pgrep", ["-xf", command]);
		return true;
	} catch {
		return false;
	}
}

function alive(pid) {
	try {
		process.kill(pid, 0);
		return true;
	} catch {
		return false;
	}
}

function secrets() {
	const home = path.join(process.env.HOME, ".agentrux/credentials.json");
	const kept = JSON.parse(fs.readFileSync(home));
	const token = execFileSync("agentrux-token").toString().trim();
	const all = said.join("\n");
	for (const secret of [CODE, INVITE, kept.client_secret, token])
		assert.ok(!secret || !all.includes(secret), "a secret was said");
	passed("no result and no message holds a secret");
}

async function main() {
	const { client, pid } = await connect();
	await listing(client);
	await joining(client);
	await events(client);
	await messages(client);
	await files(client);
	await commands(client);
	await sideBySide(client);
	await end(client, pid);
	secrets();
}

main().then(() => process.exit(0), (why) => {
	console.error(why, said.slice(-3));
	process.exit(1);
});
