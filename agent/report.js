"use strict";
(() => {
  const pictures = JSON.parse(document.getElementById("pictures").textContent);
  const steps = [...document.querySelectorAll(".step")];
  const bars = [...document.querySelectorAll(".bar")];
  const place = document.getElementById("place");
  let current = -1;

  const load = (step) => {
    for (const image of step.querySelectorAll("img[data-picture]")) {
      if (!image.src) image.src = pictures[image.dataset.picture];
    }
  };
  const show = (index) => {
    if (!steps.length) return;
    const next = Math.min(Math.max(index, 0), steps.length - 1);
    if (next === current) return;
    current = next;
    steps.forEach((step, i) => { step.hidden = i !== next; });
    bars.forEach((bar, i) => {
      bar.classList.toggle("current", i === next);
      if (i === next) bar.setAttribute("aria-current", "step"); else bar.removeAttribute("aria-current");
    });
    const strip = bars[next].parentElement;
    if (strip.scrollWidth > strip.clientWidth) strip.scrollLeft = bars[next].offsetLeft - strip.clientWidth / 2;
    load(steps[next]);
    if (steps[next + 1]) load(steps[next + 1]);
    place.textContent = `Step ${next + 1} of ${steps.length}`;
    history.replaceState(null, "", `#${next + 1}`);
  };
  const byHash = () => {
    const number = Number(location.hash.slice(1));
    return Number.isInteger(number) && number > 0 ? number - 1 : 0;
  };
  const enlarge = () => {
    const large = !steps[current].classList.contains("large");
    steps.forEach((step) => step.classList.toggle("large", large));
  };

  bars.forEach((bar, i) => bar.addEventListener("click", (event) => { event.preventDefault(); show(i); }));
  for (const step of steps) {
    for (const button of step.querySelectorAll(".tabs button")) {
      button.addEventListener("click", () => {
        for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
        for (const figure of step.querySelectorAll("figure[data-after]")) {
          figure.hidden = figure.dataset.after !== button.dataset.after;
        }
      });
    }
    for (const figure of step.querySelectorAll("figure:not(.missing)")) figure.addEventListener("click", enlarge);
  }
  const previous = document.getElementById("previous");
  const following = document.getElementById("next");
  if (previous) previous.addEventListener("click", () => show(current - 1));
  if (following) following.addEventListener("click", () => show(current + 1));
  const keys = {
    ArrowRight: () => show(current + 1), j: () => show(current + 1),
    ArrowLeft: () => show(current - 1), k: () => show(current - 1),
    Home: () => show(0), End: () => show(steps.length - 1),
    z: enlarge, d: () => document.body.classList.toggle("plain"),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key) || !steps.length) return;
    event.preventDefault();
    keys[event.key]();
  });
  addEventListener("hashchange", () => show(byHash()));
  addEventListener("beforeprint", () => steps.forEach(load));
  show(byHash());
})();
