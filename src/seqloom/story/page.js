"use strict";
// Points at a step in every chart at once and says the values there; without this the last values stand.

const charts = JSON.parse(document.getElementById("data").textContent).charts;
const figures = [...document.querySelectorAll(".chart")].map((element) => ({
  element,
  ...charts[Number(element.dataset.chart)],
  plot: element.querySelector(".plot"),
  hair: element.querySelector(".hair"),
  at: element.querySelector(".at"),
  values: [...element.querySelectorAll(".key b")],
}));
for (const figure of figures) figure.last = figure.values.map((value) => value.textContent);

const number = (value) => {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1000 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  return size >= 100 ? value.toFixed(1) : size >= 1 ? value.toFixed(2) : String(Number(value.toPrecision(3)));
};

// The place of the step that is nearest to one, in a list that rises.
const nearest = (steps, step) => {
  let low = 0, high = steps.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle + 1; else high = middle;
  }
  return low > 0 && step - steps[low - 1] < steps[low] - step ? low - 1 : low;
};

let shown = null;

const show = (step) => {
  shown = step;
  for (const figure of figures) {
    const [first, last] = figure.steps, x = `${(100 * (step - first)) / Math.max(1, last - first)}%`;
    figure.hair.setAttribute("x1", x);
    figure.hair.setAttribute("x2", x);
    figure.hair.setAttribute("visibility", "visible");
    figure.at.textContent = `step ${number(step)}`;
    figure.curves.forEach(([steps, values], index) => {
      figure.values[index].textContent = number(values[nearest(steps, step)]);
    });
  }
};

const hide = () => {
  shown = null;
  for (const figure of figures) {
    figure.hair.setAttribute("visibility", "hidden");
    figure.at.textContent = "";
    figure.values.forEach((value, index) => { value.textContent = figure.last[index]; });
  }
};

for (const figure of figures) {
  const [first, last] = figure.steps;
  const all = [...new Set(figure.curves.flatMap(([steps]) => steps))].sort((a, b) => a - b);
  figure.plot.addEventListener("pointermove", (event) => {
    const box = figure.plot.getBoundingClientRect();
    const step = first + ((event.clientX - box.left) / box.width) * (last - first);
    show(all[nearest(all, step)]);
  });
  figure.plot.addEventListener("pointerleave", hide);
  figure.element.addEventListener("blur", hide);
  figure.element.addEventListener("keydown", (event) => {
    const from = shown === null ? all.length : nearest(all, shown);
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Escape") hide();
    if (to === undefined) return;
    event.preventDefault();
    show(all[Math.max(0, Math.min(all.length - 1, to))]);
  });
}
if (figures.length) document.getElementById("hint").textContent = "by step; point at a curve, or use the arrow keys";
