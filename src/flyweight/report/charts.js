"use strict";
// How many charts were drawn, and how many points of records are in them, is written on the page's
// root, where a test can find it.
(async () => {
  // ast: Vega's expressions are interpreted, so that the page's policy need not allow eval.
  const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true };
  let drawn = 0;
  for (const spec of document.querySelectorAll("script[data-chart]")) {
    await vegaEmbed("#" + spec.dataset.chart, JSON.parse(spec.textContent), options);
    drawn += 1;
  }
  let points = 0;
  for (const charts of document.querySelectorAll(".charts[data-whole]")) {
    const whole = document.getElementById(charts.dataset.whole);
    points += whole.querySelectorAll(`g.${charts.dataset.points}_marks > path`).length;
  }
  document.documentElement.dataset.points = points;
  document.documentElement.dataset.charts = drawn;
})();
