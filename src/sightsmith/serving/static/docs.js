// The API reference, drawn from /openapi.json: no library, nothing from elsewhere.

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const text = (tag, content, className = "") => element(tag, { textContent: content, className });

/** Return nodes of a text in which `code` stands between backticks. */
const prose = (content) => content.split("`").map((part, index) => (index % 2 ? text("code", part) : part));
const nameOf = (reference) => reference.split("/").at(-1);

/** Return nodes that say a schema in few words, with links to the named shapes. */
function typeOf(schema) {
  if (!schema) return ["anything"];
  if (schema.$ref) return [element("a", { href: `#${nameOf(schema.$ref)}`, textContent: nameOf(schema.$ref) })];
  if (schema.anyOf) return schema.anyOf.filter(({ type }) => type !== "null").flatMap((option, index) => [...(index ? [" or "] : []), ...typeOf(option)]);
  if ("const" in schema) return [text("code", JSON.stringify(schema.const))];
  if (schema.enum) return schema.enum.flatMap((value, index) => [...(index ? [" or "] : []), text("code", JSON.stringify(value))]);
  if (schema.type === "array") return ["list of ", ...typeOf(schema.items)];
  if (schema.type === "object" && schema.additionalProperties?.$ref) {
    return ["object of ", ...typeOf(schema.additionalProperties)];
  }
  if (schema.format === "binary") return ["file"];
  if (schema.format === "byte") return ["base64 text"];
  return [{ string: "text", integer: "whole number", number: "number", boolean: "true or false", null: "null" }[schema.type] ?? schema.type ?? "anything"];
}

function table(head, rows) {
  const cells = (tag, row) => element("tr", {}, ...row.map((cell) => element(tag, {}, ...[cell].flat())));
  return element("div", { className: "wide" }, element("table", {}, element("thead", {}, cells("th", head)), element("tbody", {}, ...rows.map((row) => cells("td", row)))));
}

function parameters(list) {
  const rows = list.map(({ name, in: place, required, schema, description }) => [
    text("code", name),
    place,
    element("span", { className: "type" }, ...typeOf(schema)),
    [description ?? "", schema?.default === undefined ? (required ? " Required." : "") : ` By default ${schema.default}.`].join(""),
  ]);
  return [text("h3", "Parameters"), table(["Name", "In", "Type", ""], rows)];
}

const MANY = 3; // fields of a body that are named in one line

/** Return a table of the fields of an object; `last` gives the end of each description. */
function fieldTable(properties, last) {
  const rows = Object.entries(properties).map(([key, schema]) => [
    text("code", key),
    element("span", { className: "type" }, ...typeOf(schema)),
    [...prose(schema.description ?? ""), last(key, schema)],
  ]);
  return table(["Field", "Type", ""], rows);
}

const byDefault = (_, { const: only, default: value }) =>
  only !== undefined || value === undefined || value === null || value === "" ? "" : ` By default ${JSON.stringify(value)}.`;

function body({ content, description }) {
  const rows = Object.entries(content).map(([kind, { schema }]) => {
    const fields = Object.entries(schema.properties ?? {});
    if (fields.length > MANY) return [text("code", kind), "an object of the fields below"];
    const said = fields.length
      ? fields.flatMap(([name, inner], index) => [...(index ? [", "] : []), text("code", name), ": ", ...typeOf(inner)])
      : ["the file as it is"];
    return [text("code", kind), said];
  });
  const long = Object.values(content).filter(({ schema }) => Object.keys(schema.properties ?? {}).length > MANY);
  return [
    text("h3", "Body"), ...(description ? [text("p", description)] : []), table(["Content type", "What it holds"], rows),
    ...long.map(({ schema }) => fieldTable(schema.properties, byDefault)),
  ];
}

function answers(responses) {
  const rows = Object.entries(responses).map(([status, { description, content }]) => [
    text("code", status),
    prose(description),
    element("span", { className: "type" }, ...(content?.["application/json"] ? typeOf(content["application/json"].schema) : [])),
  ]);
  return [text("h3", "Answers"), table(["Status", "", "Shape"], rows)];
}

function example(method, path, operation) {
  const [json] = operation.requestBody?.content["application/json"].schema.examples ?? [];
  const file = operation.requestBody ? "-F file=@picture.jpg " : "";
  const send = json ? `-H 'Content-Type: application/json' -d '${JSON.stringify({ ...json, model: shown.seed })}' ` : file;
  const name = encodeURIComponent(path.endsWith("/predict") ? shown.picture : shown.first);
  const address = `${location.origin}${path.replace("{name}", name).replace("{index}", "0")}`;
  return element("pre", { className: "code", tabIndex: 0 }, text("code", `curl ${send}${address}`));
}

function drawOperation(method, path, operation) {
  const known = new Set(["422"]); // the framework's own; ours is drawn where a route names it
  const responses = Object.fromEntries(
    Object.entries(operation.responses).filter(([status, { content }]) => !(known.has(status) && content?.["application/json"]?.schema?.$ref?.endsWith("HTTPValidationError"))),
  );
  const inside = element("div", { className: "inside" });
  if (operation.description) inside.append(element("p", {}, ...prose(operation.description)));
  inside.append(example(method, path, operation));
  if (operation.parameters?.length) inside.append(...parameters(operation.parameters));
  if (operation.requestBody) inside.append(...body(operation.requestBody));
  inside.append(...answers(responses));
  const summary = element("summary", {}, text("span", method.toUpperCase(), `method ${method}`), text("code", path, "path"), text("span", operation.summary ?? "", "quiet"));
  return element("details", { className: "panel", open: method === "post" }, summary, inside);
}

function drawShape(name, { description, properties = {}, required = [] }) {
  const missing = (key, schema) => (required.includes(key) || schema.default !== undefined ? "" : " May be missing.");
  return element("section", { className: "panel shape", id: name }, text("h3", name), text("p", description ?? "", "quiet"), fieldTable(properties, missing));
}

const shown = { picture: "MODEL", seed: "MODEL", first: "MODEL" }; // names of models for the examples, by what they take

async function draw() {
  const [api, { models }] = await Promise.all(["/openapi.json", "/v1/models"].map(async (path) => (await fetch(path)).json()));
  for (const { name, takes } of models.toReversed()) shown[takes] = shown.first = name;
  document.getElementById("about").replaceChildren(...prose(`${api.info.description} Version ${api.info.version}.`));
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  );
  for (const tag of new Set(operations.map(({ operation }) => operation.tags[0]))) {
    const mine = operations.filter(({ operation }) => operation.tags[0] === tag);
    document.getElementById("operations").append(text("h2", tag), ...mine.map(({ method, path, operation }) => drawOperation(method, path, operation)));
  }
  const shapes = Object.entries(api.components.schemas).filter(([name]) => !/^(HTTP)?ValidationError$/.test(name));
  document.getElementById("shapes").append(...shapes.map(([name, schema]) => drawShape(name, schema)));
  document.getElementById("shapes").hidden = false;
}

draw().catch((error) => {
  const failure = document.getElementById("failure");
  failure.textContent = `The reference cannot be drawn: ${error.message}`;
  failure.hidden = false;
});
