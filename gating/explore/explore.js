// The explorer: what a reader sets, what is shown of it, and the address that says both. Needs `charts.js`; numbers come
// from a server, or from the page itself where it holds a grid of them.
const held = JSON.parse(page.getElementById("held").textContent);
const HERE = "this setting";
const SIDES = ["a", "b"].filter((side) => page.getElementById(`side-${side}`));
const LATE = 15000; // milliseconds without an answer after which a reader is told
const state = { a: {}, b: null, side: "a", step: null, turn: 0 };
const form = page.querySelector("#settings form");
const problems = page.getElementById("problems");
let source = null;

const text = (key, side = state.side) => state[side]?.[key] ?? held.defaults[key];
const number = (value) => (value === "null" || value === "" ? null : Number(value));
const keyOf = (field) => (field === "n_sequences" ? field : `distribution.${field}`);

// ---- What is set: the address, and the controls ------------------------------------------------------------------

function readAddress() {
  const given = new URLSearchParams(location.search);
  Object.assign(state, { a: {}, b: given.has("b") && SIDES.length > 1 ? {} : null, side: "a", step: null });
  for (const [key, value] of given) {
    if (key === "b") continue;
    else if (key === "side") state.side = value === "b" && state.b ? "b" : "a";
    else if (key === "step") state.step = Number(value);
    else if (key.startsWith("b.")) state.b && (state.b[key.slice(2)] = value);
    else state.a[key] = value;
  }
  if (!location.href.includes("?")) Object.assign(state.a, held.first); // a lone "?" says that all is as usual
}

function writeAddress() {
  const said = new URLSearchParams();
  for (const side of SIDES) {
    if (side === "b" && state.b) said.set("b", "1");
    for (const [key, value] of Object.entries(state[side] ?? {})) {
      if (value !== held.defaults[key]) said.set((side === "b" ? "b." : "") + key, value);
    }
  }
  if (state.side === "b") said.set("side", "b");
  if (state.step !== null) said.set("step", state.step);
  const query = said.toString();
  history.replaceState(null, "", query ? `?${query}` : held.first && Object.keys(held.first).length ? "?" : location.pathname);
}

const position = (slide, value) => {
  const { low, high } = slide.dataset;
  if (!slide.parentElement.dataset.scale) return value;
  return Math.round((1000 * Math.log(value / low)) / Math.log(high / low));
};

// What a slider has been moved to from a value: another one, however small its step.
function reached(slide, from) {
  const { scale, whole } = slide.parentElement.dataset;
  const { low, high } = slide.dataset;
  const at = scale ? low * (high / low) ** (slide.value / 1000) : Number(slide.value);
  const rounded = (digits) => Number(at.toPrecision(digits));
  if (whole === undefined) return String([3, 4, 5].map(rounded).find((value) => value !== from) ?? at);
  const value = Math.round(scale ? rounded(3) : at);
  return String(value === from ? value + Math.sign(slide.value - position(slide, value)) : value);
}

function showControls() {
  for (const control of form.querySelectorAll(".control")) {
    const value = text(control.dataset.key);
    const [box, slide] = [control.querySelector("input:not([type=range]), select"), control.querySelector("[type=range]")];
    if (box?.type === "checkbox") box.checked = value === "true";
    else if (box && box !== page.activeElement) box.value = box.matches("input") && value === "null" ? "" : value;
    if (slide && slide !== page.activeElement) {
      const at = number(value);
      if (at !== null && !Number.isNaN(at)) slide.value = position(slide, at);
    }
    slide?.setAttribute("aria-valuetext", value === "null" ? control.querySelector("input").placeholder : value);
  }
  for (const choice of form.querySelectorAll("[name=side]")) {
    choice.checked = choice.value === state.side;
    choice.disabled = choice.value === "b" && !state.b;
  }
  const beside = page.getElementById("beside");
  if (beside) beside.textContent = state.b ? "Hide the second setting" : "Show a second setting";
  page.getElementById("sides").dataset.count = state.b ? 2 : 1;
  for (const side of SIDES) page.getElementById(`side-${side}`).hidden = side === "b" && !state.b;
  showDifferences();
}

function showDifferences() {
  if (SIDES.length < 2) return;
  const keys = state.b ? Object.keys(held.defaults).filter((key) => text(key, "a") !== text(key, "b")) : [];
  const told = (side) => keys.map((key) => `${key.replace("distribution.", "")} = ${text(key, side)}`).join(", ");
  for (const side of SIDES) {
    const name = side === "a" ? "Setting" : "Second setting";
    const line = state.b ? `${name}: ${told(side) || "the same as the other"}` : "";
    page.querySelector(`#side-${side} .which`).textContent = line;
  }
}

function set(key, value, side = state.side) {
  state[side][key] = value;
  const axis = /^([xy])\.field$/.exec(key)?.[1];
  if (!axis) return;
  const other = axis === "x" ? "y" : "x";
  if (value === text(`${other}.field`, side)) {
    for (const name of ["field", "low", "high", "scale", "values"]) {
      state[side][`${other}.${name}`] = name === "field" ? state.was : text(`${axis}.${name}`, side);
    }
  }
  Object.assign(state[side], Object.fromEntries(Object.entries(held.axes[value] ?? {}).map(([name, end]) => [`${axis}.${name}`, end])));
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", (event) => {
  const control = event.target.closest(".control");
  if (!control) return;
  const { key } = control.dataset;
  const { target } = event;
  if (target.type === "range") {
    const value = reached(target, number(text(key)));
    control.querySelector(".value").value = value;
    target.setAttribute("aria-valuetext", value);
    set(key, value);
  } else if (target.type === "checkbox") set(key, String(target.checked));
  else if (target.matches("select")) {
    state.was = text(key);
    set(key, target.value);
    showControls();
  } else return; // what is typed counts once it is whole
  moved();
});
form.addEventListener("change", (event) => {
  const control = event.target.closest(".control");
  if (!control || !event.target.matches(".value")) return;
  const typed = event.target.value.trim();
  set(control.dataset.key, typed || ("none" in control.dataset ? "null" : held.defaults[control.dataset.key]));
  showControls();
  moved();
});
form.addEventListener("click", (event) => {
  const { target } = event;
  if (target.id === "beside") {
    state.b = state.b ? null : { ...state.a };
    state.side = state.b ? "b" : "a";
  } else if (target.id === "reset") Object.assign(state, { a: { ...held.first }, b: null, side: "a", step: null });
  else if (target.name === "side") state.side = target.value;
  else if (target.classList.contains("take")) Object.assign(state[state.side], held.runs[target.dataset.run]);
  else return;
  showControls();
  moved();
});

// ---- What is shown -----------------------------------------------------------------------------------------------

class Part {
  constructor(name, side) {
    Object.assign(this, { name, side, charts: [], found: null });
    this.place = page.getElementById(`${name}-${side}`);
    this.figures = this.place.querySelector(".figures");
    this.figures.addEventListener("pointerdown", (event) => { this.from = [event.clientX, event.clientY]; });
    if (name === "map") this.figures.addEventListener("click", (event) => this.click(event));
  }

  say(words) {
    this.place.querySelector(".state").textContent = words;
  }

  show(found, turn) {
    this.found = found;
    const figures = found.figures ?? (found.figure ? [found.figure] : []);
    this.place.querySelector(".said").replaceChildren(...(found.refused ?? found.said).map((line) => make("li", {}, line)));
    this.say(found.coarse ? "A coarse map; the fine one is on its way." : "");
    this.figures.hidden = !figures.length;
    const drawing = [];
    this.charts = figures.map((figure, place) => {
      const chart = this.charts[place];
      const kept = chart?.figure.name === figure.name;
      const shown = kept ? chart : new Chart(this.frame(figure), figure);
      shown.change = (row) => this.here(row);
      shown.stepped = (step) => { state.step = step; writeAddress(); };
      if (kept) drawing.push(shown.update(figure));
      if (figure.steps.includes(state.step) && shown.step !== state.step) this.scrub(shown);
      return shown;
    });
    this.figures.replaceChildren(...this.charts.map((chart) => chart.place));
    Promise.all(drawing).then(() => { this.place.dataset.shown = turn; });
  }

  scrub(chart) {
    const slide = chart.place.querySelector("[id^=step]");
    slide.value = chart.figure.steps.indexOf(state.step);
    slide.dispatchEvent(new Event("input"));
  }

  frame(figure) {
    const label = `${figure.title}. ${(this.found.said ?? [""])[0]}`;
    const heading = this.name === "runs" ? [make("h3", {}, figure.title)] : [];
    return make("figure", { id: `figure-${this.side}-${figure.name}` }, ...heading, make("div", { class: "controls" }),
      make("div", { class: "chart", role: "img", "aria-label": label }));
  }

  // The setting itself moves on the charts without a word from the server.
  here(row) {
    if (row.k !== HERE) return row;
    if (this.name === "curves") return { ...row, x: number(text("n_sequences", this.side)), t: text("n_sequences", this.side) };
    const [x, y] = ["x", "y"].map((axis) => text(keyOf(text(`${axis}.field`, this.side)), this.side));
    const [across, up] = [x, y].map((value) => (Number.isNaN(Number(value)) ? value : number(value)));
    return { ...row, x: across, y: up, t: `${x}, ${y}` };
  }

  move() {
    for (const chart of this.charts) chart.alter((row) => this.here(row));
  }

  // The setting of a click on a map: the nearest of its points.
  click(event) {
    if (Math.hypot(event.clientX - this.from[0], event.clientY - this.from[1]) > 4 || !this.found?.x) return;
    const { view } = this.charts[0];
    for (const ground of this.figures.querySelectorAll("[class*='concat_'] path.background")) {
      const box = ground.getBoundingClientRect();
      const at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      const name = /concat_\d+/.exec(ground.closest("[class*='concat_']").getAttribute("class"))[0];
      if (at.some((share) => share < 0 || share > 1)) continue;
      ["x", "y"].forEach((axis, place) => {
        const value = nearest(view.scale(`${name}_${axis}`), at[place], this.found[axis]);
        set(keyOf(text(`${axis}.field`, this.side)), String(value), this.side);
      });
      showControls();
      return moved();
    }
  }
}

function nearest(scale, share, values) {
  const [first, last] = scale.range();
  const at = scale.type === "band" ? null : Number(scale.invert(Math.min(first, last) + share * Math.abs(last - first)));
  if (at === null) {
    const order = scale.domain();
    const place = Math.floor(share * order.length);
    return order[Math.max(0, Math.min(order.length - 1, first > last ? order.length - 1 - place : place))];
  }
  const far = scale.type === "log" ? (value) => Math.abs(Math.log(value / at)) : (value) => Math.abs(value - at);
  return values.reduce((best, value) => (far(value) < far(best) ? value : best));
}

const parts = Object.fromEntries(SIDES.map((side) => [side, Object.fromEntries(
  [...page.querySelectorAll(`#side-${side} .part`)].map((place) => {
    const name = place.id.slice(0, -2);
    return [name, new Part(name, side)];
  }))]));

// ---- Questions and answers ---------------------------------------------------------------------------------------

let timer = null;
let late = null;
let asked = 0;

function moved() {
  writeAddress();
  showDifferences();
  for (const side of SIDES) for (const part of Object.values(parts[side])) part.move();
  for (const taken of page.querySelectorAll(".part pre")) taken.hidden = true; // it is of what was set before
  timer ??= setTimeout(ask, Math.max(0, 50 - (performance.now() - asked)));
}

function ask() {
  timer = null;
  if (!source) return;
  asked = performance.now();
  state.turn += 1;
  page.body.dataset.asked = state.turn;
  clearTimeout(late);
  late = setTimeout(() => tell(["No answer yet: is `gating explore` still running? If it is, load this page again."]), LATE);
  source({ turn: state.turn, a: state.a, b: state.b });
}

function tell(sentences) {
  problems.replaceChildren(...sentences.map((line) => make("p", {}, line)));
}

function hear(message) {
  clearTimeout(late);
  if (message.export) return heardExport(message);
  if (message.turn !== state.turn && !message.found) return;
  if (message.problems) {
    tell(Object.entries(message.problems).flatMap(([side, lines]) => lines.map((line) => (side === "b" ? `Second setting: ${line}` : line))));
    for (const side of SIDES) {
      if (message.texts?.[side] && message.turn === state.turn && timer === null) state[side] = message.texts[side];
    }
    showControls();
  }
  if (message.found) parts[message.side][message.part].show(
    typeof message.found === "string" ? JSON.parse(message.found) : message.found, message.turn);
  if (message.done) page.body.dataset.done = message.turn;
}

function heardExport({ export: part, form: kind, side, text: found, refused }) {
  if (kind === "csv" && found) return save(found, `${part}.csv`, "text/csv");
  const shown = page.querySelector(`#${part}-${side} pre`);
  shown.hidden = false;
  shown.textContent = found ?? refused.join("\n");
  shown.focus();
}

for (const button of page.querySelectorAll(".export")) {
  button.addEventListener("click", () => {
    const { part, side, form: kind } = button.dataset;
    if (kind === "svg") parts[side][part].charts.forEach((chart) => chart.asSvg());
    else source?.({ export: part, form: kind, side, setting: state[side] });
  });
}

addEventListener("popstate", () => { readAddress(); showControls(); moved(); });
if (matchMedia("(max-width: 800px)").matches) page.getElementById("settings").open = false;
readAddress();
showControls();

if (held.live) {
  const connect = ({ detail }) => {
    source = detail.send;
    detail.hear(hear);
    ask();
  };
  if (globalThis.explorerLine) connect({ detail: globalThis.explorerLine });
  else addEventListener("explorer-line", connect, { once: true });
}

// ---- A page that holds its own answers ---------------------------------------------------------------------------

async function unpacked(words) {
  const bytes = Uint8Array.from(atob(words), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

function fromGrid({ values, across, found, pool }) {
  const of = (place) => JSON.parse(pool[place]);
  const near = (key) => {
    const wanted = text(key, "a");
    if (values[key].includes(wanted)) return wanted;
    const far = (value) => Math.abs(Number(value) - Number(wanted));
    return values[key].reduce((best, value) => (far(value) < far(best) ? value : best));
  };
  const whole = (answer) => {
    const made = { ...answer };
    if (answer.figure) {
      made.figure = of(answer.figure.frame);
      made.figure.points = Object.fromEntries(Object.entries(answer.figure.points).map(([name, place]) => [name, of(place)]));
    }
    for (const axis of ["x", "y"]) if (axis in answer) made[axis] = of(answer[axis]);
    return made;
  };
  return ({ turn }) => {
    const fixed = Object.keys(values).filter((key) => key !== across).map(near);
    hear({ turn, side: "a", part: "map", found: whole(found[["map", ...fixed].join("|")]) });
    const curves = whole(found[["curves", ...fixed, near(across)].join("|")]);
    if (near(across) !== text(across, "a")) curves.said = [`Curves are of p_high = ${near(across)}, the nearest that this file has.`, ...curves.said];
    hear({ turn, side: "a", part: "curves", found: curves });
    hear({ turn, done: true });
  };
}

if (!held.live) {
  source = fromGrid(await unpacked(held.grid));
  ask();
}
