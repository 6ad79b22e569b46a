"use strict";
// Lets a candidate be chosen and says how it came about.  Tokens enter the document through textContent only.

const data = JSON.parse(document.getElementById("data").textContent);
const part = (id) => document.getElementById(id);
const key = (step, place) => `${step}-${place}`;
const read = (name) => name.split("-").map(Number);
let chosen = null; // step and place

function make(name, attributes = {}, text) {
  const node = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

const candidate = ([step, place]) => data.steps[step][place];

/** Step and place of everything that led to a candidate, the first first and itself the last. */
function pathTo([step, place]) {
  const path = [];
  for (; place !== null; step -= 1) {
    path.unshift([step, place]);
    place = data.steps[step][place].parent;
  }
  return path;
}

/** The picture that is shown: with what was pruned, or without. */
function picture() {
  const choice = part("pruned");
  return choice && !choice.checked ? part("survivors") : part("all");
}

const node = ([step, place]) => picture().querySelector(`.node[data-place="${key(step, place)}"]`);

/** The column of a step as it stands in the picture, downwards. */
function column(step) {
  const height = (one) => Number(one.querySelector("rect").getAttribute("y"));
  const all = [...picture().querySelectorAll(`.node[data-place^="${step}-"]`)];
  return all.sort((one, other) => height(one) - height(other)).map((one) => read(one.dataset.place));
}

function children([step, place]) {
  return column(step + 1).filter((other) => candidate(other).parent === place);
}

// --- choosing --------------------------------------------------------------------------------------------------------

/** Shows one candidate; `move` brings the focus and the picture to it, too. */
function choose(place, move) {
  chosen = place;
  const path = pathTo(place), before = new Set(path.map(([step, index]) => key(step, index)));
  for (const one of document.querySelectorAll(".node")) {
    const here = one.dataset.place === key(...place);
    one.classList.toggle("chosen", here);
    one.classList.toggle("before", !here && before.has(one.dataset.place));
    one.setAttribute("tabindex", here ? "0" : "-1");
    one.setAttribute("aria-selected", String(here));
  }
  for (const line of document.querySelectorAll(".line")) line.classList.toggle("before", before.has(line.dataset.to));
  for (const link of part("found").querySelectorAll("a")) {
    if (link.dataset.place === key(...place)) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  tell(path);
  if (move) bring(node(place));
}

function bring(one) {
  one.focus({ preventScroll: true });
  const region = part("trees"), box = one.getBoundingClientRect(), room = region.getBoundingClientRect();
  region.scrollLeft += box.left + box.width / 2 - room.left - room.width / 2;
  if (box.top < 0 || box.bottom > innerHeight) one.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function rounded(number, digits) {
  return (Math.round(number * 10 ** digits) / 10 ** digits + 0).toFixed(digits); // there is no -0
}

function tell(path) {
  const { gain, log_prob, score, fate } = candidate(path.at(-1)), step = path.at(-1)[0];
  part("path").replaceChildren(
    ...path.map((place) => make("span", { class: "token", dir: "auto" }, candidate(place).token)));
  const shown = (number) => rounded(number, 3).replace("-", "−");
  const numbers = [
    ["step", `${step + 1} of ${data.steps.length}`], ["what became of it", fate],
    ["log-probability of the token", shown(gain)], ["of the hypothesis so far", shown(log_prob)],
    ["score so far", shown(score)], ["probability of the token", `${(100 * Math.exp(gain)).toPrecision(3)} %`],
  ];
  part("numbers").replaceChildren(...numbers.map(([name, value]) => {
    const pair = make("div");
    pair.append(make("dt", {}, name), make("dd", {}, value));
    return pair;
  }));
}

function goThrough(event) {
  if (!event.target.closest(".node")) return;
  const beside = column(chosen[0]), here = beside.findIndex(([, place]) => place === chosen[1]);
  const path = pathTo(chosen), ways = {
    ArrowLeft: path.at(-2), ArrowRight: children(chosen)[0], ArrowUp: beside[here - 1], ArrowDown: beside[here + 1],
    Home: path[0], End: data.finished[0],
  };
  if (!(event.key in ways)) return;
  event.preventDefault();
  if (ways[event.key]) choose(ways[event.key], true);
}

// --- the page --------------------------------------------------------------------------------------------------------

function name(one) {
  const { token, gain, score, fate } = candidate(read(one.dataset.place));
  const says = `${token}, ${fate}, log-probability ${rounded(gain, 2)}, score ${rounded(score, 2)}`;
  one.setAttribute("role", "treeitem");
  one.setAttribute("aria-level", String(read(one.dataset.place)[0] + 1));
  one.setAttribute("aria-label", says);
}

function start() {
  part("chosen").hidden = false;
  part("trees").removeAttribute("tabindex"); // its candidates take the focus
  for (const svg of part("trees").querySelectorAll("svg")) {
    svg.setAttribute("role", "tree");
    svg.setAttribute("aria-label", "The search");
  }
  document.querySelectorAll(".node").forEach(name);
  part("trees").addEventListener("click", (event) => {
    const one = event.target.closest(".node");
    if (one) choose(read(one.dataset.place), true);
  });
  part("trees").addEventListener("keydown", goThrough);
  part("found").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    choose(read(link.dataset.place), true);
  });
  part("pruned")?.addEventListener("change", () => {
    if (!node(chosen)) choose(pathTo(chosen).at(-2) || column(0)[0], false); // it is pruned, and hidden now
  });
  choose(data.finished[0] || column(0)[0], false);
}

start();
