"use strict";
(async () => {
  const charts = document.getElementById("charts");
  // ast: Vega's expressions are interpreted, so that the page's policy need not allow eval.
  const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true };
  for (const spec of document.querySelectorAll("script[data-chart]")) {
    await vegaEmbed("#" + spec.dataset.chart, JSON.parse(spec.textContent), options);
  }
  const whole = document.getElementById(charts.dataset.whole);
  const marks = whole.querySelectorAll(`g.${charts.dataset.points}_marks > path`);
  document.documentElement.dataset.points = marks.length;
})();
