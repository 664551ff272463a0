// The frame around the pages: signing in, moving between pages, and handing each new state to the page that is open.
import { Refused, refreshSession, send, session, watchState } from "./api.js";
import { make, say } from "./dom.js";
import { overview } from "./overview.js";
import { cameraPage } from "./camera.js";
import { artifactPage, healthPage, logsPage } from "./panels.js";

const PAGES = [
  ["#/", "Overview"],
  ["#/health", "Health"],
  ["#/artifact", "Artifact"],
  ["#/logs", "Logs"],
];

const main = document.getElementById("main");
const notice = document.getElementById("notice");
let page = null;
let state = null;

function choose(place) {
  if (place.startsWith("#/camera/")) return () => cameraPage(decodeURIComponent(place.slice("#/camera/".length)));
  return { "#/health": healthPage, "#/artifact": artifactPage, "#/logs": logsPage }[place] ?? overview;
}

function go() {
  if (page?.leave && !page.leave()) {
    history.replaceState(null, "", page.place);
    return;
  }
  page?.end?.();
  const place = location.hash || "#/";
  page = choose(place)();
  page.place = place;
  main.replaceChildren(page.element);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === place) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (state) page.take(state);
}

function take(next) {
  state = next;
  say(document.getElementById("device"), state.health.device);
  document.title = `${state.health.device} · edgetally`;
  page.take(state);
}

function lost(why) {
  notice.hidden = why === null;
  if (why !== null) say(notice, why);
  main.classList.toggle("old", why !== null);
}

function showPages() {
  const links = PAGES.map(([place, name]) => make("a", { href: place }, name));
  const out = make("button", { type: "button", class: "plain", onclick: signOut }, "Sign out");
  document.getElementById("pages").replaceChildren(...links, ...(session.needs_password ? [out] : []));
}

async function signOut() {
  await send("POST", "api/logout", {});
  location.reload();
}

function askPassword() {
  const field = make("input", { type: "password", name: "password", autocomplete: "current-password", required: true });
  const problem = make("p", { class: "problem", role: "alert" });
  const form = make(
    "form",
    { class: "panel sign-in" },
    make("h1", {}, "Sign in"),
    make("label", {}, "Password of this page", field),
    make("button", { class: "main" }, "Sign in"),
    problem,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await send("POST", "api/login", { password: field.value });
      location.reload();
    } catch (error) {
      say(problem, error.message);
      field.select();
    }
  });
  main.replaceChildren(form);
  field.focus();
}

async function begin() {
  try {
    await refreshSession();
  } catch (error) {
    lost(error instanceof Refused ? error.message : "No answer from the box.");
    setTimeout(begin, 3000);
    return;
  }
  lost(null);
  if (!session.signed_in) {
    askPassword();
    return;
  }
  showPages();
  window.addEventListener("hashchange", go);
  window.addEventListener("beforeunload", (event) => {
    if (page?.dirty?.()) event.preventDefault();
  });
  go();
  watchState(take, lost);
}

begin();
