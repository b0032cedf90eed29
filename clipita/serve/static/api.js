// Calls to the server. A key that the server asks for is kept for this tab alone.

const KEY = "clipita-key";

export class Failure extends Error {
  constructor(status, message, hint) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

export function keepKey(key) {
  sessionStorage.setItem(KEY, key);
}

export async function get(path, parameters = [], signal = undefined) {
  const query = new URLSearchParams(parameters).toString();
  const key = sessionStorage.getItem(KEY);
  let answer;
  try {
    answer = await fetch(query ? `${path}?${query}` : path, { signal, headers: key ? { "X-API-Key": key } : {} });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "The shop cannot be reached.", "Check your connection and try again.");
  }
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Failure(answer.status, content.error ?? `The server answered ${answer.status}.`, content.hint ?? "");
  }
  return content;
}
