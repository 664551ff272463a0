// All cameras at once.
import { LivePicture } from "./picture.js";
import { chip, count, make, number, say, shown, showQuality } from "./dom.js";

const SECONDS = 1; // between two pictures of a camera

export function overview() {
  const element = make("div", { class: "cards" });
  const cards = new Map();

  function take(state) {
    for (const camera of state.watched) {
      if (!cards.has(camera.id)) {
        cards.set(camera.id, card(camera));
        element.append(cards.get(camera.id).element);
      }
      cards.get(camera.id).take(camera, state.cameras[camera.id], state.health.cameras[camera.id]);
    }
    for (const [id, one] of cards) {
      if (!state.watched.some((camera) => camera.id === id)) {
        one.end();
        one.element.remove();
        cards.delete(id);
      }
    }
  }

  return { element, take, end: () => cards.forEach((one) => one.end()) };
}

function card(camera) {
  const picture = new LivePicture(camera.id, SECONDS);
  const quality = chip();
  const total = make("strong", { class: "count" });
  const rate = make("span", { class: "dim" });
  const what = make("span", { class: "dim" });
  const problem = make("p", { class: "problem" });
  const rows = make("dl", { class: "counts" });
  const place = `#/camera/${encodeURIComponent(camera.id)}`;
  const element = make(
    "article",
    { class: "panel card", "data-camera": camera.id },
    make("a", { href: place, class: "picture", "aria-label": `camera ${camera.id}` }, picture.view),
    make(
      "div",
      { class: "facts" },
      make("h2", {}, make("a", { href: place }, camera.id)),
      make("p", { class: "row" }, quality, rate),
      make("p", { class: "row now" }, total, what),
      rows,
      problem,
    ),
  );

  function take(watched, now, health) {
    picture.labels = watched.labels;
    showQuality(quality, now.quality);
    say(total, shown(now));
    say(what, watched.gives === "states" ? "now" : "in the picture now");
    say(rate, health ? `${number(health.fps, 1)} fps` : "");
    say(problem, health?.problem ?? "");
    const values = [
      ...Object.entries(now.zones).map(([name, value]) => [name, count(value)]),
      ...Object.entries(now.lines).map(([name, value]) => [name, `${value.in} in · ${value.out} out`]),
      ...Object.values(now.states).flatMap((held) => Object.entries(held.entries).map(([state, sum]) => [state, `${sum} times`])),
    ];
    const text = JSON.stringify(values);
    if (rows.dataset.text !== text) {
      rows.dataset.text = text;
      rows.replaceChildren(...values.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
    }
  }

  return { element, take, end: () => picture.end() };
}
