// One camera: its picture, its lines and zones, and changing them.
import { send } from "./api.js";
import { chip, count, make, number, say, shown, showQuality } from "./dom.js";
import { Editor } from "./editor.js";
import { LivePicture } from "./picture.js";

const NAME = "[a-z0-9_\\-]{1,64}";

export function cameraPage(id) {
  const editor = new Editor(changed);
  const picture = new LivePicture(id, 0, (aspect) => editor.setAspect(aspect));
  picture.view.append(editor.element);
  const quality = chip();
  const total = make("strong", { class: "count" });
  const rate = make("span", { class: "dim" });
  const form = make("div", { class: "form" });
  const problems = make("ul", { class: "problem", role: "alert" });
  const done = make("p", { class: "done", role: "status" });
  const button = (text, work, look = "") => make("button", { type: "button", class: look, onclick: work }, text);
  const addLine = button("Add line", () => editor.add("line", {
    name: free("line"), start: [0.2, 0.5], end: [0.8, 0.5], labels: [], anchor: "center" }));
  const addZone = button("Add zone", () => editor.add("zone", {
    name: free("zone"), polygon: [[0.3, 0.3], [0.7, 0.3], [0.7, 0.7], [0.3, 0.7]], labels: [], anchor: "center" }));
  const undo = button("Undo", () => adopt());
  const save = button("Save", propose, "main");
  const element = make(
    "div",
    { class: "camera" },
    make("p", { class: "row head" }, make("a", { href: "#/" }, "← all cameras"), make("h1", {}, id), quality, rate,
      make("span", { class: "row now" }, total, make("span", { class: "dim" }, "now"))),
    make("div", { class: "stage" }, picture.view, picture.legend),
    make("aside", { class: "panel edit" },
      make("p", { class: "row" }, addLine, addZone), form,
      make("p", { class: "row" }, save, undo), problems, done),
  );
  let running = null; // lines and zones as the box counts by them
  let watched = null;
  let formed = "";

  function take(state) {
    watched = state.watched.find((camera) => camera.id === id);
    if (!watched) {
      picture.blank("this box has no such camera");
      element.inert = true;
      return;
    }
    const now = state.cameras[id];
    const health = state.health.cameras[id];
    picture.labels = watched.labels;
    showQuality(quality, now.quality);
    say(total, shown(now));
    say(rate, health ? `${number(health.fps, 1)} fps` : "");
    addLine.hidden = watched.gives !== "boxes";
    addZone.hidden = watched.gives === "states";
    const next = { line: watched.line, zone: watched.zone };
    if (JSON.stringify(next) !== JSON.stringify(running)) {
      const touched = running !== null && dirty();
      running = next;
      if (!touched) adopt();
    }
    editor.setWords({
      line: Object.fromEntries(Object.entries(now.lines).map(([name, sum]) => [name, `${sum.in} in, ${sum.out} out`])),
      zone: Object.fromEntries(Object.entries(now.zones).map(([name, value]) => [name, count(value)])),
    });
  }

  function adopt() {
    proposed = null;
    editor.show(running);
    problems.replaceChildren();
    changed();
  }

  let proposed = null; // what was handed over, as JSON
  function dirty() {
    const drawn = JSON.stringify(editor.things);
    return running !== null && drawn !== JSON.stringify(running) && drawn !== proposed;
  }

  function changed() {
    save.disabled = undo.disabled = !dirty();
    if (dirty()) say(done, "");
    const chosen = editor.chosen;
    const shown = JSON.stringify([chosen, chosen && editor.things[chosen.kind].length, editor.mayRemoveCorner]);
    if (shown === formed) return;
    formed = shown;
    form.replaceChildren(...(chosen ? fields(chosen) : hints()));
  }

  function hints() {
    const instead = {
      density: "This camera's model gives a density map: it counts in zones. Lines need a model that finds boxes.",
      states: "This camera's model classifies the whole picture: it has states. Lines and zones need another model.",
    };
    return [make("p", { class: "dim" }, instead[watched?.gives] ?? "Choose a line or zone in the picture, or add one.")];
  }

  function fields({ kind, index }) {
    const thing = editor.things[kind][index];
    const change = (name) => (event) => editor.change(() => { thing[name] = event.target.value; });
    const name = make("input", { value: thing.name, pattern: NAME, maxlength: "64", autocapitalize: "none",
      autocomplete: "off", spellcheck: "false", name: "name", oninput: change("name"), title: "a-z, 0-9, _ and -" });
    const anchor = make("select", { name: "anchor", onchange: change("anchor") },
      make("option", { value: "center" }, "the centre of its box"),
      make("option", { value: "bottom" }, "the middle of its lower edge"));
    anchor.value = thing.anchor;
    const reverse = () => editor.change(() => { [thing.start, thing.end] = [thing.end, thing.start]; });
    return [
      make("h2", {}, kind === "line" ? "Line" : "Zone"),
      make("label", {}, "Name", name),
      make("label", {}, "A thing is at", anchor),
      labelChoice(thing),
      kind === "line"
        ? make("p", { class: "dim" }, "The arrow shows the way that counts as “in”. Moving a line, or counting other labels, starts a new counter.")
        : make("p", { class: "dim" }, "Pull a small dot between two corners to add one."),
      make("p", { class: "row" },
        kind === "line" ? button("Turn direction", reverse) : null,
        editor.mayRemoveCorner ? button("Delete corner", () => editor.removeCorner()) : null,
        button(`Delete ${kind}`, () => editor.remove(), "danger")),
    ];
  }

  function labelChoice(thing) {
    const summary = make("summary");
    const tell = () => say(summary, `Counts ${thing.labels.length ? thing.labels.join(", ") : "every label"}`);
    const boxes = watched.labels.map((label) => {
      const box = make("input", { type: "checkbox", value: label });
      box.checked = thing.labels.includes(label);
      box.addEventListener("change", () => editor.change(() => {
        thing.labels = watched.labels.filter((one) => (one === label ? box.checked : thing.labels.includes(one)));
        tell();
      }));
      return make("label", { class: "check" }, box, label);
    });
    tell();
    return make("details", {}, summary, make("div", { class: "checks" }, boxes));
  }

  function free(kind) {
    const names = editor.things[kind].map((thing) => thing.name);
    for (let i = 1; ; i += 1) if (!names.includes(`${kind}-${i}`)) return `${kind}-${i}`;
  }

  async function propose() {
    const drawn = JSON.stringify(editor.things);
    problems.replaceChildren();
    save.disabled = true;
    try {
      const { note } = await send("PUT", `api/cameras/${encodeURIComponent(id)}/lines-and-zones`, editor.things);
      proposed = drawn;
      say(done, note ? `${note[0].toUpperCase()}${note.slice(1)}.` : "Saved: it is counted like this from now on.");
    } catch (error) {
      const all = error.problems?.length ? error.problems : [error.message];
      problems.replaceChildren(...all.map((text) => make("li", {}, text)));
    }
    changed();
  }

  return {
    element,
    take,
    dirty,
    leave: () => !dirty() || confirm("Leave without saving your changes?"),
    end: () => {
      picture.end();
      editor.end();
    },
  };
}
