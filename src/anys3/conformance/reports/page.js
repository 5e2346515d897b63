"use strict";
(() => {
  const root = document.documentElement;
  for (const element of document.querySelectorAll("[data-script]")) element.hidden = false;

  const theme = document.getElementById("theme");
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const name = () => { theme.textContent = isDark() ? "Light colours" : "Dark colours"; };
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
  name();

  const items = [...document.querySelectorAll("[data-outcome]")];
  const groups = [...document.querySelectorAll("[data-group]")];
  const texts = new Map();
  const textOf = (item) => {
    if (!texts.has(item)) texts.set(item, item.textContent.toLowerCase());
    return texts.get(item);
  };
  const form = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const apply = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const { tier, operation, outcome } = Object.fromEntries(new FormData(form));
    let count = 0;
    for (const item of items) {
      const fits = (!outcome || item.dataset.outcome.split(" ").includes(outcome))
        && (!operation || item.dataset.operation === operation)
        && (!tier || (item.dataset.tier !== "" && Number(item.dataset.tier) <= Number(tier)))
        && words.every((word) => textOf(item).includes(word));
      item.hidden = !fits;
      count += fits;
    }
    for (const group of groups) group.hidden = !group.querySelector("[data-outcome]:not([hidden])");
    if (outcome || operation || words.length) {
      for (const group of groups) if (group.tagName === "DETAILS" && !group.hidden) group.open = true;
    }
    shown.textContent = `${count} of ${items.length} shown`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  apply();

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
})();
