// The view of a video: the file itself, and the answers to its parts over time, which the service is asked for in turn.

import { colourOf } from "./objects.js";
import { $, call, modelPath, orFail, whole } from "./service.js";

const MOST_PARTS = 24; // the service gets the file once a part
const MOST_TRACKS = 6;
const USUAL_SECONDS = 1; // of a part at the least, if the model's own frames do not say
const ROUNDING = 1e-6; // of a number of parts

const percent = new Intl.NumberFormat(undefined, { style: "percent" });
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const seconds = (time) => `${tenths.format(time)} s`;

const state = {
  file: null,
  facts: null, // of the model that is asked
  names: [], // of its classes
  parts: [], // { start, end, from, to, shares }: the part asked, where its bar stands, and the share of each class
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
  Object.assign(state, { file: null, parts: [] });
}

/** Return the length of the video in seconds; 0 if the browser does not know it. */
const length = () => (Number.isFinite($("video").duration) ? $("video").duration : 0);

// --- its parts --------------------------------------------------------------------------------------------------

/** Ask the model about parts of the video, once the browser knows its length; `shapes` is the answer to all of it. */
export function answerOverTime(file, facts, shapes) {
  const [, names] = Object.entries(facts).find(([, value]) => Array.isArray(value)) ?? ["", []];
  const again = state.file === file && state.facts?.name === facts.name;
  if (again || !shapes.some(({ share }) => share !== null)) return;
  Object.assign(state, { file, facts, names, parts: [] });
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

/** Return parts of the video that overlap by half if they are few enough, spread from its start to its end. */
function partsOf(part) {
  const all = length();
  const count = Math.max(1, Math.min(MOST_PARTS, Math.ceil((all - part) / (part / 2) - ROUNDING) + 1));
  const hop = count > 1 ? (all - part) / (count - 1) : 0;
  const middle = (index) => index * hop + part / 2;
  return Array.from({ length: count }, (_, index) => ({
    start: index * hop,
    end: index * hop + part,
    from: index === 0 ? 0 : middle(index - 0.5),
    to: index === count - 1 ? all : middle(index + 0.5),
    shares: null,
  }));
}

async function ask() {
  stop();
  const request = (state.request = new AbortController());
  const { file, facts, names } = state;
  state.parts = partsOf(Math.min($("part").valueAsNumber, length()));
  show();
  const top = "top" in facts.options ? { top: Math.max(1, names.length) } : {};
  await orFail(async () => {
    for (const part of state.parts) {
      const query = new URLSearchParams({ shapes: true, start: part.start.toFixed(3), end: part.end.toFixed(3), ...top });
      const { shapes } = await call(`${modelPath(facts.name)}/predict?${query}`, {
        method: "POST",
        body: file,
        headers: { "Content-Type": "application/octet-stream" },
        signal: request.signal,
      });
      part.shares = new Map(shapes.map(({ name, share }) => [name, share ?? 0]));
      show();
    }
  }, (message) => ($("timeline-state").textContent = message));
  if (state.request !== request) return;
  const failed = state.parts.some(({ shares }) => shares === null);
  state.request = null;
  if (failed) $("timeline-stop").hidden = true;
  else show();
}

function stop() {
  state.request?.abort();
  state.request = null;
  $("timeline-stop").hidden = true;
}

// --- drawing ----------------------------------------------------------------------------------------------------

function show() {
  const done = state.parts.filter(({ shares }) => shares !== null);
  const [count, part] = [state.parts.length, seconds(state.parts[0].end - state.parts[0].start)];
  $("timeline-stop").hidden = done.length === count;
  $("timeline-state").textContent =
    done.length < count ? `${whole.format(done.length)} of ${whole.format(count)} parts answered` : count === 1 ? `One part of ${part}` : `${whole.format(count)} parts of ${part}. Choose a time to go there.`;
  $("track-list").replaceChildren(...tracks(done).map((name) => track(name, done)));
  $("axis").replaceChildren(...[0, 0.5, 1].map((share) => element("span", seconds(share * length()))));
  showTime();
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
  for (const { from, to, start, end, shares } of done) {
    const share = shares.get(name) ?? 0;
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
  const part = state.parts.find(({ from, to }) => from <= time && time <= to);
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
  const hop = length() / Math.max(1, state.parts.length);
  const now = $("video").currentTime;
  const to = { ArrowLeft: now - hop, ArrowDown: now - hop, ArrowRight: now + hop, ArrowUp: now + hop, Home: 0, End: length() }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  seek(to);
});
$("part").addEventListener("change", ({ target }) => target.reportValidity() && ask());
$("timeline-stop").addEventListener("click", () => {
  const done = state.parts.filter(({ shares }) => shares !== null).length;
  stop();
  $("timeline-state").textContent = `Stopped after ${whole.format(done)} of ${whole.format(state.parts.length)} parts`;
});
for (const event of ["timeupdate", "seeking", "seeked"]) $("video").addEventListener(event, showTime);
$("video").addEventListener("loadedmetadata", () => state.file && state.parts.length === 0 && length() && begin());
$("video").addEventListener("error", () => {
  if (!$("video").hasAttribute("src")) return; // it was taken away
  $("video").hidden = true;
  $("no-preview").hidden = false;
});
