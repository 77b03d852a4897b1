// Controls that panels and charts share.
const labeledControl = (title, control) => make("label", { className: "pick" }, `${title} `, control);
const selectOf = (names, change) => {
  const control = make("select", {}, ...names.map((name, index) => make("option", { textContent: name, value: index })));
  control.addEventListener("change", () => change(control.value));
  return control;
};
const plainButton = (textContent, label, click) => {
  const control = make("button", { type: "button", className: "plain", textContent });
  if (label) control.setAttribute("aria-label", label);
  control.addEventListener("click", click);
  return control;
};
