// Long tables. Laying out thousands of rows takes a second, so only those near the visible part of the region are laid
// out; two gaps stand for the others. Rows after the first thousand are stored deflated.
const WINDOW_FROM = 200; // Rows of a table that has a window.
const WINDOW = 120;
const ROW_HEIGHT = 30; // Pixels, until rows are measured.
const windows = new Map(); // Of tables with a window: its functions.
const bodyOf = (table) => table.querySelector("tbody:not(.gap)");

function makeWindow(table) {
  const body = bodyOf(table);
  const region = table.parentElement;
  if (body.rows.length < WINDOW_FROM || !region.classList.contains("tall")) return;
  const heads = [...table.tHead.rows[0].cells];
  const [above, below] = ["before", "after"].map((side) => {
    const cell = make("td", { colSpan: heads.length });
    const gap = make("tbody", { className: "gap" }, make("tr", {}, cell));
    gap.setAttribute("aria-hidden", "true");
    body[side](gap);
    return (height) => {
      gap.hidden = !height;
      cell.style.height = `${height}px`;
    };
  });
  const widths = heads.map(() => 0);
  let height = ROW_HEIGHT;
  let rows = []; // That filter and folds leave.
  let drawn = new Set();
  let first = -1;
  for (const row of body.rows) row.classList.add("off");

  const show = (start) => {
    first = start;
    const next = new Set(rows.slice(start, start + WINDOW));
    for (const row of drawn) if (!next.has(row)) row.classList.add("off");
    let index = start + 2; // The first row of a table is its head.
    for (const row of next) {
      row.classList.remove("off");
      row.setAttribute("aria-rowindex", index++);
    }
    drawn = next;
    above(start * height);
    below((rows.length - start - next.size) * height);
  };
  // Columns keep the width of the widest row that was shown.
  const measure = () => {
    const list = [...drawn];
    if (!list.length || !region.offsetParent) return;
    height = (list.at(-1).getBoundingClientRect().bottom - list[0].getBoundingClientRect().top) / list.length || height;
    const now = heads.map((head) => head.offsetWidth);
    now.forEach((width, index) => {
      if (width > widths[index]) heads[index].style.minWidth = `${(widths[index] = width)}px`;
    });
  };
  const startAt = (index) => Math.max(0, Math.min(index - Math.floor(WINDOW / 3), rows.length - WINDOW));
  const update = () => {
    rows = [...body.rows].filter((row) => !row.hidden);
    table.setAttribute("aria-rowcount", rows.length + 1);
    show(startAt(Math.floor(region.scrollTop / height)));
  };
  let waiting = false;
  region.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const index = Math.floor(region.scrollTop / height);
      const last = index + Math.ceil(region.clientHeight / height);
      if (index >= first + 10 && last <= first + WINDOW - 10) return; // Far enough from both ends.
      const start = startAt(index);
      if (start !== first) show(start);
      measure();
    });
  }, { passive: true });
  addEventListener("resize", () => heads.forEach((head, index) => (head.style.minWidth = widths[index] = 0)));
  const bring = (row) => {
    if (drawn.has(row)) return;
    if (!rows.includes(row)) update();
    const index = Math.max(rows.indexOf(row), 0);
    show(startAt(index));
    region.scrollTop = index * height - region.clientHeight / 2;
  };
  windows.set(table, { update, bring });
}
const updateWindow = (table) => windows.get(table)?.update();
// Lays out a row, so that it can be scrolled to and focused.
const bringRow = (row) => windows.get(row.closest("table"))?.bring(row);

async function appendRows(table) {
  const template = make("template");
  template.innerHTML = await (await inflated(`${table.id}-more`, "text/plain")).text();
  bodyOf(table).append(template.content);
}
const hasMore = (table) => Boolean(table.id && document.getElementById(`${table.id}-more`));
