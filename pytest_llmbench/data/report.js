"use strict";
(() => {
  const buttons = [...document.querySelectorAll("button[data-outcome]")];
  const rows = [...document.querySelectorAll("tr[data-outcome]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const wanted = button.dataset.outcome;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      for (const row of rows) row.hidden = wanted !== "all" && row.dataset.outcome !== wanted;
    });
  }
  for (const filter of document.querySelectorAll(".filter")) filter.hidden = false;

  const block = document.getElementById("chart-specs");
  if (!block) return;
  // Many charts share a form; their values come in columns, where one value stands for as many alike.
  const { config, forms, charts } = JSON.parse(block.textContent);
  const rowsOf = ({ n, of }) => {
    const columns = Object.entries(of);
    const at = (column, row) => column[column.length === 1 ? 0 : row];
    return Array.from({ length: n }, (_, row) => Object.fromEntries(columns.map(([name, column]) => [name, at(column, row)])));
  };
  const specOf = (name) => {
    const [place, values] = charts[name];
    const found = values && { data: { values: Array.isArray(values) ? values : rowsOf(values) } };
    return { ...forms[place], ...found };
  };
  const draw = (box) => {
    const { spec } = vegaLite.compile(specOf(box.dataset.chart), { config });
    const runtime = vega.parse(spec, null, { ast: true });
    const view = new vega.View(runtime, { expr: vega.expressionInterpreter, renderer: "svg", hover: false });
    const canvas = document.createElement("div");
    canvas.setAttribute("aria-hidden", "true");
    box.replaceChildren(canvas);
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", box.dataset.label);
    view.initialize(canvas).runAsync();
  };
  // What is closed is drawn once it is opened: most readers never look. One at a time, so that the page stays alive: what
  // is in sight or near it first, the rest when nothing else is to be done.
  const waiting = new Set(document.querySelectorAll("[data-chart]"));
  const isNear = (box) => {
    const { top, bottom } = box.getBoundingClientRect();
    return bottom > -innerHeight && top < 2 * innerHeight;
  };
  const next = () => {
    const open = [...waiting].filter((box) => !box.closest("details:not([open])"));
    return open.find(isNear) ?? open[0];
  };
  const drawNext = () => {
    const box = next();
    if (!box) return false;
    waiting.delete(box);
    draw(box);
    return true;
  };
  const whenIdle = window.requestIdleCallback ?? ((then) => setTimeout(then, 200));
  let isDrawing = false;
  const drawOpen = () => {
    isDrawing = drawNext();
    if (!isDrawing) return;
    const box = next();
    if (box && !isNear(box)) whenIdle(drawOpen);
    else setTimeout(drawOpen);
  };
  const begin = () => {
    if (!isDrawing) drawOpen();
  };
  for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", begin);
  addEventListener("beforeprint", () => {
    while (drawNext());
  });
  begin();
})();
