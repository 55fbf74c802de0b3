// What every program has: its state, the controls that keep their own, and the goal that the page itself checks.
"use strict";
const actions = {};
const find = key => document.querySelector(`[data-key="${CSS.escape(key)}"]`);
const is = (element, name) => element.getAttribute(name) === "true";
const escaped = text => String(text).replace(/[&<>"]/g, char => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[char]);
const fill = (template, values) => template.replace(/%(\w+)%/g, (_, name) => escaped(values[name] ?? ""));
let render = () => {};

function held(element) {
  if (element.dataset.kind === "group") {
    const chosen = [...element.querySelectorAll("[data-choice]")].find(one => one.checked === true || is(one, "aria-checked"));
    return chosen ? chosen.dataset.name : "";
  }
  if (element.dataset.kind === "count") return Number(element.dataset.value);
  if (element.dataset.kind === "tick") return element.checked === true || is(element, "aria-checked");
  return element instanceof HTMLSelectElement ? element.selectedOptions[0].label : element.value;
}
const collect = (root = document) =>
  Object.fromEntries([...root.querySelectorAll("[data-holds]")].map(element => [element.dataset.holds, held(element)]));

function fits(goal, state) {
  if (goal === null || typeof goal !== "object") return goal === state;
  if (state === null || typeof state !== "object") return false;
  if (Array.isArray(goal)) return Array.isArray(state) && goal.length === state.length && goal.every((one, i) => fits(one, state[i]));
  return Object.entries(goal).every(([name, value]) => fits(value, state[name]));
}

window.program = { ...ABOUT, state: () => ({ ...S, held: collect() }) };
window.foveateTask = { instruction: INSTRUCTION, done: () => fits(GOAL, window.program.state()) };

function act(call, element) {
  const [name, ...rest] = call.split(":");
  actions[name](rest.join(":"), element);
  render();
}

actions.show = key => { find(key).hidden = false; };
actions.hide = key => { find(key).hidden = true; };
actions.set = pair => { const [name, value] = pair.split("="); S[name] = JSON.parse(value); };
actions.notice = () => { for (const key of ["message", "notice veil"]) find(key).hidden = true; };
actions.other = (_, element) => { S.other = element.dataset.name; };
actions.save = () => { S.saved = collect(); S.times = (S.times || 0) + 1; report(); };

// What a page says when something was done: it stays until it is said again.
function report() {
  for (const element of document.querySelectorAll("[data-report]")) {
    if (element.dataset.report === "instead") document.querySelector("[data-form]").hidden = true;
    element.hidden = false;
  }
}

document.addEventListener("click", event => {
  const pressed = event.target.closest("[data-tick], [data-choice], [data-by], [data-do]");
  if (!pressed) return;
  const data = pressed.dataset;
  const native = pressed instanceof HTMLInputElement;
  if ("tick" in data && !native) pressed.setAttribute("aria-checked", String(!is(pressed, "aria-checked")));
  if ("choice" in data && !native)
    for (const one of pressed.closest("[data-kind=group]").querySelectorAll("[data-choice]"))
      one.setAttribute("aria-checked", String(one === pressed));
  if ("by" in data) {
    const count = find(data.counts), value = Number(count.dataset.value) + Number(data.by);
    if (value >= Number(count.dataset.least) && value <= Number(count.dataset.most))
      count.dataset.value = count.textContent = String(value);
  }
  if ("do" in data) event.preventDefault(), act(data.do, pressed);
});
document.addEventListener("keydown", event => {
  if (event.key === "Enter" && event.target.dataset.enter) event.preventDefault(), act(event.target.dataset.enter, event.target);
});
document.addEventListener("input", event => {
  if (event.target.dataset.input) act(event.target.dataset.input, event.target);
});
document.addEventListener("change", event => {
  if (event.target.dataset.change) act(event.target.dataset.change, event.target);
});
