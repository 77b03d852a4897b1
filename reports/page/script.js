// The page works without this script, which adds sorting, filters, CSV, themes and charts.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const make = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const json = (id) => {
    const element = document.getElementById(id);
    return element ? JSON.parse(element.textContent) : null;
  };
  const soon = window.requestIdleCallback ?? ((job) => setTimeout(job, 1));

  // Theme: the system's until the reader picks the other.
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const toggle = make("button", { type: "button", className: "plain" });
  const named = () => {
    toggle.textContent = dark() ? "Light theme" : "Dark theme";
  };
  toggle.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    named();
    recolour();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    named();
    recolour();
  });
  named();
  document.querySelector("header").append(toggle);

  // Tables. A cell's value is the exact number in data-v, else the printed number, else the text.
  const value = (cell) => {
    if (!cell) return "";
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = cell.textContent.trim();
    if (cell.scope === "row") return text; // A name, even if it looks like a number.
    return /^[-−+]?[\d,]+(\.\d+)?$/.test(text) ? Number(text.replaceAll(",", "").replace("−", "-")) : text;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b
      : typeof a === "number" ? -1
        : typeof b === "number" ? 1
          : a < b ? -1 : a > b ? 1 : 0;

  function sort(table, index, head) {
    const body = table.tBodies[0];
    const first = head.getAttribute("aria-sort");
    const numeric = typeof value(body.rows[0]?.cells[index]) === "number";
    const order = first === "none" ? (numeric ? "descending" : "ascending") : first === "ascending" ? "descending" : "ascending";
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [value(row.cells[index]), row]);
    const missing = (key) => key === "" || key === "-";
    rows.sort(([a, one], [b, two]) => {
      const last = one.classList.contains("total") - two.classList.contains("total") || missing(a) - missing(b);
      return last || sign * compare(a, b);
    });
    body.replaceChildren(...rows.map(([, row]) => row));
    for (const other of table.tHead.rows[0].cells) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", order);
  }

  // A quote keeps a spreadsheet from running text that begins with one of these as a formula.
  const escapeFormula = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  function download(table) {
    const rows = [...table.rows].filter((row) => !row.hidden);
    const text = rows
      .map((row) =>
        [...row.cells]
          .map((cell) => {
            const content = row.parentElement === table.tHead ? cell.textContent : value(cell);
            return typeof content === "number" ? String(content) : quoted(escapeFormula(content === "-" ? "" : content));
          })
          .join(","),
      )
      .join("\n");
    const link = make("a", { href: URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" })), download: `${table.id}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function equip(table) {
    const tools = table.dataset.tools.split(" ");
    const title = table.parentElement.getAttribute("aria-label");
    const bar = make("div", { className: "tools" });
    if (tools.includes("sort"))
      [...table.tHead.rows[0].cells].forEach((head, index) => {
        head.setAttribute("aria-sort", "none");
        const button = make("button", { type: "button", textContent: head.textContent });
        button.addEventListener("click", () => sort(table, index, head));
        head.replaceChildren(button);
      });
    const status = make("span", { className: "status" });
    status.setAttribute("role", "status");
    const state = { text: "", changed: false };
    const show = () => {
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        row.hidden =
          (state.changed && row.classList.contains("same")) || !row.textContent.toLowerCase().includes(state.text);
        shown += !row.hidden;
      }
      status.textContent = state.text || state.changed ? `${shown} of ${table.tBodies[0].rows.length} rows` : "";
    };
    if (tools.includes("filter")) {
      const field = make("input", { type: "search", placeholder: "Filter rows" });
      field.setAttribute("aria-label", `Filter ${title}`);
      field.addEventListener("input", () => {
        state.text = field.value.trim().toLowerCase();
        show();
      });
      bar.append(field);
    }
    if (tools.includes("changed")) {
      const box = make("input", { type: "checkbox" });
      box.addEventListener("change", () => {
        state.changed = box.checked;
        show();
      });
      bar.append(make("label", {}, box, " only what changed"));
    }
    if (tools.includes("csv")) {
      const button = make("button", { type: "button", className: "plain", textContent: "CSV" });
      button.setAttribute("aria-label", `Download ${title} as CSV`);
      button.addEventListener("click", () => download(table));
      bar.append(button);
    }
    bar.append(status);
    if (tools.some((tool) => tool === "filter" || tool === "changed" || tool === "csv")) table.parentElement.before(bar);
  }
  all("table").forEach(equip);

  // A row with an anchor links to itself, so that its address can be copied.
  for (const row of all("tr[id]")) {
    const [name] = row.cells;
    name.replaceChildren(make("a", { href: `#${encodeURIComponent(row.id)}`, tabIndex: -1, textContent: name.textContent }));
  }

  // Without a script folded tables are open and all options of a choice are shown.
  all("details.fold").forEach((fold) => (fold.open = false));
  const choices = all(".choice").map((choice) => {
    const options = [...choice.children];
    if (options.length < 2) return () => {};
    const select = make("select", {}, ...options.map((option) => make("option", { textContent: option.dataset.name })));
    const pick = (index) => {
      select.selectedIndex = index;
      options.forEach((option, place) => option.classList.toggle("away", place !== index));
      redrawn();
    };
    select.addEventListener("change", () => pick(select.selectedIndex));
    choice.prepend(make("label", { className: "pick" }, `${choice.dataset.label} `, select));
    options.forEach((option, place) => option.classList.toggle("away", place !== 0));
    return (element) => {
      const index = options.findIndex((option) => option.contains(element));
      if (index >= 0) pick(index);
    };
  });

  // A link opens folds and picks options on the way to its target.
  function reveal() {
    let id = location.hash.slice(1);
    try {
      id = decodeURIComponent(id);
    } catch {
      return;
    }
    const target = id && document.getElementById(id);
    if (!target) return;
    target.hidden = false;
    choices.forEach((open) => open(target));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    keepInView(target);
  }

  // Sections above the target are laid out late, which moves the target: it is kept in view until everything is laid
  // out or the reader scrolls.
  let interactions = 0;
  for (const kind of ["wheel", "touchstart", "pointerdown", "keydown", "hashchange"])
    addEventListener(kind, () => (interactions += 1), { passive: true });
  function keepInView(target) {
    const since = interactions;
    const block = target.tagName === "TR" ? "center" : "start";
    let rests = 0;
    let last = null;
    const step = () => {
      if (interactions !== since) return;
      target.scrollIntoView({ block });
      const place = target.getBoundingClientRect().top + scrollY;
      rests = place === last && root.classList.contains("settled") ? rests + 1 : 0;
      last = place;
      if (rests < 3) setTimeout(step, 60);
    };
    step();
  }
  addEventListener("hashchange", reveal);

  // Charts: plotly is unpacked and run when the first chart comes near; the others are drawn when the page is idle.
  const figures = json("figures") ?? {};
  const picked = {};
  const plots = all(".plot");
  const config = {
    responsive: true, displayModeBar: false, displaylogo: false, showLink: false, showSendToCloud: false,
    showEditInChartStudio: false, sendData: false, plotlyServerURL: "", scrollZoom: false, doubleClick: false, showTips: false,
  };
  const id = (plot) => plot.id.slice("plot-".length);
  const isDrawn = (plot) => plot.dataset.drawn === "1";

  function colours(print) {
    const style = getComputedStyle(root);
    const of = (name, paper) => (print ? paper : style.getPropertyValue(name).trim());
    return { ink: of("--ink", "#1a1f26"), line: of("--line", "#dde1e6"), muted: of("--muted", "#545d69"), bg: of("--bg", "#ffffff") };
  }

  function themed(layout, print = false) {
    const { ink, line, muted, bg } = colours(print);
    const result = structuredClone({ ...figures.base, ...layout });
    Object.assign(result, { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true });
    result.font = { ...result.font, color: ink, ...(print ? { size: 9 } : {}) };
    result.hoverlabel = { ...result.hoverlabel, bgcolor: bg, bordercolor: muted };
    result.hoverlabel.font = { ...result.hoverlabel.font, color: ink };
    for (const key of Object.keys(result))
      if (/^[xy]axis/.test(key)) Object.assign(result[key], { gridcolor: line, zerolinecolor: muted, linecolor: muted, tickcolor: line, fixedrange: true });
    return result;
  }

  function current(plot) {
    const { data, layout, views } = figures[id(plot)];
    const view = (views ?? []).find(([name]) => name === picked[id(plot)]);
    const result = structuredClone({ data, layout });
    if (view)
      for (const [key, columns] of Object.entries(view[1]))
        if (key === "axis") result.layout.xaxis.title.text = columns;
        else columns.forEach((column, index) => (result.data[index][key] = column));
    return result;
  }

  function draw(plot, print = false) {
    const { data, layout } = current(plot);
    for (const trace of data) if (trace.error_x) trace.error_x.color = colours(print).ink;
    const size = print ? { width: PAPER, height: Math.max(layout.height * SHRUNK, 170), autosize: false } : {};
    const done = Plotly[isDrawn(plot) ? "react" : "newPlot"](plot, data, { ...themed(layout, print), ...size }, config);
    plot.dataset.drawn = "1";
    all("svg", plot).forEach((svg) => svg.setAttribute("aria-hidden", "true"));
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
    const letters = atob(document.getElementById("plotly").textContent);
    const bytes = new Uint8Array(letters.length);
    for (let index = 0; index < letters.length; index += 1) bytes[index] = letters.charCodeAt(index);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const blob = await new Response(stream, { headers: { "Content-Type": "text/javascript" } }).blob();
    return { src: URL.createObjectURL(blob) };
  }

  // The whole page is laid out once no chart is being loaded.
  const settle = () => soon(() => root.classList.add("settled"));
  addEventListener("load", () => soon(() => loading || settle()));

  const seen = (plot) => plot.offsetParent !== null;
  function follow() {
    const next = plots.find((plot) => !isDrawn(plot) && seen(plot));
    if (!next) return settle();
    soon(() => { if (!isDrawn(next)) draw(next); follow(); });
  }
  const observer = new IntersectionObserver(
    (entries) => {
      const near = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
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

  function recolour() {
    plots.filter(isDrawn).forEach((plot) => draw(plot));
  }
  function redrawn() {
    if (window.Plotly) plots.filter((plot) => seen(plot)).forEach((plot) => (isDrawn(plot) ? Plotly.Plots.resize(plot) : draw(plot)));
  }

  // One picker per section, for all of its charts that have several metrics.
  for (const section of all("section")) {
    const own = all(".plot", section).filter((plot) => (figures[id(plot)]?.views ?? []).length > 1);
    if (!own.length) continue;
    const names = [...new Set(own.flatMap((plot) => figures[id(plot)].views.map(([name]) => name)))];
    const select = make("select", {}, ...names.map((name) => make("option", { textContent: name })));
    select.addEventListener("change", () => {
      own.forEach((plot) => {
        picked[id(plot)] = select.value;
        if (isDrawn(plot)) draw(plot);
      });
    });
    own[0].closest("figure").before(make("label", { className: "pick" }, "Metric ", select));
  }

  // Print: every chart, at the width of the paper and on white.
  addEventListener("beforeprint", () => {
    if (window.Plotly) plots.forEach((plot) => draw(plot, true));
  });
  addEventListener("afterprint", () => {
    if (window.Plotly) plots.filter(isDrawn).forEach((plot) => draw(plot));
  });

  reveal();
})();
