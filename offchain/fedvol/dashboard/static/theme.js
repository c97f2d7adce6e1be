// Before anything is painted: the viewer's choice of light or dark, else what the system says.
"use strict";
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: light)");
  const chosen = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const apply = () => { root.dataset.theme = chosen() ?? (system.matches ? "light" : "dark"); };
  apply();
  const changed = () => { apply(); dispatchEvent(new Event("themechange")); };
  system.addEventListener("change", changed);
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      try { localStorage.setItem("theme", root.dataset.theme === "dark" ? "light" : "dark"); } catch { /* private window */ }
      changed();
    });
  });
})();
