// Charts: plotly is unpacked and run when the first chart comes near; the others are drawn when the page is idle.
const figures = json("figures") ?? {};
let metric = "";
const plots = all(".plot");
const config = {
  responsive: true, displayModeBar: false, displaylogo: false, showLink: false, showSendToCloud: false,
  showEditInChartStudio: false, sendData: false, plotlyServerURL: "", scrollZoom: false, doubleClick: false, showTips: false,
};
const id = (plot) => plot.id.slice("plot-".length);
const isDrawn = (plot) => plot.dataset.drawn === "1";

function colors(print) {
  const style = getComputedStyle(root);
  const of = (name, paper) => (print ? paper : style.getPropertyValue(name).trim());
  return { ink: of("--ink", "#1a1f26"), line: of("--line", "#dde1e6"), muted: of("--muted", "#545d69"), bg: of("--bg", "#ffffff") };
}

function themed(layout, print = false) {
  const { ink, line, muted, bg } = colors(print);
  const result = structuredClone({ ...figures.base, ...layout });
  Object.assign(result, { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true });
  result.font = { ...result.font, color: ink, ...(print ? { size: 9 } : {}) };
  result.hoverlabel = { ...result.hoverlabel, bgcolor: bg, bordercolor: muted };
  result.hoverlabel.font = { ...result.hoverlabel.font, color: ink };
  for (const key of Object.keys(result))
    if (/^[xy]axis/.test(key)) Object.assign(result[key], { gridcolor: line, zerolinecolor: muted, linecolor: muted, tickcolor: line, fixedrange: true });
  return result;
}

// The figures have the colors of the light theme, on which text is black or white.
const luminance = (color) => {
  const part = (start) => {
    const level = parseInt(color.slice(start, start + 2), 16) / 255;
    return level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
};
const textOn = (color) => (luminance(color) < 0.18 ? "#ffffff" : "#000000");
function seriesColors(print) {
  const style = getComputedStyle(root);
  return (figures.colors ?? []).map((light, index) => (print ? light : style.getPropertyValue(`--s${index}`).trim() || light));
}
function tinted(data, print) {
  const now = seriesColors(print);
  const text = JSON.stringify(data).replace(/"#[0-9a-f]{6}"/g, (color) => {
    const index = figures.colors.indexOf(color.slice(1, -1));
    return index < 0 ? color : `"${now[index]}"`;
  });
  const result = JSON.parse(text);
  for (const trace of result) if (trace.insidetextfont) trace.insidetextfont.color = textOn(trace.marker.color);
  return result;
}

const viewOf = (plot) => {
  const { views } = figures[id(plot)];
  return (views ?? []).find(([name]) => name === metric) ?? views?.[0];
};
function current(plot) {
  const { data, layout } = figures[id(plot)];
  const result = structuredClone({ data, layout });
  for (const [key, columns] of Object.entries(viewOf(plot)?.[1] ?? {}))
    if (key === "axis") result.layout.xaxis.title.text = columns;
    else if (key === "ticks") Object.assign(result.layout.xaxis, columns);
    else if (Array.isArray(columns)) columns.forEach((column, index) => (result.data[index][key] = column));
    else result[key] = columns;
  return result;
}

// On a narrow screen the names at an axis are shortened, as in base.py, and its title has two lines.
const NARROW = 480;
const MAX_NAME = 18;
const escapedLabel = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const shortened = (name) => (name.length <= MAX_NAME ? name : `${name.slice(0, MAX_NAME / 2)}…${name.slice(1 - MAX_NAME / 2)}`);
function narrowed(data, layout) {
  const { xaxis, yaxis } = layout;
  if (yaxis?.autorange === "reversed") {
    const names = [...new Set(data.flatMap((trace) => trace.y).filter(Boolean))];
    Object.assign(yaxis, { tickmode: "array", tickvals: names, ticktext: names.map((name) => escapedLabel(shortened(unescaped(name)))) });
  }
  const title = xaxis?.title?.text ?? "";
  if (title.length > 24) xaxis.title.text = title.replace(/^(.{8,}?) (?=.{0,20}$)/, "$1<br>");
  return layout;
}

function draw(plot, print = false) {
  if (isIcicle(plot)) return drawIcicle(plot, print);
  const { data: untinted, layout } = current(plot);
  const data = tinted(untinted, print);
  if (!print && plot.clientWidth < NARROW) narrowed(data, layout);
  for (const trace of data) {
    if (trace.error_x) trace.error_x.color = colors(print).ink;
    if (trace.textfont && print) trace.textfont.size = 7;
  }
  const size = print ? { width: PAPER, height: Math.max(layout.height * SHRUNK, 170), autosize: false } : {};
  const done = Plotly[isDrawn(plot) ? "react" : "newPlot"](plot, data, { ...themed(layout, print), ...size }, config);
  plot.dataset.drawn = "1";
  all("svg", plot).forEach((element) => element.setAttribute("aria-hidden", "true"));
  mark(plot);
  return done;
}
const PAPER = 340; // Pixels: half the width of an A4 page between its margins.
const SHRUNK = 0.62;

let loading = null;
function load() {
  loading ??= unpack().then(
    (source) =>
      new Promise((resolve, reject) => {
        const script = make("script", { ...source, onload: resolve, onerror: reject });
        document.head.append(script);
      }),
  );
  return loading;
}
async function unpack() {
  const link = json("plotly-link");
  if (link) return { ...link, crossOrigin: "anonymous" };
  return { src: URL.createObjectURL(await inflated("plotly", "text/javascript")) };
}

// The whole page is laid out once no chart is being loaded.
const settle = () =>
  soon(() => {
    root.classList.add("settled");
    dispatchEvent(new CustomEvent("settled"));
  });
addEventListener("load", () => soon(() => loading || settle()));

const seen = (plot) => plot.offsetParent !== null;
function follow() {
  const next = plots.find((plot) => !isDrawn(plot) && seen(plot));
  if (!next) return settle();
  soon(() => { if (!isDrawn(next)) draw(next); follow(); });
}
const observer = new IntersectionObserver(
  (entries) => {
    const close = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
    const near = close.filter((plot) => !isIcicle(plot));
    if (near.length) load(); // While it is unpacked, tiles are drawn, which need no plotly.
    close.filter(isIcicle).forEach((plot) => {
      soon(() => isDrawn(plot) || drawIcicle(plot));
      observer.unobserve(plot);
    });
    if (!near.length) return;
    load().then(
      () => {
        const [first] = near;
        if (!isDrawn(first)) draw(first);
        follow();
      },
      () => near.forEach((plot) => (plot.textContent = "The chart's script could not be loaded; its figures are in the table below.")),
    );
    near.forEach((plot) => observer.unobserve(plot));
  },
  { rootMargin: "150% 0px" },
);
plots.forEach((plot) => observer.observe(plot));

let resized = 0;
addEventListener("resize", () => {
  clearTimeout(resized);
  if (matchMedia("print").matches) return;
  resized = setTimeout(() => plots.filter((plot) => isIcicle(plot) && isDrawn(plot) && seen(plot)).forEach((plot) => drawIcicle(plot)), 100);
});
function recolor() {
  plots.filter(isDrawn).forEach((plot) => draw(plot));
}
function redrawn() {
  if (window.Plotly) plots.filter((plot) => seen(plot)).forEach((plot) => (isDrawn(plot) && !isIcicle(plot) ? Plotly.Plots.resize(plot) : draw(plot)));
}
