// Each chart as a file: SVG, and PNG at twice its size.
async function saveChart(plot, format) {
  if (isIcicle(plot)) return (format === "svg" ? saveSvg : savePng)(plot.querySelector("svg"), id(plot));
  const size = { width: plot.clientWidth, height: plot.clientHeight };
  const href = await Plotly.toImage(plot, { ...size, format, scale: format === "png" ? 2 : 1 });
  make("a", { href, download: `${id(plot)}.${format}` }).click();
}
for (const plot of plots) {
  const bar = make("div", { className: "tools export" });
  const figure = plot.closest("figure");
  const title = figure.querySelector("h3").textContent;
  for (const format of ["svg", "png"]) {
    const button = make("button", { type: "button", className: "plain", textContent: format.toUpperCase() });
    button.setAttribute("aria-label", `Save ${title} as ${format.toUpperCase()}`);
    button.addEventListener("click", () => saveChart(plot, format));
    bar.append(button);
  }
  const open = figure.querySelector(":scope > .sheet"); // A table that is not folded.
  if (open) open.before(bar);
  else figure.append(bar);
}
