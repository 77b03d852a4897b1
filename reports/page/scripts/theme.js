// Theme: the system's until the reader picks the other.
const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const toggle = make("button", { type: "button", className: "plain" });
const named = () => {
  toggle.textContent = dark() ? "Light theme" : "Dark theme";
};
toggle.addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
  named();
  recolor();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  named();
  recolor();
});
named();
document.querySelector("header").append(toggle);
