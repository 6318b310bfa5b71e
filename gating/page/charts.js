// Charts and tables of a page. `vegaEmbed` comes from the bundle; everything that comes from data is set as text or as a value.
const page = document;
const SVG = "http://www.w3.org/2000/svg";
const LEAST = 230; // pixels that a panel needs beside others

function make(tag, set = {}, ...inside) {
  const found = page.createElement(tag);
  for (const [name, value] of Object.entries(set)) {
    if (name.startsWith("on")) found.addEventListener(name.slice(2), value);
    else found.setAttribute(name, value);
  }
  found.append(...inside);
  return found;
}

function draw(tag, set) {
  const found = page.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(set)) found.setAttribute(name, value);
  return found;
}

function save(text, name, type) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function csv(rows) {
  const cell = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return rows.map((row) => row.map((value) => cell(value === null || value === undefined ? "" : String(value))).join(",")).join("\r\n");
}

// The sign before an entry of a legend: its line, its points, or a patch.
function sign(entry) {
  const found = draw("svg", { width: 26, height: 14, viewBox: "-13 -7 26 14", "aria-hidden": "true" });
  if (entry.mark === "cells") {
    found.append(draw("rect", { x: -9, y: -6, width: 18, height: 12, fill: entry.colour }));
    return found;
  }
  const upright = entry.mark === "upright";
  if (entry.mark !== "points") {
    const ends = upright ? { x1: 0, y1: -7, x2: 0, y2: 7 } : { x1: -13, y1: 0, x2: 13, y2: 0 };
    found.append(draw("line", { ...ends, stroke: entry.colour, "stroke-width": 2, "stroke-dasharray": entry.dash.join(" ") }));
  }
  if (entry.shape && (entry.mark === "points" || entry.mark === "curve")) {
    const fill = entry.filled ? entry.colour : "var(--paper)";
    found.append(draw("path", { d: entry.shape, transform: "scale(4.5)", fill, stroke: entry.colour, "stroke-width": 0.35 }));
  }
  return found;
}

// A row of buttons that are on or off; `change` hears which are on. One of them is always on.
function toggles(heading, entries, change) {
  const on = new Set(entries.map((entry) => entry.name));
  const buttons = entries.map((entry) =>
    make("button", {
      type: "button", "aria-pressed": "true",
      onclick: (event) => {
        const button = event.currentTarget;
        if (on.has(entry.name) && on.size > 1) on.delete(entry.name);
        else on.add(entry.name);
        button.setAttribute("aria-pressed", String(on.has(entry.name)));
        change(on);
      },
    }, ...(entry.mark ? [sign(entry)] : []), entry.name));
  return make("fieldset", {}, make("legend", {}, heading), ...buttons);
}

// A number with three figures, with as many zeros as it takes to say so.
function figures(value) {
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
}

function points(figure) {
  const columns = Object.entries(figure.points).map(([name, held]) => [name, !Array.isArray(held) ? held.at.map((place) => held.of[place]) : held]);
  return columns[0][1].map((_, row) => {
    const point = { s: null, g: null };
    for (const [name, held] of columns) point[name] = held[row];
    const ends = point.l != null && point.h != null ? ` [${figures(point.l)}, ${figures(point.h)}]` : "";
    if (point.t == null && point.y != null) point.t = figures(point.y) + ends + (point.n > 1 ? `, ${point.n} seeds` : "");
    return point;
  });
}

class Chart {
  constructor(place, figure) {
    Object.assign(this, { place, figure, view: null, turn: 0, shown: null, step: figure.steps.at(-1) ?? null });
    this.box = place.querySelector(".chart");
    this.hidden = { row: new Set(), column: new Set() };
    this.controls(place.querySelector(".controls"));
    new IntersectionObserver((seen, watch) => {
      if (!seen.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      this.rows = this.points();
      this.width = this.box.clientWidth;
      this.paint();
      new ResizeObserver(() => {
        if (Math.abs(this.box.clientWidth - this.width) < 8 || !this.box.clientWidth) return;
        this.width = this.box.clientWidth;
        this.paint();
      }).observe(this.box);
    }, { rootMargin: "300px" }).observe(this.box);
  }

  points() {
    const rows = points(this.figure);
    return this.change ? rows.map(this.change) : rows;
  }

  // Shows another figure in the place of this one: where only its points differ, these alone are drawn anew.
  update(figure) {
    const [old, now] = [this.figure, figure].map(({ spec, legend, panels, steps }) => JSON.stringify([spec, legend, panels, steps]));
    this.figure = figure;
    if (old !== now) {
      Object.assign(this, { shown: null, step: figure.steps.at(-1) ?? null, hidden: { row: new Set(), column: new Set() } });
      const bar = this.place.querySelector(".controls");
      bar.nextElementSibling?.matches("details.more") && bar.nextElementSibling.remove();
      bar.replaceChildren();
      this.controls(bar);
    }
    if (!this.rows) return null;
    this.rows = this.points();
    return old === now && this.view ? this.redraw() : this.paint();
  }

  // Changes points as they are drawn, such as one that follows a reader.
  alter(change) {
    this.change = change;
    if (!this.rows) return;
    this.rows = this.points();
    if (this.view) this.redraw();
  }

  async redraw() {
    await this.view.data("points", this.rows).runAsync();
    this.box.dataset.drawn = ++this.turn;
  }

  controls(bar) {
    const { figure } = this;
    if (figure.legend.length > 1) {
      bar.append(toggles(figure.heading || "Show", figure.legend, (on) => {
        this.shown = on.size === figure.legend.length ? null : [...on];
        this.signal("shown", this.shown);
      }));
    }
    if (figure.steps.length) bar.append(this.scrubber());
    const more = make("div", { class: "controls" });
    for (const side of ["column", "row"]) {
      const names = [...new Set(figure.panels.map((panel) => panel[side]))].filter(Boolean);
      if (names.length < 2) continue;
      more.append(toggles("Panels", names.map((name) => ({ name })), (on) => {
        this.hidden[side] = new Set(names.filter((name) => !on.has(name)));
        this.paint();
      }));
    }
    more.append(
      make("button", { type: "button", onclick: () => this.paint() }, "Reset zoom"),
      make("button", { type: "button", onclick: () => this.asSvg() }, "Save as SVG"),
      make("button", { type: "button", onclick: () => this.asCsv() }, "Save points as CSV"),
      make("span", { class: "quiet" }, "Point at the chart to read values; drag to move, Shift and wheel to zoom."),
    );
    bar.after(make("details", { class: "more" }, make("summary", {}, "Choose panels, zoom, save"), more));
  }

  scrubber() {
    const { steps, name } = this.figure;
    const said = make("output", { for: `step-${name}` }, this.step.toLocaleString("en"));
    const slide = make("input", {
      type: "range", id: `step-${name}`, min: 0, max: steps.length - 1, value: steps.indexOf(this.step),
      oninput: () => {
        this.step = steps[slide.value];
        said.textContent = this.step.toLocaleString("en");
        slide.setAttribute("aria-valuetext", said.textContent);
        this.signal("step", this.step);
        this.stepped?.(this.step);
      },
    });
    return make("label", {}, "After training steps ", slide, " ", said);
  }

  signal(name, value) {
    this.view?.signal(name, value).runAsync();
  }

  spec() {
    const spec = structuredClone(this.figure.spec);
    const { row, column } = this.hidden;
    const kept = this.figure.panels.map((panel, place) => place).filter((place) => {
      const panel = this.figure.panels[place];
      return !row.has(panel.row) && !column.has(panel.column);
    });
    const beside = new Set(kept.map((place) => this.figure.panels[place].column)).size;
    const most = this.figure.panels.length === this.figure.spec.columns * new Set(this.figure.panels.map((panel) => panel.row)).size
      ? beside : this.figure.spec.columns;
    spec.columns = Math.max(1, Math.min(most, kept.length, Math.floor(this.width / LEAST)));
    spec.concat = kept.map((place) => spec.concat[place]);
    const width = Math.min(520, Math.floor((this.width - 18 * (spec.columns - 1)) / spec.columns) - 74);
    for (const panel of spec.concat) Object.assign(panel, { width, height: Math.round(Math.max(140, Math.min(260, width * 0.62))) });
    spec.data = { name: "points", values: this.rows };
    for (const param of spec.params) if (param.name in this) param.value = this[param.name];
    return spec;
  }

  async paint() {
    if (!this.rows) return;
    const turn = ++this.turn;
    const holder = make("div");
    const made = await vegaEmbed(holder, this.spec(), { actions: false, renderer: "svg", ast: true, hover: false, defaultStyle: false });
    if (turn !== this.turn) return made.finalize();
    this.made?.finalize();
    Object.assign(this, { made, view: made.view });
    holder.querySelector("svg")?.setAttribute("aria-hidden", "true");
    this.box.replaceChildren(holder);
    this.box.dataset.drawn = turn;
  }

  async asSvg() {
    const style = getComputedStyle(page.documentElement);
    const text = (await this.view.toSVG()).replace(/var\((--[a-z-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
    save(text, `${this.figure.name}.svg`, "image/svg+xml");
  }

  asCsv() {
    const names = { k: "of", x: "x", y: "value", l: "low", h: "high", n: "seeds", s: "step", t: "in words" };
    const kept = Object.keys(names).filter((name) => name in this.figure.points);
    const rows = this.points().filter((point) => point.m !== "frame");
    const head = ["row", "column", ...kept.map((name) => names[name])];
    const body = rows.map((point) => {
      const panel = this.figure.panels[point.p];
      return [panel.row, panel.column, ...kept.map((name) => point[name])];
    });
    save(csv([head, ...body]), `${this.figure.name}.csv`, "text/csv");
  }
}

// A table that sorts, filters and is saved.
function lively(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const text = (row, place) => row.cells[place].textContent;
  const number = (words) => {
    const found = /^-?[\d,]*\.?\d+(e[+-]?\d+)?/i.exec(words.trim());
    return found ? Number(found[0].replaceAll(",", "")) : NaN;
  };
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    const button = make("button", {
      type: "button",
      onclick: () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const sign = up ? 1 : -1;
        const compare = (a, b) => {
          const [one, other] = [number(text(a, place)), number(text(b, place))];
          if (Number.isNaN(one) !== Number.isNaN(other)) return Number.isNaN(one) ? 1 : -1; // words and gaps last
          return sign * (Number.isNaN(one) ? text(a, place).localeCompare(text(b, place)) : one - other);
        };
        body.append(...[...rows].sort(compare));
      },
    }, head.textContent || "\u2009");
    button.setAttribute("aria-label", `Sort by ${head.textContent || "name"}`);
    head.replaceChildren(button);
  });
  const bar = make("div", { class: "controls" });
  if (rows.length > 5) {
    bar.append(make("label", {}, make("span", { class: "hidden" }, `Filter ${table.dataset.title}`), make("input", {
      type: "search", placeholder: "filter rows",
      oninput: (event) => {
        const wanted = event.target.value.toLowerCase();
        for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
      },
    })));
  }
  bar.append(make("button", {
    type: "button",
    onclick: () => {
      const cells = (row) => [...row.cells].map((cell) => cell.textContent.replaceAll("\n", " "));
      save(csv([cells(table.tHead.rows[0]), ...[...body.rows].filter((row) => !row.hidden).map(cells)]), "table.csv", "text/csv");
    },
  }, "CSV"));
  table.parentElement.before(bar);
}

const root = page.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = page.getElementById("theme");
function paint(mode) {
  root.dataset.theme = mode;
  theme.textContent = mode === "dark" ? "Light mode" : "Dark mode";
}
theme.addEventListener("click", () => paint(root.dataset.theme === "dark" ? "light" : "dark"));
dark.addEventListener("change", () => paint(dark.matches ? "dark" : "light"));
paint(dark.matches ? "dark" : "light");
