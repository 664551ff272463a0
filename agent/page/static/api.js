// Talking to the box.

export const session = { signed_in: false, needs_password: false, token: "", pictures: false, picture_seconds: 0.2, palette: [], full: null };

export class Refused extends Error {
  constructor(status, text, problems) {
    super(text);
    this.status = status;
    this.problems = problems;
  }
}

async function answer(response) {
  const document = await response.json().catch(() => ({}));
  if (response.ok) return document;
  throw new Refused(response.status, document.error ?? `the box answered ${response.status}`, document.problems ?? []);
}

export async function get(path) {
  return answer(await fetch(path, { cache: "no-store" }));
}

export async function send(method, path, document) {
  const headers = { "Content-Type": "application/json", "X-Edgetally-Token": session.token };
  return answer(await fetch(path, { method, headers, body: JSON.stringify(document) }));
}

export async function refreshSession() {
  return Object.assign(session, await get("api/session"));
}

// The state, once a second. `take` gets it; `lost` gets a sentence while there is none, and null once there is.
export function watchState(take, lost) {
  const SILENCE = 5000; // milliseconds without a state after which what is shown is old
  let events = null;
  let timer = 0;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!session.full) lost("No answer from the box. What is shown is old.");
      open(); // where the box refused, the browser does not try again by itself
    }, SILENCE);
  };
  const open = () => {
    events?.close();
    events = new EventSource("api/events");
    events.addEventListener("state", (event) => {
      wait();
      lost(null);
      take(JSON.parse(event.data));
    });
    events.addEventListener("silent", (event) => {
      wait();
      lost(JSON.parse(event.data).error);
    });
    events.addEventListener("error", async () => {
      const now = await refreshSession().catch(() => null);
      if (now && !now.signed_in) location.reload();
      if (now?.full) lost(now.full);
    });
    wait();
  };
  open();
}
