// The view of an answer whose shapes are boxes: drawn over the picture, and listed beside it.
//
// The service is asked once, for all objects from a low score on. What is shown of them is chosen here and is exactly
// the service's answer with that threshold: non-maximum suppression takes a box away for a better one of its class
// alone, so whether a box stays does not depend on the boxes with lower scores, nor on those of other classes.

import { $, whole } from "./service.js";

const MOST = 300; // objects shown, as many as the service gives by default
const STEPS = 100; // of the slider from 0 to 1

const percent = new Intl.NumberFormat(undefined, { style: "percent" });

const state = {
  objects: [], // of the answer, best first: shapes, each with its JSON as `answer`
  shown: [], // those that the slider and the boxes of the filter leave
  off: new Set(), // names of classes that are not shown
  threshold: null, // that of the slider; null for the calibrated one of each class
  active: null, // the object under the pointer or the focus
  stem: "picture", // name of the picture's file without its ending
};

// --- what is shown ----------------------------------------------------------------------------------------------

/** Forget what was chosen: another model has other classes. `least` is the lowest score that is asked for. */
export function resetObjects(least) {
  Object.assign(state, { off: new Set(), threshold: null });
  $("threshold").min = Math.ceil(least * STEPS);
  clearObjects();
}

/** Take away the objects of a picture. */
export function clearObjects() {
  state.objects = [];
  $("objects").hidden = true;
  update();
}

/** Show an answer: shapes with boxes, best first, and its JSON; `file` is the picture's, for names of files. */
export function showObjects(shapes, json, file) {
  state.objects = shapes.map((shape, place) => ({ ...shape, answer: json[place] }));
  state.stem = (file.name ?? "picture").replace(/\.[^.]*$/, "");
  $("objects").hidden = false;
  update();
}

const namesOf = (objects) => [...new Map(objects.map(({ name, index }) => [name, index]))].sort(([, a], [, b]) => a - b);

function update() {
  // In the service scores and thresholds have 32 bits.
  const sure = state.objects.filter(({ share, mark }) => share >= (state.threshold === null ? mark : Math.fround(state.threshold)));
  state.shown = sure.filter(({ name }) => !state.off.has(name)).slice(0, MOST);
  state.active = null;
  showThreshold();
  showFilter(sure);
  showList();
  const counts = namesOf(state.shown).map(([name]) => `${whole.format(state.shown.filter((one) => one.name === name).length)} ${name}`);
  const number = state.shown.length;
  const total = number === 0 ? "No object" : number === 1 ? "1 object" : `${whole.format(number)} objects`;
  $("count-shown").textContent = total;
  $("boxes").setAttribute("aria-label", number === 0 ? "No object is drawn" : `${total} drawn over the picture: ${counts.join(", ")}`);
  redraw();
}

function showThreshold() {
  const marks = [...new Set(state.objects.map(({ mark }) => mark))];
  const own = marks.length === 1 ? percent.format(marks[0]) : "per class";
  const text = state.threshold === null ? own : percent.format(state.threshold);
  if (state.threshold === null) $("threshold").value = Math.round(Math.min(...marks, 1) * STEPS);
  $("threshold").setAttribute("aria-valuetext", text);
  $("threshold-shown").textContent = text;
  $("calibrated").disabled = state.threshold === null;
}

// A box to tick for each class of the answer, with how many objects reach the threshold.
function showFilter(sure) {
  const names = namesOf(state.objects);
  $("filter").hidden = names.length < 2;
  const ticked = document.activeElement?.closest?.("#filter") ? document.activeElement.value : null;
  $("filter-list").replaceChildren(
    ...names.map(([name, index]) => {
      const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name, checked: !state.off.has(name) });
      box.addEventListener("change", () => {
        if (box.checked) state.off.delete(name);
        else state.off.add(name);
        update();
      });
      const count = sure.filter((one) => one.name === name).length;
      const label = document.createElement("label");
      label.append(box, swatch(index), element("span", name), element("span", whole.format(count), "quiet"));
      return label;
    }),
  );
  // The one that was ticked keeps the focus.
  if (ticked !== null) [...$("filter-list").querySelectorAll("input")].find(({ value }) => value === ticked)?.focus();
}

function showList() {
  $("object-list").replaceChildren(...state.shown.map(row));
  const first = $("object-list").querySelector("button");
  if (first) first.tabIndex = 0;
}

function row(object, place) {
  const [left, top, right, bottom] = object.box.map(Math.round);
  const button = element("button", "", "class object");
  Object.assign(button, { type: "button", tabIndex: -1 });
  button.append(
    swatch(object.index),
    element("span", object.name, "name"),
    element("span", percent.format(object.share), "value"),
    element("span", `${right - left} × ${bottom - top} pixels at ${left}, ${top}`, "quiet small where"),
  );
  for (const event of ["focus", "mouseenter"]) button.addEventListener(event, () => activate(place));
  for (const event of ["blur", "mouseleave"]) button.addEventListener(event, () => activate(null));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function element(tag, text, className = "") {
  return Object.assign(document.createElement(tag), { textContent: text, className });
}

function swatch(index) {
  const made = element("i", "", "swatch");
  made.style.background = colourOf(index);
  made.setAttribute("aria-hidden", "true");
  return made;
}

function activate(place) {
  if (state.active === place) return;
  state.active = place;
  for (const [at, button] of [...$("object-list").querySelectorAll("button")].entries()) {
    button.classList.toggle("active", at === place);
  }
  redraw();
}

// --- drawing ----------------------------------------------------------------------------------------------------

/** Return the colour of a class by its number; `colour_of` of the package computes the same. */
export function colourOf(index) {
  return `hsl(${Math.round((215 + 137.508 * index) % 360)} 85% ${[46, 38, 56][index % 3]}%)`;
}

/** Draw boxes, the best on top; `scale` is pixels of the canvas a pixel of the picture, `unit` the size of letters. */
function draw(context, objects, active, scale, unit) {
  const { width, height } = context.canvas;
  const order = [...objects.keys()].reverse().filter((place) => place !== active);
  if (active !== null) order.push(active);
  for (const place of order) outline(context, objects[place], scale, unit, active !== null && place !== active);
  context.globalAlpha = 1;
  const taken = []; // places of the words so far: those that would cover others are left out
  const named = [...objects.keys()].sort((a, b) => (b === active) - (a === active));
  for (const place of named) {
    if (active !== null && place !== active) continue;
    plate(context, objects[place], scale, unit, taken, { width, height });
  }
}

function outline(context, { box, index }, scale, unit, pale) {
  const [left, top, right, bottom] = box.map((edge) => edge * scale);
  const line = Math.max(1.5, unit / 7);
  context.globalAlpha = pale ? 0.35 : 1;
  // White around the colour keeps it visible on dark and busy places.
  for (const [style, wide] of [["#ffffff", line * 1.9], [colourOf(index), line]]) {
    context.strokeStyle = style;
    context.lineWidth = wide;
    context.strokeRect(left, top, Math.max(1, right - left), Math.max(1, bottom - top));
  }
}

function plate(context, { box, index, name, share }, scale, unit, taken, { width, height }) {
  context.font = `600 ${unit}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const words = `${name} ${percent.format(share)}`;
  const high = unit * 1.45;
  const wide = Math.min(width, context.measureText(words).width + unit * 0.7);
  const left = Math.max(0, Math.min(box[0] * scale, width - wide));
  const top = Math.min(box[1] * scale >= high ? box[1] * scale - high : box[1] * scale, height - high);
  if (taken.some((one) => left < one.left + one.wide && one.left < left + wide && top < one.top + high && one.top < top + high)) return;
  taken.push({ left, top, wide });
  context.fillStyle = colourOf(index);
  context.fillRect(left, top, wide, high);
  context.fillStyle = lettersOn(context);
  context.fillText(words, left + unit * 0.35, top + high / 2 + unit * 0.05, wide - unit * 0.5);
}

/** Return white or black: what can be read on the fill, by its relative luminance (WCAG 2). */
function lettersOn({ fillStyle }) {
  const parts = fillStyle.match(/[0-9a-f]{2}/gi).map((pair) => parseInt(pair, 16) / 255);
  const [red, green, blue] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.36 ? "#ffffff" : "#000000";
}

function redraw() {
  const [canvas, picture] = [$("boxes"), $("picture")];
  canvas.hidden = state.objects.length === 0;
  if (canvas.hidden || !picture.clientWidth || !picture.naturalWidth) return;
  const dense = devicePixelRatio || 1;
  canvas.width = Math.round(picture.clientWidth * dense);
  canvas.height = Math.round(picture.clientHeight * dense);
  draw(canvas.getContext("2d"), state.shown, state.active, canvas.width / picture.naturalWidth, 12 * dense);
}

/** Return the place of the smallest box around a point of the page, null for none. */
function placeAt({ clientX, clientY }) {
  const [frame, scale] = [$("picture").getBoundingClientRect(), $("picture").clientWidth / $("picture").naturalWidth];
  const [x, y] = [(clientX - frame.left) / scale, (clientY - frame.top) / scale];
  const area = ({ box: [left, top, right, bottom] }) => (right - left) * (bottom - top);
  const around = [...state.shown.keys()].filter((place) => {
    const [left, top, right, bottom] = state.shown[place].box;
    return left <= x && x <= right && top <= y && y <= bottom;
  });
  return around.sort((a, b) => area(state.shown[a]) - area(state.shown[b]))[0] ?? null;
}

// --- what people do ---------------------------------------------------------------------------------------------

function save(content, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser may read it after the click
}

$("threshold").addEventListener("input", ({ target }) => {
  state.threshold = target.valueAsNumber / STEPS;
  update();
});
$("calibrated").addEventListener("click", () => {
  state.threshold = null;
  update();
  $("threshold").focus();
});
$("object-list").addEventListener("keydown", (event) => {
  const buttons = [...$("object-list").querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined || !buttons[to]) return;
  event.preventDefault();
  buttons[at].tabIndex = -1;
  buttons[to].tabIndex = 0;
  buttons[to].focus();
});
for (const event of ["pointermove", "pointerdown"]) {
  $("boxes").addEventListener(event, (pointed) => {
    const place = placeAt(pointed);
    activate(place);
    // Scrolls the list alone, not the page.
    const item = place === null ? null : $("object-list").children[place];
    if (item) $("object-list").scrollTop = item.offsetTop - ($("object-list").clientHeight - item.clientHeight) / 2;
  });
}
$("boxes").addEventListener("pointerleave", () => activate(null));
$("picture").addEventListener("load", () => {
  $("save-picture").hidden = false;
  redraw();
});
$("picture").addEventListener("error", () => {
  $("save-picture").hidden = true; // this browser cannot draw it
});
new ResizeObserver(redraw).observe($("picture"));

$("save-json").addEventListener("click", () => {
  const text = JSON.stringify(state.shown.map(({ answer }) => answer), null, 1);
  save(new Blob([`${text}\n`], { type: "application/json" }), `${state.stem}.json`);
});
$("save-picture").addEventListener("click", () => {
  const picture = $("picture");
  const canvas = Object.assign(document.createElement("canvas"), { width: picture.naturalWidth, height: picture.naturalHeight });
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  // Letters grow with the picture, but do not bury many small objects in a large one; as in the package's drawing.
  const sides = state.shown.map(({ box: [left, top, right, bottom] }) => Math.min(right - left, bottom - top)).sort((a, b) => a - b);
  const usual = sides[Math.floor(sides.length / 2)] ?? 0;
  draw(context, state.shown, null, 1, Math.max(10, Math.min(40, Math.max(canvas.width, canvas.height) / 42, usual / 6)));
  canvas.toBlob((content) => save(content, `${state.stem}-drawn.png`), "image/png");
});
