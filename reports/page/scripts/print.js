// Print: every chart, at the width of the paper and on white.
addEventListener("beforeprint", () => {
  if (window.Plotly) plots.forEach((plot) => draw(plot, true));
});
addEventListener("afterprint", () => {
  if (window.Plotly) plots.filter(isDrawn).forEach((plot) => draw(plot));
});
