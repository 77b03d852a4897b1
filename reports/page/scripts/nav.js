// The section that the reader sees is marked in the contents.
const links = new Map(all("nav a").map((link) => [decodeURIComponent(link.getAttribute("href").slice(1)), link]));
const visible = new Set();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) visible[isIntersecting ? "add" : "delete"](target);
    const current = all("main > section").find((section) => visible.has(section));
    links.forEach((link, name) => {
      if (name === current?.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  },
  { rootMargin: "-15% 0px -75% 0px" },
);
all("main > section").forEach((section) => watcher.observe(section));
