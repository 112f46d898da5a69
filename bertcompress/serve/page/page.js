// The page at /: asks the server that gave it, and nobody else. Texts are only ever put in as text.
"use strict";

const at = (id) => document.getElementById(id);
const models = new Map();

function make(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function headers() {
  const found = { "Content-Type": "application/json" };
  if (at("key").value) found.Authorization = `Bearer ${at("key").value}`;
  if (!at("cached").checked) found["Cache-Control"] = "no-cache";
  return found;
}

async function ask(path, body) {
  const response = await fetch(path, {
    method: body ? "POST" : "GET",
    headers: headers(),
    body: body && JSON.stringify(body),
  });
  const said = await response.json();
  if (response.status === 401) at("key-field").hidden = false;
  if (!response.ok) throw new Error(said.detail || `the server answered ${response.status}`);
  return { said, headers: response.headers };
}

async function listModels() {
  const { said } = await ask("models");
  models.clear();
  for (const id of ["model", "other"]) at(id).replaceChildren();
  at("other").append(new Option("nothing", ""));
  for (const one of said.models) {
    models.set(one.name, one);
    for (const id of ["model", "other"]) at(id).append(new Option(one.name, one.name));
  }
  chooseModel();
}

function chooseModel() {
  const model = models.get(at("model").value);
  const asksQuestions = model.task === "question-answering";
  at("question-field").hidden = !asksQuestions;
  at("text-label").textContent = asksQuestions ? "Text that has the answer" : "Text";
  for (const option of at("other").options) {
    const other = models.get(option.value);
    option.disabled = Boolean(other) && other.task !== model.task;
    if (option.disabled && option.selected) at("other").value = "";
  }
  at("about").textContent =
    `${model.name}: ${model.task}, version ${model.version}, ${model.runtime}; reads ` +
    `${model.max_length} tokens`;
}

function bodyFor(name) {
  const text = at("text").value;
  const asksQuestions = models.get(name).task === "question-answering";
  const inputs = asksQuestions ? { question: at("question").value, context: text } : text;
  return { inputs, options: { model: name } };
}

async function answer(name) {
  const { said, headers } = await ask("predict", bodyFor(name));
  const [result] = said.results;
  const shown = make("article", undefined, "answer");
  shown.append(make("h2", name));
  shown.append(...(await drawn(name, result)));
  shown.append(facts(result, headers));
  return { result, shown };
}

async function drawn(name, result) {
  if (result.scores) {
    const cut = result.truncated ? [await highlighted(name, result, [])] : [];
    return [bars(result.scores), ...cut];
  }
  if (result.entities) return [await highlighted(name, result, result.entities)];
  if ("answer" in result) {
    const span = { start: result.start, end: result.end, type: percent(result.score) };
    const found = result.answer ? [span] : [];
    const words = result.answer ? [] : [make("p", "The text has no answer.")];
    return [...words, await highlighted(name, result, found)];
  }
  if (result.embedding) {
    const first = result.embedding.slice(0, 8).map((value) => value.toFixed(4)).join(", ");
    return [make("p", `${result.embedding.length} numbers: ${first}, …`)];
  }
  return [make("p", JSON.stringify(result.value ?? result.tags ?? result))];
}

function bars(scores) {
  const table = make("table", undefined, "bars");
  const body = table.createTBody();
  const likeliest = Object.entries(scores).sort((a, b) => b[1] - a[1]).slice(0, 12);
  for (const [label, score] of likeliest) {
    const row = body.insertRow();
    const head = make("th", label);
    head.scope = "row";
    row.append(head);
    const meter = document.createElement("meter");
    meter.value = score;
    meter.setAttribute("aria-label", label);
    row.insertCell().append(meter);
    row.insertCell().textContent = percent(score);
  }
  return table;
}

async function highlighted(name, result, spans) {
  const paragraph = make("p");
  const text = Array.from(at("text").value); // places are of characters, not of UTF-16 units
  const kinds = [...new Set(spans.map((span) => span.type))];
  const end = result.truncated ? await lastRead(name) : text.length;
  let place = 0;
  for (const span of spans) {
    paragraph.append(text.slice(place, span.start).join(""));
    const mark = make("mark", text.slice(span.start, span.end).join(""));
    mark.className = `s${kinds.indexOf(span.type) % 6}`;
    mark.append(make("small", span.type));
    paragraph.append(mark);
    place = span.end;
  }
  paragraph.append(text.slice(place, Math.max(place, end)).join(""));
  if (end < text.length) paragraph.append(make("s", text.slice(Math.max(place, end)).join("")));
  return paragraph;
}

// Returns the place of the last character that the model read of a text that was cut.
async function lastRead(name) {
  const { said } = await ask("tokenize", { inputs: at("text").value, options: { model: name } });
  const places = said.results[0].offsets;
  const special = places.filter(([start, end]) => start === end).length;
  const read = places.filter(([start, end]) => start < end).slice(0, said.limit - special);
  return read.length ? read[read.length - 1][1] : 0;
}

function facts(result, headers) {
  const list = make("dl");
  const put = (name, value) => list.append(make("dt", name), make("dd", value));
  const known = { hit: "known already", join: "was being computed", miss: "computed" };
  const times = Object.fromEntries(
    [...(headers.get("server-timing") || "").matchAll(/(\w+);dur=([\d.]+)/g)].map((one) => [one[1], one[2]]),
  );
  put("time", `${times.total} ms: tokens ${times.tokenize} ms, queue and model ${times.inference} ms`);
  put("cache", known[headers.get("x-cache")] || "");
  put("version", headers.get("x-model-version") || "");
  put("read", `${result.tokens} tokens${result.truncated ? "; the rest was cut" : ""}`);
  return list;
}

function percent(score) {
  return `${(100 * score).toFixed(1)} %`;
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function agreement(a, b) {
  const said = (result) => JSON.stringify(result.label ?? result.labels ?? result.tags ?? result.answer);
  if (a.embedding && b.embedding && a.embedding.length === b.embedding.length) {
    const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
    const cosine = dot(a.embedding, b.embedding) /
      Math.sqrt(dot(a.embedding, a.embedding) * dot(b.embedding, b.embedding));
    return `Cosine of the two: ${cosine.toFixed(4)}`;
  }
  return said(a) === said(b) ? "Both answer alike." : "The two answer differently.";
}

at("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.submitter || at("ask").querySelector("button");
  button.disabled = true;
  at("problem").textContent = "";
  try {
    if (!models.size) await listModels();
    const names = [at("model").value, at("other").value].filter(Boolean);
    const found = [];
    for (const name of names) found.push(await answer(name));
    const shown = found.map((one) => one.shown);
    if (found.length === 2) {
      shown.push(make("p", agreement(found[0].result, found[1].result), "agree"));
    }
    at("answers").replaceChildren(...shown);
    const address = new URL("predict", window.location.href);
    const key = at("key").value ? " -H 'Authorization: Bearer KEY'" : "";
    at("curl").textContent = `curl ${address}${key} -d ${quoted(JSON.stringify(bodyFor(names[0])))}`;
    at("command").hidden = false;
  } catch (error) {
    at("problem").textContent = error.message;
  } finally {
    button.disabled = false;
  }
});
at("model").addEventListener("change", chooseModel);
at("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("ask").requestSubmit();
});
at("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(at("curl").textContent);
    at("copied").textContent = "copied";
  } catch {
    at("copied").textContent = "mark the line and copy it";
  }
});
listModels().catch((error) => {
  at("about").textContent = "Nothing is known of the models yet.";
  at("problem").textContent = error.message;
});
