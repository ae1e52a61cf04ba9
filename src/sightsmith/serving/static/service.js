// How every part of the page talks to the service, and small helpers that all of them use.

export const $ = (id) => document.getElementById(id);
export const whole = new Intl.NumberFormat();

export class Refused extends Error {}

export async function call(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The service does not answer. Is it still running?");
  }
  const body = await answer.json().catch((error) => {
    if (error.name === "AbortError") throw error; // something else was asked for while this answer arrived
    throw new Refused(`The service answered ${answer.status}, not JSON.`);
  });
  // Under /v1/images an error is an object, as OpenAI's clients expect.
  if (!answer.ok) throw new Refused(body.error?.message ?? body.error ?? `The service answered ${answer.status}.`);
  return body;
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
