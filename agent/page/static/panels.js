// What is read rather than watched: health, the artifact and why, and the log.
import { get } from "./api.js";
import { NO_DATA, QUALITY, make, number, say, seconds, table } from "./dom.js";

// A page that is drawn anew where what it shows has changed.
function drawn(title, parts) {
  const body = make("div");
  const element = make("section", {}, make("h1", {}, title), body);
  let before = "";
  return {
    element,
    take: (state) => {
      const [key, build] = parts(state);
      const text = JSON.stringify(key);
      if (text === before) return;
      before = text;
      body.replaceChildren(...build());
    },
  };
}

function pairs(values) {
  return make("dl", { class: "pairs" }, values.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

// What the agent tells of the box and this page has no words of its own for.
const KNOWN = ["device", "at", "uptime", "rss_mb", "outbox_waiting", "outbox_dropped", "cameras", "models", "telemetry", "shedding", "published_ms", "broker"];

export function healthPage() {
  return drawn("Health", (state) => [[state.health, state.version], () => {
    const health = state.health;
    const rest = Object.entries(health).filter(([name, value]) => !KNOWN.includes(name) && value !== null);
    return [
      make("div", { class: "panel" }, pairs([
        ["running for", seconds(health.uptime)],
        ["version", state.version],
        ["memory", health.rss_mb === null ? NO_DATA : `${number(health.rss_mb)} MB`],
        ...broker(health.broker),
        ["reports waiting for the broker", health.outbox_waiting ?? NO_DATA],
        ["reports dropped, too many waited", health.outbox_dropped ?? NO_DATA],
        ["from capture to report, p50 / p99", health.published_ms ? `${number(health.published_ms.p50)} / ${number(health.published_ms.p99)} ms` : NO_DATA],
        ...hardware(health.telemetry, health.shedding),
        ["told at", health.at],
        ...rest.map(([name, value]) => [words(name), typeof value === "object" ? JSON.stringify(value) : String(value)]),
      ])),
      make("div", { class: "panel" }, table(
        ["camera", "quality", "fps", "latency p50 / p99", "seen", "dropped", "reconnects"],
        Object.entries(health.cameras).map(([id, camera]) => [
          make("a", { href: `#/camera/${encodeURIComponent(id)}` }, id),
          QUALITY[camera.quality] ?? camera.quality,
          number(camera.fps, 1),
          camera.latency_ms ? `${number(camera.latency_ms.p50)} / ${number(camera.latency_ms.p99)} ms` : NO_DATA,
          camera.frames_seen,
          Object.entries(camera.frames_dropped).filter(([, n]) => n).map(([cause, n]) => `${cause} ${n}`).join(", ") || "0",
          camera.reconnects,
        ]),
      ), ...Object.entries(health.cameras).filter(([, camera]) => camera.problem)
        .map(([id, camera]) => make("p", { class: "problem" }, `${id}: ${camera.problem}`)),
      ...Object.entries(health.cameras).flatMap(([id, camera]) => (camera.drift?.warnings ?? [])
        .map((warning) => make("p", { class: "problem" }, `${id}: ${warning}`)))),
    ];
  }]);
}

// The link to the broker, and what came by it that nobody looked at.
function broker(link) {
  if (!link) return [];
  const refused = Object.entries(link.messages_refused).filter(([, n]) => n).map(([reason, n]) => `${words(reason)} ${n}`);
  return [
    ["broker", link.problem ?? (link.connected ? `connected, MQTT ${link.protocol}` : "not connected")],
    ...(refused.length ? [["messages refused", refused.join(", ")]] : []),
  ];
}

// What the box tells of itself; what it does not tell has no row.
function hardware(told, shedding) {
  const rows = [];
  const list = (of, text) => Object.entries(of).map(([name, value]) => `${name} ${text(value)}`).join(", ");
  if (told) {
    const throttling = told.throttling;
    const loads = Object.entries(told.accelerators).filter(([, one]) => one.load !== null);
    rows.push(
      ["temperature", list(told.temperatures, (one) => `${number(one.celsius)} °C`)],
      ["throttled", throttling ? (throttling.now ? throttling.reasons.join(", ") : `no, ${throttling.spells} times so far`) : ""],
      ["limits reached", throttling?.caps.join(", ") ?? ""],
      ["power", list(told.watts, (watts) => `${number(watts, 1)} W`)],
      ["processor load", told.cpu_load === null ? "" : percent(told.cpu_load)],
      ["GPU and NPU load", loads.map(([name, one]) => `${name} ${percent(one.load)}`).join(", ")],
      ["memory of the box", told.memory_used_mb === null ? "" : `${number(told.memory_used_mb)} of ${number(told.memory_mb)} MB`],
    );
  }
  if (shedding) rows.push(["frames taken", shedding.why === null ? percent(shedding.share) : `${percent(shedding.share)}: ${shedding.why}`]);
  return rows.filter(([, text]) => text !== "");
}

function percent(share) {
  return `${Math.round(share * 100)} %`;
}

function words(name) {
  return name.replaceAll("_", " ");
}

function building(engine) {
  const progress = engine.fraction === null ? "" : `, ${Math.round(engine.fraction * 100)} %`;
  return `Building ${engine.artifact} for ${seconds(engine.seconds)}${progress} ${engine.phase}`;
}

export function artifactPage() {
  return drawn("Artifact, and why", (state) => [[state.facts, state.health.models], () => {
    const models = Object.entries(state.health.models);
    return [
      ...models.map(([name, model]) => make("div", { class: "panel" },
        models.length > 1 ? make("h2", {}, name) : null,
        make("p", {}, "Counts with ", make("strong", {}, model.artifact ?? "nothing yet"), "."),
        model.building ? make("p", {}, building(model.building)) : null,
        table(["artifact", "", "why"], state.facts.artifacts.filter((one) => one.model === name).map((one) => [
          one.artifact,
          one.refused === null ? make("span", { class: "chip", "data-quality": "good" }, "taken") : make("span", { class: "chip" }, "refused"),
          one.refused ?? one.why ?? "the best that fits and works here",
        ])))),
      make("div", { class: "panel" }, make("h2", {}, "What this box is"), pairs([
        ...Object.entries(state.facts.labels),
        ...Object.entries(state.facts.facts).sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, value]) => [name, Array.isArray(value) ? value.join(" ") : String(value)]),
      ])),
    ];
  }]);
}

const LEVELS = ["debug", "info", "warning", "error", "critical"];
const LOG_SECONDS = 2;
const MOST_LINES = 1000;

export function logsPage() {
  const level = make("select", { "aria-label": "least level" }, LEVELS.slice(0, 4).map((name) => make("option", { value: name }, name)));
  level.value = "info";
  const search = make("input", { type: "search", placeholder: "contains", "aria-label": "contains" });
  const list = make("ol", { class: "log" });
  const problem = make("p", { class: "problem" });
  const element = make("section", {}, make("h1", {}, "Logs"), make("p", { class: "row" }, level, search), problem, list);
  const lines = [];
  let last = 0;
  let ended = false;

  const fits = (line) => LEVELS.indexOf(line.level) >= LEVELS.indexOf(level.value)
    && `${line.logger} ${line.text}`.toLowerCase().includes(search.value.toLowerCase());
  const row = (line) => make("li", { class: line.level },
    make("time", {}, new Date(line.at * 1000).toLocaleTimeString([], { hour12: false })),
    make("b", {}, line.level), make("span", {}, line.text));
  const redraw = () => list.replaceChildren(...lines.filter(fits).map(row).reverse());
  level.addEventListener("change", redraw);
  search.addEventListener("input", redraw);

  async function run() {
    while (!ended) {
      if (!document.hidden) await more().then(() => say(problem, ""), (error) => say(problem, error.message));
      await new Promise((resolve) => setTimeout(resolve, LOG_SECONDS * 1000));
    }
  }

  async function more() {
    const fresh = (await get(`api/logs?after=${last}`)).lines;
    if (!fresh.length) return;
    last = fresh.at(-1).seq;
    lines.push(...fresh);
    lines.splice(0, Math.max(0, lines.length - MOST_LINES));
    redraw();
  }

  run();
  return { element, take: () => {}, end: () => { ended = true; } };
}
