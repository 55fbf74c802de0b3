// Put pages into frames and say where everything on them stands, in CSS pixels of the frame.
(() => {
  const BLANK = /^[\s\u200b]$/;

  const clipper = view => {
    // What of an element its scrolling and hiding ancestors let through.
    const known = new Map();
    const clip = node => {
      if (!node || node === view.document.documentElement) return [0, 0, view.innerWidth, view.innerHeight];
      if (known.has(node)) return known.get(node);
      let box = clip(node.parentElement);
      const style = view.getComputedStyle(node);
      if (style.position === "fixed") box = [0, 0, view.innerWidth, view.innerHeight];
      if (node !== view.document.body && style.overflowX !== "visible") {
        const r = node.getBoundingClientRect();
        const left = r.left + node.clientLeft, top = r.top + node.clientTop;
        box = meet(box, [left, top, left + node.clientWidth, top + node.clientHeight]);
      }
      known.set(node, box);
      return box;
    };
    return clip;
  };

  const meet = (a, b) => [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])];
  const area = box => Math.max(0, box[2] - box[0]) * Math.max(0, box[3] - box[1]);
  const within = (x, y, box) => x >= box[0] && y >= box[1] && x <= box[2] && y <= box[3];
  const boxOf = r => [r.left, r.top, r.right, r.bottom];
  const round = value => Math.round(value * 100) / 100;

  const topmost = (doc, x, y) => {
    const hit = doc.elementFromPoint(x, y);
    if (!hit || hit.dataset.dim === undefined) return hit;
    return doc.elementsFromPoint(x, y).find(one => one.dataset.dim === undefined) || hit;
  };

  // A character is seen where nothing that does not belong to its element lies over its middle.
  const uncovered = (doc, owner, x, y) => {
    const hit = topmost(doc, x, y);
    return hit !== null && (owner.contains(hit) || hit.contains(owner));
  };

  // Where the middle of a font's letters lies below the top of its line, between capitals' and small letters' middles.
  const pen = document.createElement("canvas").getContext("2d"), known = new Map();
  const middleOf = (style, ratio) => {
    const face = `${style.fontStyle} ${style.fontWeight} 1000px ${style.fontFamily}`;
    if (!known.has(face)) {
      pen.font = face;
      const line = pen.measureText("x"), high = pen.measureText("H").actualBoundingBoxAscent;
      known.set(face, [line.fontBoundingBoxAscent / 1000, (line.actualBoundingBoxAscent + high) / 4000]);
    }
    const [ascent, middle] = known.get(face), size = parseFloat(style.fontSize);
    return [Math.round(ascent * size * ratio) / ratio - middle * size, size];  // lines begin on device pixels
  };

  const ownersOf = (node, own) => {
    const element = node.closest("[data-e]"), label = node.closest("[data-l]");
    return {
      element: element ? +element.dataset.e : null,
      named: node.closest("[data-n]") !== null,
      labels: label ? label.dataset.l.split(" ").map(Number) : [],
      own,
    };
  };

  const runs = [];  // filled by read()

  const gather = (doc, owner, chars, clip, owners) => {
    // chars: [character, left, top, right, bottom] in order; blanks have the character " ".
    const view = doc.defaultView, [middle, size] = middleOf(view.getComputedStyle(owner), view.devicePixelRatio);
    let run = null, gap = false;
    const close = () => { if (run && run.glyphs.length) runs.push(run); run = null; gap = false; };
    for (const [char, left, up, right] of chars) {
      const x = (left + right) / 2, y = up + middle, top = y - size * 0.65, bottom = y + size * 0.65;
      if (BLANK.test(char)) { gap = true; continue; }
      if (run && Math.abs(y - run.y) > size / 2) close();
      if (right <= left || !within(x, y, clip) || !uncovered(doc, owner, x, y)) {
        if (run) run.cut = true;
        close();
        continue;
      }
      if (!run) run = {text: "", glyphs: [], box: [left, top, right, bottom], y, ...owners};
      else if (gap) run.text += " ";
      gap = false;
      run.text += char;
      run.glyphs.push([char, x, y]);
      run.box = [Math.min(run.box[0], left), Math.min(run.box[1], top), Math.max(run.box[2], right),
                 Math.max(run.box[3], bottom)];
    }
    close();
  };

  const charsOf = (doc, node) => {
    const chars = [], range = doc.createRange(), data = node.data;
    for (let i = 0; i < data.length; i++) {
      if (BLANK.test(data[i])) { chars.push([" ", 0, 0, 0, 0]); continue; }
      range.setStart(node, i);
      range.setEnd(node, i + 1);
      const rects = range.getClientRects(), r = rects[rects.length - 1];
      if (r) chars.push([data[i], r.left, r.top, r.right, r.bottom]);
    }
    return chars;
  };

  const widthIn = (view, element, text) => {
    const span = view.document.createElement("span");
    const style = view.getComputedStyle(element);
    span.style.cssText = "all:initial;position:absolute;visibility:hidden;white-space:pre";
    span.style.font = style.font;
    span.style.letterSpacing = style.letterSpacing;
    span.textContent = text;
    view.document.body.append(span);
    const width = span.getBoundingClientRect().width;
    span.remove();
    return width;
  };

  // Of a line that ends in an ellipsis only what stands before it is drawn.
  const shortened = (view, holder, chars) => {
    if (!holder || holder.scrollWidth <= holder.clientWidth) return chars;
    const r = holder.getBoundingClientRect(), style = view.getComputedStyle(holder);
    const end = r.left + holder.clientLeft + holder.clientWidth - parseFloat(style.paddingRight);
    if (!chars.length || Math.max(...chars.map(char => char[3])) <= end + 0.01) return chars;
    const width = widthIn(view, holder, "…");
    const kept = chars.filter(char => char[0] === " " || char[3] <= end - width + 0.01);
    while (kept.length && kept[kept.length - 1][0] === " ") kept.pop();
    const last = kept[kept.length - 1], like = last || chars[0];
    const shown = chars.slice(0, last ? chars.indexOf(last) + 1 : 0);
    const start = last ? last[3] : r.left;
    shown.push(["…", start, like[2], start + width, like[4]]);
    return shown;
  };

  // Fields draw their text in a part that scripts cannot measure: the same text in the same style can be.
  const charsOfField = (view, field) => {
    const doc = view.document, style = view.getComputedStyle(field), r = field.getBoundingClientRect();
    const select = field.tagName === "SELECT", area = field.tagName === "TEXTAREA";
    let text = select ? field.selectedOptions[0].textContent : field.value;
    const value = text !== "";
    if (!value) text = field.placeholder || "";
    if (value && field.type === "password") text = "•".repeat(text.length);
    const mirror = doc.createElement("div");
    mirror.style.cssText = "all:initial;position:absolute;left:0;top:0;visibility:hidden;overflow-wrap:break-word;" +
      `white-space:${area ? "pre-wrap" : "pre"}`;
    for (const name of ["font", "letterSpacing", "wordSpacing", "textIndent"]) mirror.style[name] = style[name];
    mirror.style.lineHeight = area ? style.lineHeight : "normal";
    const inset = select && style.appearance !== "none" ? 5 / view.devicePixelRatio : 0;
    const part = name => parseFloat(style[name]);  // client sizes are rounded, borders are not
    const left = r.left + part("borderLeftWidth") + part("paddingLeft") + inset;
    const top = r.top + part("borderTopWidth") + part("paddingTop");
    const width = r.right - part("borderRightWidth") - part("paddingRight") - left;
    const height = r.bottom - part("borderBottomWidth") - part("paddingBottom") - top;
    if (area) mirror.style.width = `${width}px`;
    mirror.textContent = text || "x";
    doc.body.append(mirror);
    const m = mirror.getBoundingClientRect();
    let dx = left - m.left - field.scrollLeft, dy = top - m.top - field.scrollTop;
    if (!area) dy = top + (height - m.height) / 2 - m.top;
    if (!area && style.textAlign === "center") dx += (width - m.width) / 2;
    if (!area && ["right", "end"].includes(style.textAlign)) dx += width - m.width;
    const chars = charsOf(doc, mirror.firstChild).map(([char, l, t, rt, b]) => [char, l + dx, t + dy, rt + dx, b + dy]);
    mirror.remove();
    return {chars: text ? chars : [], value, clip: [left - 1, top - 2, left + width + 1, top + height + 2]};
  };

  const readTexts = (view, clipOf) => {
    const doc = view.document, walker = doc.createTreeWalker(doc.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const owner = node.parentElement;
      if (!node.data.trim() || owner.closest("select,textarea,style,script")) continue;
      if (view.getComputedStyle(owner).visibility !== "visible") continue;
      gather(doc, owner, shortened(view, owner.closest(".cut"), charsOf(doc, node)), clipOf(owner), ownersOf(owner, "text"));
    }
    for (const field of doc.querySelectorAll("input,textarea,select")) {
      if (["checkbox", "radio", "range"].includes(field.type)) continue;
      const {chars, value, clip} = charsOfField(view, field);
      gather(doc, field, chars, meet(clip, clipOf(field)), ownersOf(field, value ? "value" : "placeholder"));
    }
  };

  const belongs = (element, hit) => {
    if (!hit) return false;
    if (element.contains(hit)) return hit.closest("[data-e]") === element;
    const label = hit.closest("label");
    return label !== null && (label.dataset.l || "").split(" ").includes(element.dataset.e);
  };

  // The part of an element's box that nothing lies over: what covers it is cut off, one side at a time.
  const openBox = (doc, element, clip) => {
    let box = meet(boxOf(element.getBoundingClientRect()), clip);
    for (let round = 0; round < 5; round++) {
      let cover = null;
      for (const v of [0.12, 0.5, 0.88]) for (const u of [0.04, 0.27, 0.5, 0.73, 0.96]) {
        const x = box[0] + (box[2] - box[0]) * u, y = box[1] + (box[3] - box[1]) * v;
        const hit = topmostHard(doc, x, y);
        if (cover || !hit || belongs(element, hit) || hit.contains(element)) continue;
        cover = element.contains(hit) ? hit.closest("[data-e]") : hit;
        while (!element.contains(hit) && !cover.parentElement.contains(element)) cover = cover.parentElement;
      }
      if (!cover) break;
      const c = boxOf(cover.getBoundingClientRect());
      const strips = [[box[0], box[1], c[0], box[3]], [c[2], box[1], box[2], box[3]],
                      [box[0], box[1], box[2], c[1]], [box[0], c[3], box[2], box[3]]].map(strip => meet(strip, box));
      const best = strips.reduce((a, b) => area(b) > area(a) ? b : a);
      box = best;
    }
    return box;
  };

  const topmostHard = (doc, x, y) => doc.elementFromPoint(x, y);

  const readElement = (view, element, clipOf) => {
    const doc = view.document, full = boxOf(element.getBoundingClientRect());
    const clip = clipOf(element.parentElement), box = openBox(doc, element, clip);
    const index = +element.dataset.e;
    if (box[2] - box[0] < 6 || box[3] - box[1] < 6 || area(box) < 0.3 * area(full)) return null;
    const own = runs.filter(run => run.element === index);
    const words = own.some(run => run.named) ? own.filter(run => run.named) : own;
    const mark = element.matches("[data-m]") ? element : element.querySelector("[data-m]");
    let aim = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
    if (mark) {
      const r = meet(boxOf(mark.getBoundingClientRect()), box);
      if (area(r) > 0) aim = [(r[0] + r[2]) / 2, (r[1] + r[3]) / 2];
    } else if (words.length) {
      const all = words.map(run => run.box);
      aim = [(Math.min(...all.map(b => b[0])) + Math.max(...all.map(b => b[2]))) / 2,
             (Math.min(...all.map(b => b[1])) + Math.max(...all.map(b => b[3]))) / 2];
    } else if (element.dataset.field !== undefined) {
      aim[0] = Math.min(aim[0], box[0] + 60);
    }
    aim = openAim(doc, element, box, aim);
    return aim && {index, box: box.map(round), aim: aim.map(round), whole: area(box) > 0.97 * area(full)};
  };

  const openAim = (doc, element, box, aim) => {
    const inside = (x, y) => x > box[0] + 1 && x < box[2] - 1 && y > box[1] + 1 && y < box[3] - 1;
    const good = (x, y) => inside(x, y) && belongs(element, topmostHard(doc, x, y));
    if (good(aim[0], aim[1])) return aim;
    let best = null, distance = Infinity;
    for (const v of [0.2, 0.35, 0.5, 0.65, 0.8]) for (const u of [0.1, 0.3, 0.5, 0.7, 0.9]) {
      const x = box[0] + (box[2] - box[0]) * u, y = box[1] + (box[3] - box[1]) * v;
      const far = Math.hypot(x - aim[0], y - aim[1]);
      if (far < distance && good(x, y)) [best, distance] = [[x, y], far];
    }
    return best;
  };

  const place = (view, field, caret) => {
    // The caret is drawn by the page: a real one blinks.
    const {chars, value} = charsOfField(view, field), r = field.getBoundingClientRect();
    const style = view.getComputedStyle(field), last = chars[chars.length - 1];
    const size = parseFloat(style.fontSize), blank = value && last;
    let x = r.left + parseFloat(style.borderLeftWidth) + parseFloat(style.paddingLeft), y = (r.top + r.bottom) / 2;
    if (field.tagName === "TEXTAREA") y = r.top + parseFloat(style.paddingTop) + size * 0.6;
    if (blank) [x, y] = [last[3], (last[2] + last[4]) / 2];
    if (x > r.right - 2 || topmost(view.document, x, y) !== field) return caret.remove();
    view.document.body.append(caret);
    caret.style.cssText = `left:${x}px;top:${y - size * 0.6}px;height:${size * 1.2}px`;
  };

  const read = (frame, {html, scroll, marks}) => {
    const view = frame.contentWindow, doc = view.document;
    doc.documentElement.innerHTML = html;
    const scroller = doc.querySelector("[data-scroll]");
    if (scroller) scroller.scrollTop = Math.round((scroller.scrollHeight - scroller.clientHeight) * scroll);
    const caret = doc.querySelector(".caret"), focused = doc.querySelector("input.focus,textarea.focus");
    if (caret && focused) place(view, focused, caret);
    else if (caret) caret.remove();
    const clipOf = clipper(view);
    runs.length = 0;
    readTexts(view, clipOf);
    const elements = [], above = [], below = [];
    const limits = scroller ? boxOf(scroller.getBoundingClientRect()) : null;
    for (const element of doc.querySelectorAll("[data-e]")) {
      const found = readElement(view, element, clipOf);
      if (found) elements.push(found);
      else if (scroller && scroller.contains(element)) {
        const r = element.getBoundingClientRect();
        if (r.top >= limits[3] - 2) below.push(+element.dataset.e);
        if (r.bottom <= limits[1] + 2) above.push(+element.dataset.e);
      }
    }
    return {
      texts: runs.map(run => [run.text, run.box.map(round), run.glyphs.map(([c, x, y]) => [c, round(x), round(y)]),
                              run.element, run.labels, run.own, run.named, run.cut || false]),
      elements, above, below,
      more: scroller ? [scroller.scrollTop > 1, scroller.scrollTop < scroller.scrollHeight - scroller.clientHeight - 1] : [false, false],
      size: [doc.documentElement.scrollWidth, doc.documentElement.scrollHeight],
    };
  };

  window.foveateRead = pages => {
    const frames = document.querySelectorAll("iframe");
    return pages.map((page, index) => read(frames[index], page));
  };
})();
