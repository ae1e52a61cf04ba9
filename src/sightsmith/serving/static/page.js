// The page: choose a model and a picture or video, see the answer and where the evidence for it lies.
// Talks to the same routes as any other client; see /docs. A model that takes a seed has a view of its own.

import { answerOverTime, clearVideo, showVideo } from "./clips.js";
import { fail as failGenerator, generatorCommand, useGenerator } from "./generator.js";
import { clearObjects, resetObjects, showObjects } from "./objects.js";
import { $, call, modelPath, orFail, quoted, whole } from "./service.js";

const percent = new Intl.NumberFormat(undefined, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const SHOWN = 440; // pixels of the longest side that smaller pictures are enlarged to; the most that page.css allows
const SHOWN_NARROW = 260;
const TINY = 64; // pictures with no side above this are enlarged pixel by pixel
const HEALTH_EVERY = 10_000; // milliseconds
const FILES = {
  picture: {
    accept: "image/*,.tif,.tiff,.bmp,.webp",
    formats: "JPEG, PNG, WebP, BMP, TIFF",
    title: "What is in the picture?",
    sample: "picture.jpg",
    family: "image/",
  },
  clip: {
    accept: "video/*,.mkv,.avi,.mov,.ts,.mts,.m2ts",
    formats: "MP4, QuickTime, WebM, Matroska, AVI, MPEG-TS",
    title: "What happens in the video?",
    sample: "video.mp4",
    family: "video/",
  },
};
const PARTS = ["start", "end", "part", "every"]; // options of a call that choose parts of a video, as the timeline does
const NARROW = matchMedia("(max-width: 820px)"); // as in page.css: the answer stands below the picture

const state = {
  models: [],
  limits: { bytes: Infinity, pixels: Infinity },
  facts: null,
  asked: {}, // what is always asked of the answers, by name: the page itself leaves out what is not wanted
  options: {}, // what is asked of the answers, by name, if a control was changed
  file: null, // what is shown now, a File or Blob
  heats: new Map(), // label -> address of its heat map, for the picture shown now
  chosen: null, // label whose heat map is shown
  request: null, // AbortController of the request under way
};

// --- models -----------------------------------------------------------------------------------------------------

async function start() {
  const { models, limits } = await call("/v1/models");
  state.models = models;
  state.limits = limits;
  $("models").replaceChildren(...models.map(({ name }) => new Option(name, name)));
  $("picker").hidden = models.length < 2;
  const asked = decodeURIComponent(location.hash.slice(1));
  await useModel(models.some(({ name }) => name === asked) ? asked : models[0].name);
}

async function useModel(name) {
  $("models").value = name;
  const facts = await call(modelPath(name));
  if ($("models").value !== name) return; // another model was chosen while this one's facts arrived
  if (state.file && watches() !== (facts.takes === "clip")) dropFile(); // the other model cannot read it
  state.facts = facts;
  const { net, sees, input, explains, card_html: card } = state.facts;
  // The one list in the facts holds the names that the model tells apart, under what they are of.
  const [noun, names] = Object.entries(facts).find(([, value]) => Array.isArray(value)) ?? ["", []];
  $("facts").textContent = [
    ...new Set([name, net]),
    ...(names.length ? [`${whole.format(names.length)} ${noun}`] : []),
    makes() ? `makes ${input.width}×${input.height} pictures from a seed` : `sees ${sees}`,
  ].join(" · ");
  $("title").textContent = makes() ? "Make pictures" : files().title;
  showWords();
  $("bench").hidden = makes();
  $("generator").hidden = !makes();
  $("skip").hash = makes() ? "#generator" : "#stage";
  $("heat-tools").hidden = !explains;
  showOptions();
  if (makes()) useGenerator(facts, names, state.limits, showCommand);
  // Made by the service from Markdown with raw HTML switched off.
  $("card").innerHTML = card;
  showExamples();
  showCommand();
  if (state.file && !makes()) await predict();
}

const makes = () => state.facts?.takes === "seed";
const watches = () => state.facts?.takes === "clip";
const files = () => (watches() ? FILES.clip : FILES.picture);

function showWords() {
  const noun = watches() ? "video" : "picture";
  $("stage-title").textContent = watches() ? "Video" : "Picture";
  $("drop-title").textContent = `Drop a ${noun} here`;
  $("another").textContent = `Another ${noun}`;
  $("skip").textContent = `Skip to the ${makes() ? "pictures" : noun}`;
  $("file").accept = files().accept;
  $("limits").textContent = `${files().formats} · up to ${whole.format(Math.floor(state.limits.bytes / 1e6))} MB`;
}

// What may be asked of an answer: a control for each, made from its JSON schema.
function showOptions() {
  const options = makes() ? [] : Object.entries(state.facts.options);
  state.options = {};
  state.asked = Object.fromEntries(options.filter(([, { page }]) => page !== undefined).map(([name, { page }]) => [name, page]));
  resetObjects(state.asked.threshold ?? 0);
  const controls = options.filter(([name]) => !(name in state.asked) && !(watches() && PARTS.includes(name)));
  $("options").hidden = controls.length === 0;
  $("options").replaceChildren(...controls.map(([name, schema]) => optionControl(name, schema)));
  const asked = [...options.map(([name, { default: value }]) => [name, value ?? "…"]), ...(state.facts.explains ? [["explain", true]] : [])];
  $("call-options").hidden = asked.length === 0;
  $("call-options").textContent = `Options of a call: ${asked.map(([name, value]) => `?${name}=${value}`).join(", ")}.`;
}

function optionControl(name, schema) {
  // An option that may be left open has two types, one of which is null.
  const { type, enum: values, minimum, maximum } = schema.anyOf?.find((one) => one.type !== "null") ?? schema;
  const { title, default: value, description } = schema;
  const control = document.createElement(values ? "select" : "input");
  if (values) control.replaceChildren(...values.map((one) => new Option(one, one, one === value, one === value)));
  else if (type === "boolean") Object.assign(control, { type: "checkbox", checked: value });
  else if (type === "integer" || type === "number") {
    Object.assign(control, { type: "number", value: value ?? "", min: minimum ?? "", max: maximum ?? "", step: type === "integer" ? 1 : "any" });
  } else control.value = value ?? "";
  control.id = `option-${name}`;
  control.addEventListener("change", () => {
    if (!control.reportValidity()) return;
    if (control.value === "") delete state.options[name];
    else state.options[name] = type === "boolean" ? control.checked : control.value;
    if (state.file) predict();
  });
  const label = Object.assign(document.createElement("label"), { className: "quiet small", title: description ?? "" });
  label.append(title, control);
  return label;
}

function showExamples() {
  const { name, examples } = state.facts;
  $("examples").hidden = examples === 0;
  $("example-list").replaceChildren(
    ...Array.from({ length: Math.min(examples, 8) }, (_, index) => {
      const src = `${modelPath(name)}/examples/${index}`;
      const image = watches()
        ? Object.assign(document.createElement("video"), { src, muted: true, playsInline: true, preload: "auto", ariaHidden: true })
        : Object.assign(new Image(), { src, alt: `Example ${index + 1}` });
      const button = Object.assign(document.createElement("button"), { type: "button", ariaLabel: `Example ${index + 1}` });
      button.setAttribute("aria-pressed", "false");
      button.append(image);
      button.addEventListener("click", async () => {
        const answer = await fetch(src).catch(() => null);
        if (!answer?.ok) return fail("This example cannot be fetched. Is the service still running?");
        await choose(await answer.blob());
        button.setAttribute("aria-pressed", "true");
      });
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}

async function showHealth() {
  const pill = $("health");
  let text = "Not reachable";
  let ready = false;
  try {
    const answer = await fetch("/readyz");
    const body = await answer.json();
    ready = answer.ok;
    text = ready ? "Ready" : "Not ready";
    pill.title = body.error ?? "Every model answers its witnesses as it did when trained";
  } catch {
    pill.title = "The service does not answer";
  }
  pill.classList.toggle("good", ready);
  pill.classList.toggle("bad", !ready);
  if (pill.lastElementChild.textContent !== text) pill.lastElementChild.textContent = text;
}

// --- the picture ------------------------------------------------------------------------------------------------

async function choose(file) {
  if (makes()) return fail("This model makes pictures and takes none.");
  for (const button of document.querySelectorAll(".examples button")) button.setAttribute("aria-pressed", "false");
  if (file.size > state.limits.bytes) {
    return fail(`This file has ${whole.format(file.size)} bytes; the service takes ${whole.format(state.limits.bytes)}.`);
  }
  state.file = file;
  state.chosen = null;
  showPicture(file);
  if (!state.facts) return; // useModel goes on with it once the model is known
  showCommand();
  await predict();
}

function showPicture(file) {
  const picture = $("picture");
  dropHeats();
  clearObjects();
  clearVideo();
  $("drop").hidden = true;
  $("shown").hidden = false;
  $("tools").hidden = false;
  $("layers").hidden = watches();
  $("no-preview").hidden = true;
  URL.revokeObjectURL(picture.src);
  picture.removeAttribute("width");
  picture.classList.remove("tiny");
  if (watches()) {
    picture.removeAttribute("src");
    showVideo(file);
  } else picture.src = URL.createObjectURL(file);
}

function dropFile() {
  state.request?.abort();
  state.file = null;
  clearVideo();
  for (const id of ["shown", "tools", "result", "failure"]) $(id).hidden = true;
  for (const id of ["drop", "empty"]) $(id).hidden = false;
}

$("picture").addEventListener("load", () => {
  const picture = $("picture");
  const longest = Math.max(picture.naturalWidth, picture.naturalHeight);
  const wanted = NARROW.matches ? SHOWN_NARROW : longest > TINY ? SHOWN : 320;
  if (longest < wanted) picture.width = Math.round((picture.naturalWidth / longest) * wanted);
  picture.classList.toggle("tiny", longest <= TINY);
});
$("picture").addEventListener("error", () => {
  $("layers").hidden = true;
  $("no-preview").hidden = false;
});

function dropHeats() {
  for (const address of state.heats.values()) URL.revokeObjectURL(address);
  state.heats.clear();
  $("heat").hidden = true;
  $("heat").removeAttribute("src");
}

// --- the answer -------------------------------------------------------------------------------------------------

const wantsHeat = () => state.facts.explains && $("heat-on").checked;

async function ask(query) {
  state.request?.abort();
  const request = (state.request = new AbortController());
  const type = state.file.type.startsWith(files().family) ? state.file.type : "application/octet-stream";
  $("answer").setAttribute("aria-busy", "true");
  try {
    return await call(`${modelPath(state.facts.name)}/predict?${new URLSearchParams(query)}`, {
      method: "POST",
      body: state.file,
      headers: { "Content-Type": type },
      signal: request.signal,
    });
  } finally {
    if (state.request === request) $("answer").setAttribute("aria-busy", "false");
  }
}

async function predict() {
  dropHeats();
  const explain = wantsHeat();
  const start = performance.now();
  await orFail(async () => {
    const answer = await ask({ shapes: true, ...state.asked, ...state.options, ...(explain && { explain }) });
    show(answer);
    $("timing").textContent = `Answered in ${whole.format(Math.round(performance.now() - start))} ms`;
    if (explain) await keepHeat(answer);
    if (watches()) answerOverTime(state.file, state.facts, answer.shapes, state.limits.parts);
    if (NARROW.matches) $("result").scrollIntoView({ block: "nearest", behavior: "smooth" });
  }, fail);
}

async function explain(label) {
  state.chosen = label;
  showChosen();
  if (!state.heats.has(label)) {
    await orFail(async () => {
      await keepHeat(await ask({ explain: true, label }));
      // An earlier failure may have taken the classes' place.
      $("failure").hidden = true;
      $("summary").hidden = false;
    }, fail);
  }
  showHeat();
}

async function keepHeat({ heatmap, map }) {
  const bytes = Uint8Array.from(atob(heatmap), (letter) => letter.charCodeAt(0));
  state.heats.set(map.label, URL.createObjectURL(new Blob([bytes], { type: "image/png" })));
  showHeat();
}

function showHeat() {
  const address = state.heats.get(state.chosen);
  const shown = wantsHeat() && address !== undefined;
  const heat = $("heat");
  heat.hidden = !shown;
  if (shown) {
    heat.src = address;
    heat.alt = `Where the evidence for ${state.chosen} lies`;
    heat.style.opacity = $("opacity").value / 100;
  }
  $("opacity").disabled = !wantsHeat();
  showChosen();
}

function show(answer) {
  $("failure").hidden = true;
  $("empty").hidden = true;
  $("result").hidden = false;
  const objects = "threshold" in state.asked;
  $("summary").hidden = objects;
  if (objects) showObjects(answer.shapes, answer[state.facts.kind], state.file);
  else showShapes(answer.shapes);
}

function showShapes(shapes) {
  state.chosen = shapes[0].name;
  const some = shapes.some(({ on }) => on !== null);
  const chips = shapes.filter(({ on }) => on === true);
  $("best").hidden = chips.length > 0;
  $("best-label").textContent = some ? "None" : shapes[0].name;
  $("best-score").textContent = some ? "no score reaches its threshold" : shownText(shapes[0]);
  $("chips").hidden = chips.length === 0;
  $("chips").replaceChildren(...chips.map(({ name }) => Object.assign(document.createElement("li"), { textContent: name })));
  // Words of the first shape are the headline already; they are not said twice.
  $("bars").replaceChildren(...(shapes[0].shape === "text" ? shapes.slice(1) : shapes).map(row));
  showChosen();
}

const shownText = ({ share, text }) => (share === null ? text : percent.format(share));

// The one place that draws what stands beside the picture: a bar, or words.
function row(shape) {
  const explained = state.facts.explains && shape.shape === "bar";
  const row = document.createElement(explained ? "button" : "div");
  row.className = "class";
  row.classList.toggle("off", shape.on === false);
  row.dataset.label = shape.name;
  const name = Object.assign(document.createElement("span"), { className: "name", textContent: shape.name });
  const value = Object.assign(document.createElement("span"), { className: "value", textContent: shownText(shape) });
  row.append(name, value);
  if (shape.share !== null) {
    const track = Object.assign(document.createElement("span"), { className: "track" });
    const fill = Object.assign(document.createElement("span"), { className: "fill" });
    fill.style.width = `${shape.share * 100}%`;
    track.append(fill);
    if (shape.mark !== null) {
      const mark = Object.assign(document.createElement("span"), { className: "mark", title: `threshold ${shownText({ share: shape.mark })}` });
      mark.style.left = `${Math.min(1, shape.mark) * 100}%`;
      track.append(mark);
    }
    row.append(track);
  }
  if (explained) {
    row.type = "button";
    row.title = `Show where the evidence for ${shape.name} lies`;
    row.addEventListener("click", () => {
      $("heat-on").checked = true;
      explain(shape.name);
    });
  }
  const item = document.createElement("li");
  item.append(row);
  return item;
}

function showChosen() {
  for (const row of document.querySelectorAll("button.class")) {
    row.setAttribute("aria-pressed", String(wantsHeat() && row.dataset.label === state.chosen));
  }
}

function fail(message) {
  if (makes()) {
    failGenerator(message);
    return;
  }
  $("failure").textContent = message;
  $("failure").hidden = false;
  $("empty").hidden = true;
  // The options stay in reach: one of them may be what the service refused.
  $("result").hidden = !state.file;
  $("summary").hidden = true;
  $("timing").textContent = "";
  clearObjects();
}

// --- the command ------------------------------------------------------------------------------------------------

function showCommand() {
  if (makes()) {
    $("curl").textContent = generatorCommand();
    return;
  }
  const file = state.file?.name ?? files().sample;
  $("curl").textContent = `curl -F ${quoted(`file=@${file}`)} ${location.origin}${modelPath(state.facts.name)}/predict`;
}

async function copy() {
  const code = $("curl");
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    // Without HTTPS a browser has no clipboard for pages: select the line, so that one key copies it.
    getSelection().selectAllChildren(code);
    $("copy").textContent = "Selected";
    return;
  }
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1600);
}

// --- what people do ---------------------------------------------------------------------------------------------

$("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  if (file) choose(file);
  target.value = ""; // so that the same file may be chosen again
});
$("another").addEventListener("click", () => $("file").click());
$("copy").addEventListener("click", copy);
$("models").addEventListener("change", ({ target }) => {
  history.replaceState(null, "", `#${encodeURIComponent(target.value)}`);
  orFail(() => useModel(target.value), fail);
});
$("heat-on").addEventListener("change", () => (wantsHeat() && state.chosen ? explain(state.chosen) : showHeat()));
$("opacity").addEventListener("input", () => ($("heat").style.opacity = $("opacity").value / 100));

addEventListener("dragover", (event) => {
  event.preventDefault();
  $("stage").classList.add("over");
});
addEventListener("dragleave", ({ relatedTarget }) => relatedTarget ?? $("stage").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  $("stage").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) choose(file);
  else fail("Drop a file; a link or text cannot be read here.");
});
addEventListener("paste", ({ clipboardData }) => {
  const [file] = clipboardData.files;
  if (file) choose(file);
});

showHealth();
setInterval(() => document.hidden || showHealth(), HEALTH_EVERY);
orFail(start, fail);
