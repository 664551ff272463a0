// Building the page without markup in strings: everything that came from outside is text, never HTML.

export function make(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Writes only what changed, so that a live page does not lose a selection or make a screen reader repeat itself.
export function say(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

export const NO_DATA = "–";

export function number(value, digits = 0) {
  return value === null || value === undefined ? NO_DATA : value.toFixed(digits);
}

export function count(value) {
  return value === null || value === undefined ? NO_DATA : Number.isInteger(value) ? String(value) : value.toFixed(1);
}

// How many things are in the picture, or which states it is in.
export function shown(now) {
  const told = Object.entries(now.states).map(([name, held]) => [name, held.state ?? NO_DATA]);
  if (!told.length) return count(now.count);
  return told.length === 1 ? told[0][1] : told.map((pair) => pair.join(" ")).join(" · ");
}

export function seconds(value) {
  const whole = Math.floor(value);
  const days = Math.floor(whole / 86400);
  const clock = [Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  return (days ? `${days} d ` : "") + clock.map((part) => String(part).padStart(2, "0")).join(":");
}

export const QUALITY = {
  ok: "counting",
  stale: "no fresh frames",
  obscured: "view obscured",
  no_camera: "no camera",
  model_error: "model fails",
};

export function chip() {
  return make("span", { class: "chip" });
}

export function showQuality(element, quality) {
  element.dataset.quality = quality === "ok" ? "good" : "bad";
  say(element, QUALITY[quality] ?? quality);
}

export function table(head, rows) {
  const cells = (tag, values) => values.map((value) => make(tag, {}, value));
  return make(
    "div",
    { class: "scroll" },
    make("table", {}, make("thead", {}, make("tr", {}, cells("th", head))),
      make("tbody", {}, rows.map((row) => make("tr", {}, cells("td", row))))),
  );
}
