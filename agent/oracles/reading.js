// What the oracle reads of a page: every element with a data-key, every character that can be seen, the page's state.
() => {
  const width = innerWidth, height = innerHeight;
  const canvas = document.createElement("canvas").getContext("2d");
  const round = value => Math.round(value * 100) / 100;

  function clip(element) {
    let [left, top, right, bottom] = [0, 0, width, height];
    for (let at = element; at && at !== document.body; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (at !== element && style.overflow !== "visible") {
        const box = at.getBoundingClientRect();
        left = Math.max(left, box.left), top = Math.max(top, box.top);
        right = Math.min(right, box.right), bottom = Math.min(bottom, box.bottom);
      }
      if (style.position === "fixed") break;
    }
    return [left, top, right, bottom];
  }

  // The topmost thing at a place; a veil dims what lies behind it and does not hide it.
  function top(x, y) {
    for (const found of document.elementsFromPoint(x, y)) if (!("veil" in found.dataset)) return found;
    return null;
  }

  const shown = element => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  const inside = (x, y, box) => x >= box[0] && y >= box[1] && x < box[2] && y < box[3];

  // Texts -----------------------------------------------------------------------------------------------------------
  const texts = [];
  function add(owner, glyphs) {
    const known = [...glyphs.filter(glyph => glyph[0].trim())];
    if (!known.length) return;
    const text = glyphs.map(glyph => glyph[0]).join("").replace(/\s+/g, " ").trim();
    const box = [0, 1].map(i => Math.min(...known.map(g => g[1 + i]))).concat([0, 1].map(i => Math.max(...known.map(g => g[3 + i]))));
    const keys = [];
    const named = owner.closest("[data-n]") !== null, within = owner.closest("[data-key]");
    for (let at = owner; at; at = at.parentElement) {
      if (at.dataset && at.dataset.key) keys.push(at.dataset.key);
      if (at.dataset && at.dataset.for) keys.push(at.dataset.for);
      if (at instanceof HTMLLabelElement && at.control && at.control.dataset.key) keys.push(at.control.dataset.key);
    }
    texts.push({
      text, keys, named, inside: within !== null && within.dataset.key === keys[0], box: box.map(round),
      glyphs: known.map(g => [g[0], round((g[1] + g[3]) / 2), round((g[2] + g[4]) / 2)]),
    });
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || !shown(parent) || ["SCRIPT", "STYLE", "OPTION"].includes(parent.tagName)) continue;
    const bounds = clip(parent), upper = getComputedStyle(parent).textTransform === "uppercase";
    let line = [], base = null;
    for (let i = 0; i < node.data.length; i++) {
      range.setStart(node, i), range.setEnd(node, i + 1);
      const r = range.getBoundingClientRect();
      if (!r.width && !node.data[i].trim()) continue;
      const x = (r.left + r.right) / 2, y = (r.top + r.bottom) / 2;
      if (base !== null && Math.abs(y - base) > 3) add(parent, line), line = [];
      base = y;
      const over = inside(x, y, bounds) ? top(x, y) : null;
      if (over && (parent.contains(over) || over.contains(parent)))
        line.push([upper ? node.data[i].toUpperCase() : node.data[i], r.left, r.top, r.right, r.bottom]);
    }
    add(parent, line);
  }
  for (const field of document.querySelectorAll("input, select")) {
    if (["checkbox", "radio"].includes(field.type) || !shown(field)) continue;
    const style = getComputedStyle(field), box = field.getBoundingClientRect();
    const chosen = field instanceof HTMLSelectElement && field.selectedOptions[0];
    let text = chosen ? chosen.label : field.value || field.placeholder || "";
    if (field.type === "password" && field.value) text = "•".repeat(field.value.length);
    canvas.font = style.font, canvas.letterSpacing = style.letterSpacing === "normal" ? "0px" : style.letterSpacing;
    const left = box.left + parseFloat(style.borderLeftWidth) + parseFloat(style.paddingLeft) - field.scrollLeft
      + (chosen && style.appearance !== "none" ? 4 : 0);
    const right = box.right - parseFloat(style.borderRightWidth) - parseFloat(style.paddingRight);
    const size = parseFloat(style.fontSize), middle = (box.top + box.bottom) / 2, bounds = clip(field), line = [];
    for (let i = 0; i < text.length; i++) {
      const x0 = left + canvas.measureText(text.slice(0, i)).width, x1 = left + canvas.measureText(text.slice(0, i + 1)).width;
      const x = (x0 + x1) / 2;
      if (x > right || x < box.left || !inside(x, middle, bounds) || top(x, middle) !== field) continue;
      line.push([text[i], x0, middle - size * 0.6, x1, middle + size * 0.6]);
    }
    add(field, line);
  }

  // Things ----------------------------------------------------------------------------------------------------------
  function scroller(element) {
    for (let at = element.parentElement; at && at !== document.body; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (["auto", "scroll"].includes(style.overflowY) && at.scrollHeight > at.clientHeight + 1) return at;
      if (style.position === "fixed") return undefined;
    }
    return null;
  }
  // Where to press: the middle of its own words, a field near its left, anything else its middle; well inside of it.
  function aimed(element, seen) {
    const kind = element.dataset.role, field = element.matches("input:not([type=checkbox]):not([type=radio]), textarea");
    const middle = [(seen[0] + seen[2]) / 2, (seen[1] + seen[3]) / 2];
    let places = [middle];
    if (field) places = [[Math.min(seen[0] + 60, middle[0]), middle[1]]];
    else if (kind !== "scroller" && kind !== "value" && !element.matches("[data-mark]") && held(element).trim()) {
      const own = texts.filter(text => text.keys[0] === element.dataset.key && text.inside);
      const words = own.some(text => text.named) ? own.filter(text => text.named) : own;
      if (!words.length || (!words[0].named && element.querySelector("[data-n]"))) return null;
      const boxes = words.map(text => text.box), [first] = boxes;
      places = [[
        (Math.min(...boxes.map(b => b[0])) + Math.max(...boxes.map(b => b[2]))) / 2,
        (Math.min(...boxes.map(b => b[1])) + Math.max(...boxes.map(b => b[3]))) / 2,
      ], [(first[0] + first[2]) / 2, (first[1] + first[3]) / 2]];
    }
    return places.find(([x, y]) => {
      const over = document.elementFromPoint(x, y);
      const edge = Math.min(3, (seen[3] - seen[1]) / 4);
      return over && element.contains(over) && inside(x, y, [seen[0] + edge, seen[1] + edge, seen[2] - edge, seen[3] - edge])
        && (kind === "scroller" || (over.closest("[data-key]") || element) === element);
    }) || null;
  }
  const held = element => element instanceof HTMLSelectElement ? element.selectedOptions[0].label : element.textContent;
  // What lies over an element's upper or lower part is cut off.
  function uncover(element, seen) {
    for (const share of [0.1, 0.9]) {
      let over = document.elementFromPoint((seen[0] + seen[2]) / 2, seen[1] + (seen[3] - seen[1]) * share);
      if (!over || element.contains(over) || over.contains(element) || over.closest("label")?.control === element) continue;
      while (over.parentElement && !over.parentElement.contains(element)) over = over.parentElement;
      const cover = over.getBoundingClientRect();
      if (share < 0.5 && cover.bottom < seen[3]) seen[1] = Math.max(seen[1], cover.bottom);
      if (share > 0.5 && cover.top > seen[1]) seen[3] = Math.min(seen[3], cover.top);
    }
  }
  const counted = key => document.querySelector(`[data-key="${CSS.escape(key)}"]`).dataset.value;
  const things = [...document.querySelectorAll("[data-key]")].map(element => {
    const box = element.getBoundingClientRect(), bounds = clip(element), data = element.dataset;
    const known = { key: data.key, role: data.role || "", name: data.name || "", row: data.row || "", group: data.group || "" };
    const laid = shown(element) && box.width > 0 && box.height > 0;
    const seen = [Math.max(box.left, bounds[0]), Math.max(box.top, bounds[1]), Math.min(box.right, bounds[2]), Math.min(box.bottom, bounds[3])];
    const middle = (box.top + box.bottom) / 2;
    const beyond = (top, bottom) => (middle > bottom - 8 ? middle - bottom + 8 : middle < top + 8 ? middle - top - 8 : 0);
    const holder = scroller(element), around = holder && holder.getBoundingClientRect();
    const part = holder && beyond(around.top, around.bottom) ? holder : holder === undefined ? holder : null;
    if (laid) uncover(element, seen);
    const visible = laid && seen[2] - seen[0] > Math.min(4, box.width / 2) && seen[3] - seen[1] >= Math.min(0.6 * box.height, 14);
    const active = document.activeElement === element;
    let away = null;
    if (laid) away = part ? beyond(around.top, around.bottom) : beyond(0, height);
    const aim = visible ? aimed(element, seen) : null;
    if (laid && !aim && !away) away = middle > height / 2 ? 1 : -1;
    if (part === undefined && away) away = 0;
    const option = element instanceof HTMLSelectElement && element.selectedOptions[0];
    const selectable = element instanceof HTMLInputElement && element.selectionStart !== null;
    return {
      ...known, seen: seen.map(round), aim: aim && aim.map(round), away: away === null ? null : Math.round(away),
      scroller: part ? part.dataset.key || "" : "", height: Math.round(seen[3] - seen[1]),
      value: option ? option.label : "value" in data ? data.value : data.counts ? counted(data.counts) : String(element.value ?? ""),
      password: element.type === "password", disabled: element.disabled === true,
      checked: element.checked === true || ["aria-checked", "aria-selected", "aria-pressed", "aria-expanded"].some(name => element.getAttribute(name) === "true"),
      focused: active,
      marked: active && selectable && element.value !== "" && element.selectionStart === 0 && element.selectionEnd === element.value.length,
    };
  });
  const page = document.scrollingElement;
  return {
    texts, things, state: window.program ? window.program.state() : {},
    above: Math.round(page.scrollTop), below: Math.round(page.scrollHeight - page.clientHeight - page.scrollTop), width, height,
  };
}
