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
