// Replaces the parts of a page that live, every few seconds, with those of the page as it is now. Without it nothing
// is missing: the page is loaded again by hand.
const main = document.getElementById("main");
const notice = document.getElementById("notice");
const seconds = Number(main.dataset.refresh);
const MOST = 60; // seconds between two tries while it fails
let wait = seconds;

function tell(text) {
  notice.hidden = !text;
  if (notice.textContent !== text) notice.textContent = text;
}

function openIn(part) {
  return new Set([...part.querySelectorAll("details[open]")].map((one) => one.id));
}

function put(now, then) {
  const opened = openIn(now);
  const focus = now.contains(document.activeElement) ? document.activeElement : null;
  const at = focus && [...now.querySelectorAll(focus.localName)].indexOf(focus);
  const scrolled = [...now.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  const fresh = document.adoptNode(then);
  for (const one of fresh.querySelectorAll("details")) one.open = opened.has(one.id);
  now.replaceWith(fresh);
  [...fresh.querySelectorAll(".scroll")].forEach((one, n) => { one.scrollLeft = scrolled[n] ?? 0; });
  if (focus) fresh.querySelectorAll(focus.localName)[at]?.focus({ preventScroll: true });
}

function closed(part) {
  const copy = part.cloneNode(true);
  for (const one of copy.querySelectorAll("details")) one.open = false;
  return copy;
}

async function refresh() {
  const answer = await fetch(location.href, { headers: { "X-Edgetally-Refresh": "1" }, redirect: "error" });
  if (answer.status === 401) {
    tell("You are signed out. Load the page again to sign in.");
    return false;
  }
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const now of document.querySelectorAll("[data-live]")) {
    const then = page.getElementById(now.id);
    if (then && !closed(now).isEqualNode(then)) put(now, then);
  }
  tell("");
  return true;
}

async function turn() {
  let goOn = true;
  if (!document.hidden) {
    try {
      goOn = await refresh();
      wait = seconds;
    } catch {
      tell("The console does not answer; what is shown is old.");
      wait = Math.min(2 * wait, MOST);
    }
  }
  if (goOn) setTimeout(turn, wait * 1000);
}

if (seconds > 0) setTimeout(turn, seconds * 1000);
