// Drawings and charts of the page as files: SVG, and PNG at twice the size. A drawing's colors come from style sheets,
// so they are written into a copy.
const DRAWING_STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-family", "font-size", "font-weight", "text-anchor", "opacity"];

// color(srgb 0.5 0.6 0.7), which browsers compute from color-mix, as rgb(128, 153, 179), which all programs read.
function plainColor(text) {
  const match = /^color\(srgb ([\d.e-]+) ([\d.e-]+) ([\d.e-]+)(?: \/ ([\d.e-]+))?\)$/.exec(text);
  if (!match) return text;
  const levels = match.slice(1, 4).map((level) => Math.round(255 * Number(level)));
  return match[4] === undefined ? `rgb(${levels.join(", ")})` : `rgba(${levels.join(", ")}, ${match[4]})`;
}

function standaloneSvg(drawing) {
  const copy = drawing.cloneNode(true);
  const originals = [drawing, ...drawing.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, index) => {
    const style = getComputedStyle(originals[index]);
    element.setAttribute("style", DRAWING_STYLES.map((name) => `${name}:${plainColor(style.getPropertyValue(name))}`).join(";"));
  });
  const { width, height } = drawing.viewBox.baseVal;
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  copy.prepend(svgElement("rect", { width, height, style: `fill:${getComputedStyle(document.body).backgroundColor}` }));
  return new XMLSerializer().serializeToString(copy);
}

function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000); // A busy browser starts the download after seconds.
}

function saveSvg(drawing, name) {
  save(new Blob([standaloneSvg(drawing)], { type: "image/svg+xml" }), `${name}.svg`);
}

// At twice its size, or less where a side would exceed what browsers can draw.
async function savePng(drawing, name) {
  const { width, height } = drawing.viewBox.baseVal;
  const scale = Math.min(2, 16000 / Math.max(width, height));
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([standaloneSvg(drawing)], { type: "image/svg+xml" }));
  await image.decode();
  const canvas = make("canvas", { width: Math.ceil(width * scale), height: Math.ceil(height * scale) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  save(await new Promise((resolve) => canvas.toBlob(resolve)), `${name}.png`);
}

// Buttons that save a drawing, which `drawing` returns, or a chart of plotly, as a file called `name()`.
function exportButtons(title, name, drawing, chart = null) {
  const write = (format) => {
    const picture = drawing();
    if (picture) return format === "svg" ? saveSvg(picture, name()) : savePng(picture, name());
    return saveChart(chart, name(), format);
  };
  return ["svg", "png"].map((format) => plainButton(format.toUpperCase(), `Save ${title} as ${format.toUpperCase()}`, () => write(format)));
}

async function saveChart(plot, name, format) {
  await load();
  if (!isDrawn(plot)) draw(plot);
  const size = { width: plot.clientWidth, height: plot.clientHeight };
  const href = await Plotly.toImage(plot, { ...size, format, scale: format === "png" ? 2 : 1 });
  make("a", { href, download: `${name}.${format}` }).click();
}

for (const plot of plots) {
  const figure = plot.closest("figure");
  const drawing = () => {
    if (!isIcicle(plot)) return null;
    if (!isDrawn(plot)) drawIcicle(plot);
    return plot.querySelector("svg");
  };
  const bar = make("div", { className: "tools export" }, ...exportButtons(figure.querySelector("h3").textContent, () => id(plot), drawing, plot));
  const open = figure.querySelector(":scope > .sheet"); // A table that is not folded.
  if (open) open.before(bar);
  else figure.append(bar);
}
