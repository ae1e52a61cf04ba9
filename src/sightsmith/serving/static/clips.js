// The view of a video: the file itself, and the answers to its parts over time, which the service sends one by one.

import { colourOf } from "./objects.js";
import { $, callForLines, modelPath, orFail, whole } from "./service.js";

const MOST_PARTS = 24;
const MOST_TRACKS = 6;
const USUAL_SECONDS = 1; // of a part at the least, if the model's own frames do not say
const LEAST = 0.01; // seconds of a part that the service answers, and from one to the next
const ROUNDING = 1e-6; // of a number of parts

const percent = new Intl.NumberFormat(undefined, { style: "percent" });
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const seconds = (time) => `${tenths.format(time)} s`;

const state = {
  file: null,
  facts: null, // of the model that is asked
  names: [], // of its classes
  most: MOST_PARTS, // parts that are asked for
  parts: [], // { start, end, shares, error }: those answered; `shares` has that of each class, null if it failed
  count: 0, // parts to come in all
  request: null, // AbortController of the parts that are asked now
};

// --- the video --------------------------------------------------------------------------------------------------

export function showVideo(file) {
  const video = $("video");
  video.hidden = false;
  video.src = URL.createObjectURL(file);
}

export function clearVideo() {
  stop();
  const video = $("video");
  if (video.src) URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
  video.load(); // what it showed is let go
  video.hidden = true;
  $("timeline").hidden = true;
  Object.assign(state, { file: null, parts: [], count: 0 });
}

/** Return the length of the video in seconds; 0 if the browser does not know it. */
const length = () => (Number.isFinite($("video").duration) ? $("video").duration : 0);

// --- its parts --------------------------------------------------------------------------------------------------

/** Ask the model about parts of the video, once the browser knows its length; `shapes` is the answer to all of it. */
export function answerOverTime(file, facts, shapes, most) {
  const [, names] = Object.entries(facts).find(([, value]) => Array.isArray(value)) ?? ["", []];
  const again = state.file === file && state.facts?.name === facts.name;
  if (again || !shapes.some(({ share }) => share !== null)) return;
  Object.assign(state, { file, facts, names, most: Math.min(most, MOST_PARTS), parts: [], count: 0 });
  if (length()) begin();
}

function begin() {
  const { frames, spacing } = state.facts.input;
  const wanted = spacing ? frames * spacing : Math.max(USUAL_SECONDS, length() / 8);
  $("part").value = Number(Math.min(wanted, length()).toFixed(2));
  $("part").max = length();
  $("timeline").hidden = false;
  ask();
}

/** Ask for parts that overlap by half if they are few enough, spread from the start of the video to its end. */
async function ask() {
  stop();
  const request = (state.request = new AbortController());
  const { file, facts, names, most } = state;
  const part = Math.min($("part").valueAsNumber, length());
  const left = length() - part;
  // Rounded up, so that rounding makes no part more than the service allows.
  const every = Math.ceil(1e4 * Math.max(LEAST, part / 2, left / Math.max(1, most - 1))) / 1e4;
  Object.assign(state, { parts: [], count: most > 1 ? Math.ceil(left / every - ROUNDING) + 1 : 1 });
  show();
  const top = "top" in facts.options ? { top: Math.max(1, names.length) } : {};
  const query = new URLSearchParams({ shapes: true, part: most > 1 ? part : length(), every, ...top });
  await orFail(async () => {
    const lines = callForLines(`${modelPath(facts.name)}/predict?${query}`, {
      method: "POST",
      body: file,
      headers: { "Content-Type": "application/octet-stream" },
      signal: request.signal,
    });
    for await (const { start, end, shapes, error } of lines) {
      state.parts.push({ start, end, shares: shapes ? new Map(shapes.map(({ name, share }) => [name, share ?? 0])) : null, error });
      show();
    }
    state.count = state.parts.length; // the browser may take the video for longer or shorter than the service does
    show();
  }, (message) => ($("timeline-state").textContent = message));
  if (state.request === request) stop();
}

function stop() {
  state.request?.abort();
  state.request = null;
  $("timeline-stop").hidden = true;
}

// --- drawing ----------------------------------------------------------------------------------------------------

function show() {
  const done = state.parts.filter(({ shares }) => shares !== null);
  $("timeline-stop").hidden = state.parts.length === state.count;
  $("timeline-state").textContent = words(done);
  $("track-list").replaceChildren(...tracks(done).map((name) => track(name, done)));
  $("axis").replaceChildren(...[0, 0.5, 1].map((share) => element("span", seconds(share * length()))));
  showTime();
}

function words(done) {
  const [{ parts }, count] = [state, whole.format(state.count)];
  if (parts.length < state.count) return `${whole.format(parts.length)} of ${count} parts answered`;
  const failed = parts.find(({ error }) => error);
  if (failed) return `${whole.format(parts.length - done.length)} of ${count} parts failed: ${failed.error}`;
  const part = seconds(parts[0].end - parts[0].start);
  return parts.length === 1 ? `One part of ${part}` : `${count} parts of ${part}. Choose a time to go there.`;
}

/** Return where the bar of a part begins and ends: parts that overlap share what they have in common. */
function edges(part) {
  const index = state.parts.indexOf(part);
  const [before, after] = [state.parts[index - 1], state.parts[index + 1]];
  const from = before ? (before.end + part.start) / 2 : part.start;
  // The next part is to come: it will begin as far after this one as the others did.
  const next = after?.start ?? part.start + (before ? part.start - before.start : (length() - part.end) / Math.max(1, state.count - 1));
  return [from, index === state.count - 1 ? part.end : (part.end + next) / 2];
}

/** Return the names that have a track: all in the model's order, or the surest of many. */
function tracks(done) {
  if (state.names.length <= MOST_TRACKS) return state.names;
  const best = (name) => Math.max(...done.map(({ shares }) => shares.get(name) ?? 0));
  return [...state.names].sort((a, b) => best(b) - best(a)).slice(0, MOST_TRACKS);
}

function track(name, done) {
  const item = document.createElement("li");
  const bars = element("span", "", "parts");
  for (const part of done) {
    const { start, end, shares } = part;
    const [[from, to], share] = [edges(part), shares.get(name) ?? 0];
    const bar = element("i", "");
    bar.title = `${name} ${percent.format(share)}, ${seconds(start)} to ${seconds(end)}`;
    bar.classList.toggle("best", share === Math.max(...shares.values()));
    Object.assign(bar.style, {
      left: `${(from / length()) * 100}%`,
      width: `${((to - from) / length()) * 100}%`,
      height: `${share * 100}%`,
      background: colourOf(state.names.indexOf(name)),
    });
    bars.append(bar);
  }
  item.append(element("span", name, "name small"), bars);
  return item;
}

function element(tag, text, className = "") {
  return Object.assign(document.createElement(tag), { textContent: text, className });
}

function showTime() {
  if (!length()) return;
  const time = $("video").currentTime;
  $("playhead").style.left = `${(time / length()) * 100}%`;
  const part = state.parts.find((one) => edges(one)[0] <= time && time <= edges(one)[1]);
  const [name, share] = [...(part?.shares ?? [])].reduce((best, one) => (one[1] > best[1] ? one : best), ["", -1]);
  const tracks = $("tracks");
  tracks.setAttribute("aria-valuemax", length().toFixed(2));
  tracks.setAttribute("aria-valuenow", time.toFixed(2));
  tracks.setAttribute("aria-valuetext", name ? `${seconds(time)}: ${name} ${percent.format(share)}` : seconds(time));
}

// --- what people do ---------------------------------------------------------------------------------------------

const seek = (time) => ($("video").currentTime = Math.max(0, Math.min(time, length())));

function seekPointed({ clientX }) {
  const frame = $("tracks").getBoundingClientRect();
  seek(((clientX - frame.left) / frame.width) * length());
}

$("tracks").addEventListener("pointerdown", (event) => {
  $("tracks").setPointerCapture(event.pointerId);
  seekPointed(event);
});
$("tracks").addEventListener("pointermove", (event) => event.buttons && seekPointed(event));
$("tracks").addEventListener("keydown", (event) => {
  const hop = length() / Math.max(1, state.count);
  const now = $("video").currentTime;
  const to = { ArrowLeft: now - hop, ArrowDown: now - hop, ArrowRight: now + hop, ArrowUp: now + hop, Home: 0, End: length() }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  seek(to);
});
$("part").addEventListener("change", ({ target }) => target.reportValidity() && ask());
$("timeline-stop").addEventListener("click", () => {
  stop();
  $("timeline-state").textContent = `Stopped after ${whole.format(state.parts.length)} of ${whole.format(state.count)} parts`;
});
for (const event of ["timeupdate", "seeking", "seeked"]) $("video").addEventListener(event, showTime);
$("video").addEventListener("loadedmetadata", () => state.file && state.count === 0 && length() && begin());
$("video").addEventListener("error", () => {
  if (!$("video").hasAttribute("src")) return; // it was taken away
  $("video").hidden = true;
  $("no-preview").hidden = false;
});
