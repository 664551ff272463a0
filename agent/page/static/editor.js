// Lines and zones over a picture, moved with mouse, finger or keyboard. All points are 0 to 1 of the picture.
import { svg } from "./dom.js";

const HEIGHT = 1000; // of the drawing; its width follows the picture's shape
const KNOB = 7; // pixels, radius
const REACH = 18; // pixels, radius in which a finger finds a knob
const STEP = 0.005; // of the picture, for the arrow keys
const LEAST_CORNERS = 3;

export class Editor {
  constructor(onChange) {
    this.onChange = onChange;
    this.things = { line: [], zone: [] };
    this.words = { line: {}, zone: {} };
    this.chosen = null; // { kind, index, corner }
    this.drag = null;
    this.held = null; // what the finger is on; were it taken away, the browser would take the drag for scrolling
    this.aspect = 16 / 9;
    this.element = svg("svg", { class: "drawing", preserveAspectRatio: "none", role: "application",
      "aria-label": "lines and zones; choose a knob and move it with the arrow keys" });
    this.element.addEventListener("pointermove", (event) => this.dragged(event));
    this.element.addEventListener("pointerup", () => this.dropped());
    this.element.addEventListener("pointercancel", () => {
      if (this.drag) setCorners(this.things[this.drag.kind][this.drag.index], this.drag.corners); // it became scrolling
      this.dropped();
    });
    // A finger on a knob, or on what is chosen, draws; anywhere else it scrolls. Browsers heed the style
    // `touch-action` at the whole drawing only, so the event itself must be stopped.
    const stop = (event) => {
      if (event.target.closest(".knob, .middle, .chosen, .held")) event.preventDefault();
    };
    this.element.addEventListener("touchstart", stop, { passive: false });
    this.element.addEventListener("pointerdown", (event) => {
      if (event.target === this.element) this.choose(null);
    });
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.element);
  }

  end() {
    this.sizes.disconnect();
  }

  show(things) {
    this.things = structuredClone(things);
    this.chosen = null;
    this.draw();
  }

  setAspect(aspect) {
    if (aspect === this.aspect) return;
    this.aspect = aspect;
    this.draw();
  }

  setWords(words) {
    if (JSON.stringify(words) === JSON.stringify(this.words)) return;
    this.words = words;
    if (!this.drag) this.draw();
  }

  choose(chosen) {
    this.chosen = chosen;
    this.draw();
    this.onChange();
  }

  // Changes by hand, from the form beside the picture.
  change(work) {
    work(this.things);
    this.draw();
    this.onChange();
  }

  add(kind, thing) {
    this.things[kind].push(thing);
    this.choose({ kind, index: this.things[kind].length - 1, corner: null });
  }

  remove() {
    const { kind, index } = this.chosen;
    this.things[kind].splice(index, 1);
    this.choose(null);
  }

  get mayRemoveCorner() {
    const { kind, index, corner } = this.chosen ?? {};
    return kind === "zone" && corner !== null && this.things.zone[index].polygon.length > LEAST_CORNERS;
  }

  removeCorner() {
    if (!this.mayRemoveCorner) return;
    this.things.zone[this.chosen.index].polygon.splice(this.chosen.corner, 1);
    this.choose({ ...this.chosen, corner: null });
  }

  place(event) {
    const box = this.element.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  grabbed(event, chosen) {
    event.preventDefault();
    event.stopPropagation();
    this.drag = { ...chosen, from: this.place(event), corners: structuredClone(corners(this.things[chosen.kind][chosen.index])) };
    this.element.setPointerCapture(event.pointerId);
    const before = this.chosen;
    this.held = event.target.closest("svg > g");
    this.choose(chosen);
    const wasChosen = before?.kind === chosen.kind && before.index === chosen.index;
    this.held.setAttribute("class", wasChosen || chosen.corner !== null ? "held" : "let-go");
  }

  dragged(event) {
    if (!this.drag) return;
    const [x, y] = this.place(event);
    const by = [x - this.drag.from[0], y - this.drag.from[1]];
    this.move(this.drag, this.drag.corners, by);
  }

  dropped() {
    if (!this.drag) return;
    this.drag = null;
    this.held = null;
    this.draw();
    this.onChange();
  }

  // Moves one corner, or all where none is chosen; never beyond the picture.
  move({ kind, index, corner }, from, by) {
    const moving = corner === null ? from : [from[corner]];
    const [dx, dy] = by.map((value, axis) => {
      const places = moving.map((point) => point[axis]);
      return Math.min(1 - Math.max(...places), Math.max(-Math.min(...places), value));
    });
    const moved = from.map(([x, y], i) => (corner === null || i === corner ? [round(x + dx), round(y + dy)] : [x, y]));
    setCorners(this.things[kind][index], moved);
    this.draw();
    this.onChange();
  }

  pressed(event, chosen) {
    const by = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (by) {
      event.preventDefault();
      this.chosen = chosen;
      this.move(chosen, corners(this.things[chosen.kind][chosen.index]), by);
    } else if (event.key === "Delete") {
      this.chosen = chosen;
      if (this.mayRemoveCorner) this.removeCorner();
      else this.remove();
    }
  }

  draw() {
    const focus = document.activeElement?.dataset?.knob;
    this.scale = HEIGHT / (this.element.clientHeight || HEIGHT);
    this.element.setAttribute("viewBox", `0 0 ${HEIGHT * this.aspect} ${HEIGHT}`);
    const parts = [];
    for (const kind of ["zone", "line"]) {
      this.things[kind].forEach((thing, index) => parts.push(...this.drawn(kind, thing, index)));
    }
    for (const old of [...this.element.children]) if (old !== this.held) old.remove();
    this.element.append(...parts);
    if (focus) this.element.querySelector(`[data-knob="${focus}"]`)?.focus();
  }

  at([x, y]) {
    return [x * HEIGHT * this.aspect, y * HEIGHT];
  }

  drawn(kind, thing, index) {
    const isChosen = this.chosen?.kind === kind && this.chosen.index === index;
    const points = corners(thing).map((point) => this.at(point));
    const whole = { kind, index, corner: null };
    const shape = { points: points.map((point) => point.join()).join(" ") };
    const tag = kind === "zone" ? "polygon" : "polyline";
    const group = svg(
      "g",
      { class: `${kind}${isChosen ? " chosen" : ""}`, "data-name": thing.name },
      svg(tag, { ...shape, class: "under" }),
      svg(tag, { ...shape, class: "shape" }),
      svg(tag, { ...shape, class: "grip", onpointerdown: (event) => this.grabbed(event, whole) }),
      kind === "line" ? this.arrow(points) : null,
      this.word(kind, thing, points),
    );
    if (isChosen && kind === "zone") group.append(...this.middles(thing, index));
    points.forEach((point, corner) => group.append(this.knob(point, { kind, index, corner })));
    return [group];
  }

  // From the line's left to its right, looking from its start to its end: that way is "in".
  arrow([start, end]) {
    const length = Math.hypot(end[0] - start[0], end[1] - start[1]) || 1;
    const across = [-(end[1] - start[1]) / length, (end[0] - start[0]) / length];
    const along = [across[1], -across[0]];
    const middle = [(start[0] + end[0]) / 2, (start[1] + end[1]) / 2];
    const point = (forth, aside) =>
      [0, 1].map((axis) => middle[axis] + (across[axis] * forth + along[axis] * aside) * this.scale).join();
    return svg("path", { class: "arrow", d: `M${point(0, 0)}L${point(26, 0)}M${point(17, -7)}L${point(27, 0)}L${point(17, 7)}` });
  }

  word(kind, thing, points) {
    const [x, y] = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
    const text = [thing.name, this.words[kind][thing.name]].filter(Boolean).join(": ");
    const size = 13 * this.scale;
    const below = kind === "line" ? -size * 0.7 : size * 0.3;
    return svg("text", { x, y: y + below, "font-size": size, "text-anchor": "middle" }, text);
  }

  knob(point, chosen) {
    const name = `${chosen.kind}-${chosen.index}-${chosen.corner}`;
    const isChosen = this.chosen?.kind === chosen.kind && this.chosen.index === chosen.index && this.chosen.corner === chosen.corner;
    const [cx, cy] = point;
    const label = `${chosen.kind} ${this.things[chosen.kind][chosen.index].name}, corner ${chosen.corner + 1}`;
    return svg(
      "g",
      {
        class: `knob${isChosen ? " chosen" : ""}`,
        tabindex: "0",
        "data-knob": name,
        "aria-label": label,
        onpointerdown: (event) => this.grabbed(event, chosen),
        onkeydown: (event) => this.pressed(event, chosen),
      },
      svg("circle", { cx, cy, r: REACH * this.scale, class: "reach" }),
      svg("circle", { cx, cy, r: KNOB * this.scale, class: "dot" }),
    );
  }

  // Between two corners: taken hold of, it becomes one.
  middles(zone, index) {
    return zone.polygon.map((one, i) => {
      const other = zone.polygon[(i + 1) % zone.polygon.length];
      const middle = [round((one[0] + other[0]) / 2), round((one[1] + other[1]) / 2)];
      const [cx, cy] = this.at(middle);
      const split = (event) => {
        zone.polygon.splice(i + 1, 0, middle);
        this.grabbed(event, { kind: "zone", index, corner: i + 1 });
      };
      return svg(
        "g",
        { class: "middle", onpointerdown: split },
        svg("circle", { cx, cy, r: REACH * 0.7 * this.scale, class: "reach" }),
        svg("circle", { cx, cy, r: KNOB * 0.6 * this.scale, class: "dot" }),
      );
    });
  }
}

function corners(thing) {
  return thing.polygon ?? [thing.start, thing.end];
}

function setCorners(thing, points) {
  if (thing.polygon) thing.polygon = points;
  else [thing.start, thing.end] = points;
}

function round(value) {
  return Math.min(1, Math.max(0, Number(value.toFixed(4))));
}
