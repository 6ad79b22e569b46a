"use strict";
// Fills the page from the JSON beside it.  Tokens enter the document through textContent only.

const data = JSON.parse(document.getElementById("data").textContent);
const chosen = { view: 0, layer: "mean", head: "mean", row: 0, column: -1 };
const unpacked = new Map();
let map = null; // the geometry of the heat map now shown
let matrix = null; // its weights [T, S]

const part = (id) => document.getElementById(id);
const range = (count) => Array.from({ length: count }, (_, index) => index);

function make(name, attributes = {}, text) {
  const node = document.createElement(name);
  return fill(node, attributes, text);
}

function draw(name, attributes = {}, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  return fill(node, attributes, text);
}

function fill(node, attributes, text) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// --- numbers -------------------------------------------------------------------------------------------------------

function view() {
  return data.views[chosen.view];
}

/** The weights [L, H, T, S] of the chosen view, flat. */
function weights() {
  if (!unpacked.has(chosen.view)) {
    const bytes = atob(view().weights);
    const step = (index) => (bytes.charCodeAt(2 * index) + 256 * bytes.charCodeAt(2 * index + 1)) / 65535;
    unpacked.set(chosen.view, Float32Array.from({ length: bytes.length / 2 }, (_, index) => step(index)));
  }
  return unpacked.get(chosen.view);
}

function oneHead(layer, head) {
  const [, heads, rows, columns] = view().shape;
  const start = (layer * heads + head) * rows * columns;
  return weights().subarray(start, start + rows * columns);
}

/** One of several matrices, or their mean or largest, entry by entry. */
function combine(count, choice, matrix) {
  if (choice !== "mean" && choice !== "max") return matrix(Number(choice));
  const all = range(count).map(matrix);
  const largest = (place) => Math.max(...all.map((one) => one[place]));
  const mean = (place) => all.reduce((sum, one) => sum + one[place], 0) / count;
  return Float32Array.from(all[0], (_, place) => (choice === "max" ? largest(place) : mean(place)));
}

/** The matrix [T, S] that is shown. */
function shown() {
  const [layers, heads] = view().shape;
  return combine(layers, chosen.layer, (layer) => combine(heads, chosen.head, (head) => oneHead(layer, head)));
}

/** The weight of full colour: the largest one, so that thinly spread attention can be seen, too. */
const scaleEnd = (matrix) => matrix.reduce((most, weight) => Math.max(most, weight), 0.001);

// --- reading: the source shaded by what one target token looked at ---------------------------------------------------

function drawTokens() {
  part("source").replaceChildren(...view().source.map((token) => make("span", { class: "token", dir: "auto" }, token)));
  part("target").replaceChildren(
    ...view().target.map((token, row) => {
      const button = make("button", { class: "token", type: "button", role: "radio", dir: "auto" }, token);
      for (const event of ["focus", "pointerenter", "click"]) button.addEventListener(event, () => choose(row, -1));
      return button;
    }),
  );
}

function moveThroughTarget(event) {
  const last = view().target.length - 1;
  const next = chosen.row + 1, previous = chosen.row - 1;
  const keys = { ArrowRight: next, ArrowDown: next, ArrowLeft: previous, ArrowUp: previous, Home: 0, End: last };
  const row = keys[event.key];
  if (row === undefined) return;
  event.preventDefault();
  const wrapped = (row + last + 1) % (last + 1);
  part("target").children[wrapped].focus();
  choose(wrapped, -1); // a page that isn't in front gets no focus events
}

function shadeSource(row, end) {
  [...part("source").children].forEach((chip, column) => {
    const shade = row[column] / end;
    const layer = `rgb(var(--accent-channels) / ${shade.toFixed(3)})`;
    chip.style.backgroundImage = `linear-gradient(${layer}, ${layer})`; // over the chip's own colour
    chip.classList.toggle("strong", shade > 0.55);
    chip.title = row[column].toFixed(3);
  });
}

function listNumbers(row) {
  const { source, target } = view();
  const order = range(source.length).sort((one, other) => row[other] - row[one]).slice(0, 6);
  const best = order.filter((column, place) => place === 0 || row[column] >= 0.005);
  part("numbers-name").textContent = `${target[chosen.row]} looks at`;
  part("numbers").replaceChildren(
    ...best.map((column) => {
      const item = make("li");
      item.append(make("span", { dir: "auto" }, source[column]), make("b", {}, row[column].toFixed(3)), make("i"));
      item.style.setProperty("--weight", row[column].toFixed(3));
      return item;
    }),
  );
  const apart = (token) => `\u2068${token}\u2069`; // so that right-to-left tokens leave the number in its place
  const pair = `${apart(target[chosen.row])} → ${apart(source[chosen.column])}`;
  part("cell").textContent = chosen.column < 0 ? "" : `${pair}: ${row[chosen.column].toFixed(3)}`;
}

// --- the heat map --------------------------------------------------------------------------------------------------

const pen = document.createElement("canvas").getContext("2d");

function fitted(label, room) {
  if (pen.measureText(label).width <= room) return label;
  const characters = [...label];
  while (characters.length && pen.measureText(characters.join("") + "…").width > room) characters.pop();
  return characters.join("") + "…";
}

const widthOf = (label) => Math.ceil(pen.measureText(label).width);

/** The largest cells that fit the page.  Source labels are turned if several don't fit a cell, or else one by one. */
function layOut() {
  const room = part("map").clientWidth, narrow = room < 420, size = narrow ? 11 : 13;
  pen.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  const cut = (label) => fitted(label, narrow ? 84 : 140);
  const across = view().source.map(cut), down = view().target.map(cut);
  const widths = across.map(widthOf), ordered = [...widths].sort((one, other) => one - other);
  const telling = ordered[Math.max(0, Math.min(ordered.length - 2, Math.floor(ordered.length * 0.9)))];
  const left = Math.max(...down.map(widthOf)) + 16;
  const plan = (cell) => {
    const all = telling > cell - 2;
    const turned = widths.map((width) => all || width > cell - 2);
    const longest = Math.max(0, ...widths.filter((_, column) => turned[column]));
    const beyond = (width, column) => (turned[column] ? width / 2 + 12 - cell * (widths.length - column - 0.5) : 0);
    const overhang = Math.max(4, ...widths.map(beyond));
    const top = longest ? Math.ceil(longest * 0.87) + 18 : 26; // 0.87 is the sine of 60 degrees
    return { cell, turned, top, width: Math.ceil(left + cell * widths.length + overhang) };
  };
  const plans = range(narrow ? 26 : 23).map((step) => plan(38 - step));
  return { across, down, left, size, ...(plans.find(({ width }) => width <= room) || plans.at(-1)) };
}

function drawMap() {
  part("map").parentElement.classList.toggle("wide", view().source.length > 32);
  map = layOut();
  const { across, down, left, top, cell, width, size } = map;
  const height = top + cell * down.length + 40;
  const name = "Attention of each target token over the source";
  const picture = draw("svg", { width, height, "font-size": size, role: "img", "aria-label": name });
  map.across = across.map((label, column) => {
    const x = left + cell * (column + 0.5);
    const turned = { transform: `translate(${x + 4} ${top - 6}) rotate(-60)` };
    const upright = { x, y: top - 8, "text-anchor": "middle" };
    return labelled(picture, map.turned[column] ? turned : upright, label, view().source[column]);
  });
  map.down = down.map((label, row) => {
    const place = { x: left - 8, y: top + cell * (row + 0.5) + size * 0.36, "text-anchor": "end" };
    return labelled(picture, place, label, view().target[row]);
  });
  const breadth = cell * across.length;
  picture.append(draw("rect", { class: "bed", x: left, y: top, width: breadth, height: cell * down.length, rx: 3 }));
  map.cells = down.flatMap((_, row) => across.map((__, column) => square(picture, row, column)));
  map.outline = draw("rect", { class: "outline", x: left - 1, width: breadth + 1, height: cell + 1, rx: 3 });
  map.cross = draw("rect", { class: "cross", width: cell - 1, height: cell - 1, rx: 2 });
  picture.append(map.outline, map.cross);
  drawScale(picture, height - 24);
  part("map").replaceChildren(picture);
}

function labelled(picture, place, label, whole) {
  const text = picture.appendChild(draw("text", place, label));
  text.append(draw("title", {}, whole));
  return text;
}

function square(picture, row, column) {
  const { left, top, cell } = map;
  const place = { x: left + cell * column, y: top + cell * row, width: cell - 1, height: cell - 1 };
  return picture.appendChild(draw("rect", { class: "accent", ...place }));
}

function drawScale(picture, y) {
  const { left } = map;
  picture.append(draw("rect", { class: "bed", x: left, y, width: 96, height: 8 }));
  range(12).forEach((step) => picture.append(
    draw("rect", { class: "accent", x: left + 8 * step, y, width: 8, height: 8, "fill-opacity": step / 11 })));
  picture.append(draw("text", { class: "scale", x: left, y: y + 20 }, "0"));
  map.end = picture.appendChild(draw("text", { class: "scale", x: left + 96, y: y + 20, "text-anchor": "end" }));
}

function pointAt(event) {
  const box = part("map").firstChild.getBoundingClientRect();
  const column = Math.floor((event.clientX - box.left - map.left) / map.cell);
  const row = Math.floor((event.clientY - box.top - map.top) / map.cell);
  const moved = row !== chosen.row || column !== chosen.column;
  if (moved && row >= 0 && row < map.down.length && column < map.across.length) choose(row, Math.max(column, -1));
}

function colour(end) {
  map.cells.forEach((cell, place) => cell.setAttribute("fill-opacity", (matrix[place] / end).toFixed(3)));
  map.end.textContent = end.toPrecision(2);
}

function mark() {
  const { left, top, cell, down, across } = map;
  map.outline.setAttribute("y", top + cell * chosen.row - 1);
  const visibility = chosen.column < 0 ? "hidden" : "visible";
  fill(map.cross, { x: left + cell * chosen.column, y: top + cell * chosen.row, visibility });
  down.forEach((label, row) => label.setAttribute("class", row === chosen.row ? "chosen" : ""));
  across.forEach((label, column) => label.setAttribute("class", column === chosen.column ? "chosen" : ""));
}

// --- all heads -----------------------------------------------------------------------------------------------------

function drawHeads() {
  const [layers, heads] = view().shape;
  part("all").hidden = layers * heads === 1;
  part("all").querySelectorAll(".layer").forEach((old) => old.remove());
  if (part("all").hidden) return;
  const width = part("live").clientWidth;
  const across = Math.min(Math.max(heads, 6), Math.max(1, Math.floor(width / (width < 560 ? 76 : 120))));
  range(layers).forEach((layer) => {
    const row = make("div", { class: "layer", role: "group", "aria-label": view().layers[layer] });
    row.style.setProperty("--across", across);
    row.append(make("h3", {}, view().layers[layer]), ...range(heads).map((head) => thumbnail(layer, head)));
    part("all").append(row);
  });
}

function thumbnail(layer, head) {
  const button = make("button", { type: "button", "aria-label": `${view().layers[layer]}, head ${head + 1}` });
  button.dataset.layer = layer;
  button.dataset.head = head;
  button.append(paint(layer, head), make("span", {}, `head ${head + 1}`));
  button.addEventListener("click", () => {
    const again = button.getAttribute("aria-pressed") === "true";
    part("layer").value = again ? "mean" : String(layer);
    part("head").value = again ? "mean" : String(head);
    chooseMatrix();
  });
  return button;
}

function paint(layer, head) {
  const [, , rows, columns] = view().shape;
  const canvas = make("canvas", { width: columns, height: rows });
  const accent = getComputedStyle(document.documentElement).getPropertyValue("--accent-channels");
  const channels = accent.trim().split(" ").map(Number);
  const weights = oneHead(layer, head), end = scaleEnd(weights), image = new ImageData(columns, rows);
  weights.forEach((weight, place) => image.data.set([...channels, Math.round(255 * weight / end)], 4 * place));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// --- choices -------------------------------------------------------------------------------------------------------

/** Shows target token `row`, and says one number of it if `column` is not -1. */
function choose(row, column) {
  chosen.row = row;
  chosen.column = column;
  const count = view().source.length, weights = matrix.subarray(row * count, (row + 1) * count);
  [...part("target").children].forEach((button, place) => {
    button.setAttribute("aria-checked", String(place === row));
    button.tabIndex = place === row ? 0 : -1;
  });
  shadeSource(weights, Math.max(scaleEnd(weights), 0.25)); // thinly spread attention is to look thin here
  listNumbers(weights);
  mark();
}

function chooseMatrix() {
  chosen.layer = part("layer").value;
  chosen.head = part("head").value;
  matrix = shown();
  colour(scaleEnd(matrix));
  part("all").querySelectorAll("button").forEach((button) => {
    const { layer, head } = button.dataset;
    button.setAttribute("aria-pressed", String(layer === chosen.layer && head === chosen.head));
  });
  choose(chosen.row, chosen.column);
}

function chooseView(index) {
  chosen.view = index;
  chosen.row = 0;
  chosen.column = -1;
  const [layers, heads] = view().shape;
  offer(part("layer"), view().layers);
  offer(part("head"), range(heads).map((head) => `head ${head + 1}`));
  part("choices").hidden = layers * heads === 1;
  drawTokens();
  drawAll();
}

function drawAll() {
  drawMap();
  drawHeads();
  chooseMatrix();
}

/** Fills a list with the mean, the largest and each one, and hides it where there is nothing to choose. */
function offer(list, names) {
  const kept = list.value;
  const all = [["mean", "mean"], ["max", "largest"], ...names.map((name, index) => [String(index), name])];
  list.replaceChildren(...all.map(([value, name]) => make("option", { value }, name)));
  list.value = all.some(([value]) => value === kept) ? kept : "mean";
  list.parentElement.hidden = names.length === 1;
}

function offerHypotheses() {
  if (data.views.length === 1) part("hypotheses").querySelector("legend").textContent = "Hypothesis";
  data.views.forEach(({ title, subtitle, target }, index) => {
    const label = make("label"), radio = make("input", { type: "radio", name: "hypothesis" });
    radio.checked = index === 0;
    radio.hidden = data.views.length === 1;
    radio.addEventListener("change", () => chooseView(index));
    label.append(radio, make("span", { dir: "auto" }, title || target.join(" ")));
    label.append(make("span", { class: "faint" }, subtitle));
    part("hypotheses").append(label);
  });
}

function start() {
  part("still").remove();
  part("live").hidden = false;
  offerHypotheses();
  chooseView(0);
  part("target").addEventListener("keydown", moveThroughTarget);
  part("map").addEventListener("pointermove", pointAt);
  part("map").addEventListener("pointerdown", pointAt);
  for (const list of ["layer", "head"]) part(list).addEventListener("change", chooseMatrix);
  let width = part("live").clientWidth;
  new ResizeObserver(() => {
    if (part("live").clientWidth === width) return;
    width = part("live").clientWidth;
    drawAll();
  }).observe(part("live"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
}

start();
