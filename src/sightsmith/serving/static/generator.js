// The view of a model that makes pictures: a class, a seed and a count, a gallery, and the pictures between two of it.

import { $, call, orFail, quoted, whole } from "./service.js";

const ADDRESS = "/v1/images/generations";
const USUAL = 8; // pictures, unless the service allows fewer
const TINY = 64; // pictures with no side above this are enlarged pixel by pixel
const SEEDS = 2 ** 32; // that the dice draws from

const state = {
  facts: null,
  names: [], // classes that can be asked for
  changed: () => {}, // called when what is asked has changed
  chosen: [], // one or two pictures of the gallery, as objects of `pictures`
  request: null, // AbortController of the gallery's request under way
  between: null, // AbortController of the request for a picture between two
};

/** Show the view of a model; `changed` is called when the command for what is asked has changed. */
export function useGenerator(facts, names, limits, changed) {
  const another = state.facts?.name !== facts.name;
  Object.assign(state, { facts, names, changed });
  if (!another) return;
  const { width, height } = facts.input;
  const most = Math.max(1, Math.min(limits.generated_pictures, Math.floor(limits.pixels / (width * height))));
  $("ask-label").hidden = names.length === 0;
  $("label").replaceChildren(new Option("each in turn", ""), ...names.map((name) => new Option(name, name)));
  $("count").max = most;
  $("count").value = Math.min(USUAL, most);
  state.request?.abort();
  showGallery([]);
  $("below").hidden = true;
  $("generator-failure").hidden = true;
  $("generator-empty").hidden = false;
}

/** Return the command line that asks for the pictures of the form. */
export function generatorCommand() {
  const json = JSON.stringify({ model: state.facts.name, prompt: "", ...asked() });
  return `curl -H 'Content-Type: application/json' -d ${quoted(json)} ${location.origin}${ADDRESS}`;
}

const asked = () => ({
  n: $("count").valueAsNumber,
  seed: $("seed").valueAsNumber,
  ...($("label").value && { label: $("label").value }),
});

const generate = (fields, signal) =>
  call(ADDRESS, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model: state.facts.name, prompt: "", ...fields }),
    signal,
  });

// --- the gallery ------------------------------------------------------------------------------------------------

async function make() {
  state.request?.abort();
  const request = (state.request = new AbortController());
  const start = performance.now();
  $("gallery").setAttribute("aria-busy", "true");
  await orFail(async () => {
    const { data, seed } = await generate(asked(), request.signal);
    showGallery(data.map((one) => ({ ...one, seed })));
    const count = data.length === 1 ? "1 picture" : `${whole.format(data.length)} pictures`;
    $("made").textContent = `${count} of seed ${seed} in ${whole.format(Math.round(performance.now() - start))} ms`;
    $("generator-failure").hidden = true;
    $("generator-empty").hidden = true;
    $("below").hidden = false;
  }, fail);
  if (state.request === request) $("gallery").setAttribute("aria-busy", "false");
}

/** Say what went wrong, in the generator's view. */
export function fail(message) {
  $("generator-failure").textContent = message;
  $("generator-failure").hidden = false;
}

function showGallery(pictures) {
  choose([]);
  $("between").hidden = pictures.length < 2;
  $("gallery").replaceChildren(...pictures.map(item));
}

const address = ({ b64_json: png }) => `data:image/png;base64,${png}`;
const words = ({ seed, index, label }) => [`picture ${index} of seed ${seed}`, ...(label === null ? [] : [label])].join(", ");
const fileName = ({ seed, index, label }) =>
  `${[seed, String(index).padStart(5, "0"), ...(label === null ? [] : [label])].join("-").replace(/[^\p{L}\p{N}_-]/gu, "_")}.png`;

function item(picture) {
  const image = shownPicture(new Image(), picture);
  const button = Object.assign(document.createElement("button"), { type: "button", title: "Choose it for the pictures between two" });
  button.setAttribute("aria-pressed", "false");
  button.append(image);
  button.addEventListener("click", () => toggle(picture));
  picture.button = button;
  const caption = document.createElement("figcaption");
  const label = Object.assign(document.createElement("strong"), { textContent: picture.label ?? "" });
  const from = Object.assign(document.createElement("span"), {
    className: "quiet", textContent: `seed ${picture.seed} · no. ${picture.index}`,
  });
  const link = Object.assign(document.createElement("a"), { href: image.src, download: fileName(picture), textContent: "Save" });
  link.setAttribute("aria-label", `Save ${words(picture)}`);
  caption.append(label, link, from);
  const figure = document.createElement("figure");
  figure.append(button, caption);
  const place = document.createElement("li");
  place.append(figure);
  return place;
}

function shownPicture(image, picture) {
  image.src = address(picture);
  image.alt = `Generated ${words(picture)}`;
  const { width, height } = state.facts.input;
  image.classList.toggle("tiny", Math.max(width, height) <= TINY);
  return image;
}

// --- between two pictures ---------------------------------------------------------------------------------------

function toggle(picture) {
  const others = state.chosen.filter((one) => one !== picture);
  choose(others.length < state.chosen.length ? others : [...others.slice(-1), picture]);
}

function choose(pictures) {
  state.between?.abort();
  for (const { button } of state.chosen) button.setAttribute("aria-pressed", "false");
  for (const { button } of pictures) button.setAttribute("aria-pressed", "true");
  state.chosen = pictures;
  const both = pictures.length === 2;
  $("between-hint").textContent = pictures.length === 1 ? "Choose one more picture above." : "Choose two pictures above.";
  $("between-hint").hidden = both;
  $("between-shown").hidden = !both;
  if (!both) return;
  shownPicture($("between-first"), pictures[0]);
  shownPicture($("between-second"), pictures[1]);
  $("share").value = 50;
  showBetween();
}

// The class cannot lie between two: it is that of the nearer picture.
async function showBetween() {
  state.between?.abort();
  const request = (state.between = new AbortController());
  const [first, second] = state.chosen;
  const share = $("share").valueAsNumber / 100;
  const { label } = share < 0.5 ? first : second;
  await orFail(async () => {
    const { data } = await generate(
      {
        seed: first.seed, index: first.index, other_seed: second.seed, other_index: second.index, share,
        ...(label !== null && { label }),
      },
      request.signal,
    );
    const [picture] = data;
    const middle = shownPicture($("between-middle"), { ...picture, seed: first.seed });
    const percent = Math.round(share * 100);
    middle.alt = `Generated picture at ${percent} % of the way from the first to the second`;
    $("between-caption").textContent = [`${percent} %`, ...(label === null ? [] : [label])].join(" · ");
    $("share").setAttribute("aria-valuetext", $("between-caption").textContent);
    $("between-save").href = middle.src;
    $("between-save").download = `${first.seed}-${first.index}-to-${second.seed}-${second.index}-at-${percent}.png`;
    $("generator-failure").hidden = true;
  }, fail);
}

// --- what people do ---------------------------------------------------------------------------------------------

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  make();
});
$("ask").addEventListener("input", () => state.changed());
$("dice").addEventListener("click", () => {
  $("seed").value = Math.floor(Math.random() * SEEDS);
  state.changed();
  if ($("ask").reportValidity()) make();
});
$("share").addEventListener("input", showBetween);
$("save-all").addEventListener("click", () => {
  for (const link of $("gallery").querySelectorAll("a")) link.click();
});
