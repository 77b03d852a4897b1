// The page works without scripts, which add sorting, filters, CSV, themes and charts. The files of this folder are
// joined into one function: base first, start last, the others by name.
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
// The text of a cell without its small print and its button.
const textOf = (cell) => [...cell.childNodes].filter((node) => node.nodeName !== "SMALL" && node.className !== "twist").map((node) => node.textContent).join("").trim().replaceAll("\u00a0", " ");
// `5 MB` in a sentence, which does not break after the number; the rule of spacing.py.
const keepUnits = (text) => text.replace(/(\d) (?=(?:[%×]|[kMGTPE]B?|B|[mµn]?s)(?![\w-]))/g, "$1\u00a0");
// Runs a job once, when an element comes near or all charts are drawn: text and the first chart come first.
function whenNear(element, job) {
  let waiting = true;
  const run = () => {
    if (!waiting) return;
    waiting = false;
    near.disconnect();
    job();
  };
  const near = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && run(), { rootMargin: "50% 0px" });
  near.observe(element);
  addEventListener("settled", run, { once: true });
}
