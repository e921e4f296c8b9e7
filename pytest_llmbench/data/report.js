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
  const specs = JSON.parse(block.textContent);
  const draw = (box) => {
    const spec = vegaLite.compile(specs[box.dataset.chart]).spec;
    const runtime = vega.parse(spec, null, { ast: true });
    const view = new vega.View(runtime, { expr: vega.expressionInterpreter, renderer: "svg", hover: false });
    const canvas = document.createElement("div");
    canvas.setAttribute("aria-hidden", "true");
    box.replaceChildren(canvas);
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", box.dataset.label);
    view.initialize(canvas).runAsync();
  };
  // What is closed is drawn once it is opened: most readers never look.
  const waiting = new Set(document.querySelectorAll("[data-chart]"));
  const drawVisible = () => {
    for (const box of waiting) {
      if (box.closest("details:not([open])")) continue;
      waiting.delete(box);
      draw(box);
    }
  };
  for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", drawVisible);
  drawVisible();
})();
