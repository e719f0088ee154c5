"use strict";
// The colours follow the system until the reader chooses; the choice holds for all pages of the report.
{
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  try {
    const kept = localStorage.getItem("tabench-theme");
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  } catch { /* no storage: the system decides */ }
  addEventListener("DOMContentLoaded", () => {
    const button = document.createElement("button");
    const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
    const show = () => { button.textContent = dark() ? "Light colours" : "Dark colours"; };
    button.type = "button";
    button.className = "theme";
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      try { localStorage.setItem("tabench-theme", root.dataset.theme); } catch { /* holds for this page only */ }
      show();
    });
    system.addEventListener("change", show);
    show();
    document.querySelector("header").prepend(button);
  });
}
