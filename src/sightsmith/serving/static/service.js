// How every part of the page talks to the service, and small helpers that all of them use.

export const $ = (id) => document.getElementById(id);
export const whole = new Intl.NumberFormat();

export class Refused extends Error {}

async function answered(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The service does not answer. Is it still running?");
  }
}

async function jsonOf(answer) {
  const body = await answer.json().catch((error) => {
    if (error.name === "AbortError") throw error; // something else was asked for while this answer arrived
    throw new Refused(`The service answered ${answer.status}, not JSON.`);
  });
  // Under /v1/images an error is an object, as OpenAI's clients expect.
  if (!answer.ok) throw new Refused(body.error?.message ?? body.error ?? `The service answered ${answer.status}.`);
  return body;
}

export const call = async (path, options) => jsonOf(await answered(path, options));

/** Yield the objects of an answer that has one in each line, as they arrive. */
export async function* callForLines(path, options) {
  const answer = await answered(path, options);
  if (!answer.ok) await jsonOf(answer); // throws its message
  let rest = "";
  try {
    for (const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      yield* lines.map((line) => JSON.parse(line));
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The service stopped in the middle of its answer. Is it still running?");
  }
}

export const modelPath = (name) => `/v1/models/${encodeURIComponent(name)}`;

/** Return a text as one word of a command line. */
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** Do some work; tell `fail` its message if it fails, and nothing if it was given up. */
export async function orFail(work, fail) {
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Refused)) console.error(error);
    fail(error.message);
  }
}
