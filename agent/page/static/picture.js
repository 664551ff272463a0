// A camera's picture, fetched again and again while it is on the screen, and never otherwise.
import { make, say } from "./dom.js";
import { session } from "./api.js";

export class LivePicture {
  constructor(camera, seconds, onAspect = () => {}) {
    this.camera = camera;
    this.seconds = Math.max(seconds, session.picture_seconds);
    this.onAspect = onAspect;
    this.image = make("img", { alt: `what camera ${camera} sees`, draggable: "false", hidden: true });
    this.words = make("p", { class: "words" }, session.pictures ? "waiting for a picture" : "pictures are switched off");
    this.legend = make("p", { class: "legend" });
    this.view = make("div", { class: "view" }, this.image, this.words);
    this.seen = true;
    this.ended = false;
    this.etag = null;
    this.address = null;
    this.watcher = new IntersectionObserver((entries) => {
      this.seen = entries.at(-1).isIntersecting;
    });
    this.watcher.observe(this.view);
    if (session.pictures) this.run();
  }

  end() {
    this.ended = true;
    this.watcher.disconnect();
    if (this.address) URL.revokeObjectURL(this.address);
  }

  async run() {
    while (!this.ended) {
      if (this.seen && !document.hidden) {
        await this.load().catch((error) => this.blank(error.message));
      }
      await new Promise((resolve) => setTimeout(resolve, this.seconds * 1000));
    }
  }

  async load() {
    const headers = this.etag ? { "If-None-Match": this.etag } : {};
    const response = await fetch(`api/cameras/${this.camera}/picture.jpg`, { headers, cache: "no-store" });
    if (this.ended || response.status === 304) return;
    if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error ?? "no picture");
    const address = URL.createObjectURL(await response.blob());
    this.image.src = address;
    await this.image.decode().catch(() => {});
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = address;
    this.etag = response.headers.get("ETag");
    const aspect = Number(response.headers.get("X-Aspect")) || 16 / 9;
    this.view.style.aspectRatio = String(aspect);
    this.onAspect(aspect);
    this.image.hidden = false;
    this.words.hidden = true;
    this.explain(JSON.parse(response.headers.get("X-Drawn") ?? "{}"));
  }

  blank(why) {
    this.etag = null;
    this.image.hidden = true;
    this.words.hidden = false;
    say(this.words, why);
  }

  explain(drawn) {
    const text = Object.entries(drawn).map(([label, boxes]) => `${label} ${boxes}`);
    if (this.legend.dataset.text === text.join()) return;
    this.legend.dataset.text = text.join();
    this.legend.replaceChildren(
      ...Object.keys(drawn).map((label, i) => {
        const swatch = make("i", { class: "swatch" });
        swatch.style.background = this.colour(label);
        return make("span", {}, swatch, text[i]);
      }),
    );
  }

  colour(label) {
    return session.palette[Math.max(0, (this.labels ?? []).indexOf(label)) % session.palette.length];
  }
}
