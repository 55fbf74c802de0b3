// Tells the runtime what this document has due: one-shot timers, frames asked for, finite animations, endless ones.
// Runs before the page's own scripts. Nothing is added to the page's globals: setTimeout and its like stay callable
// as they were (a Proxy of the native function keeps name, length and native source text), and the answer is fetched
// through an event listener, which scripts cannot list. What a page makes of Map, Array, Promise and their prototypes
// afterwards changes nothing here: all that is called is kept from the beginning, and no list or map is used that
// takes its methods from a prototype.
(() => {
  "use strict";
  const { Proxy, Reflect, Promise, MessageChannel, Number, Math, Document, Infinity } = globalThis;
  const { apply, defineProperty, getOwnPropertyDescriptor } = Reflect;
  const document = globalThis.document;
  const performance = globalThis.performance;
  const origin = performance.timeOrigin;
  const clock = performance.now;
  const now = () => apply(clock, performance, []);
  const nativeFrame = globalThis.requestAnimationFrame;
  const frame = (callback) => apply(nativeFrame, globalThis, [callback]);
  const then = Promise.prototype.then;
  const animations = Document.prototype.getAnimations;
  const byTag = Document.prototype.getElementsByTagName;
  const activeElement = getOwnPropertyDescriptor(Document.prototype, "activeElement").get;
  const LONGEST_MS = 2000;
  const MOST = 64;
  const MOST_TIMERS = 4096;
  const MOST_PAINTS = 3;
  const BREAK_MS = 50; // frames that are asked for at longer intervals are no loop
  const timers = { __proto__: null };
  let timersKept = 0;
  let ran = -Infinity; // when a timer of late ran
  let root = null; // when the timer began whose callback runs now: what it sets belongs to its chain

  const forget = (id) => {
    if (timers[id] !== undefined) {
      delete timers[id];
      timersKept -= 1;
    }
  };

  const replace = (name, handle) => {
    const described = getOwnPropertyDescriptor(globalThis, name);
    const value = new Proxy(described.value, { __proto__: null, apply: handle });
    defineProperty(globalThis, name, { __proto__: null, ...described, value });
  };

  replace("setTimeout", (native, self, args) => {
    const handler = args[0];
    if (typeof handler !== "function" || (typeof args[1] === "object" && args[1] !== null)) {
      return apply(native, self, args);
    }
    const delay = Math.max(0, Number(args[1]) || 0);
    if (delay > LONGEST_MS) return apply(native, self, args);
    const set = now();
    const entry = { __proto__: null, due: set + delay, root: root === null ? set : root };
    let id = 0;
    args[0] = function () {
      forget(id);
      const before = root;
      root = entry.root;
      try {
        return apply(handler, this, arguments);
      } finally {
        root = before;
        if (now() - entry.root < LONGEST_MS) ran = now();
      }
    };
    id = apply(native, self, args);
    if (timersKept < MOST_TIMERS) {
      timersKept += 1;
      timers[id] = entry;
    }
    return id;
  });
  const untrack = (native, self, args) => {
    forget(Number(args[0]));
    return apply(native, self, args);
  };
  replace("clearTimeout", untrack);
  replace("clearInterval", untrack);

  // Frames: one that is asked for while another is due or being drawn, or soon after, belongs to the same run.
  const frames = { __proto__: null };
  let framesDue = 0;
  let drawing = 0;
  let runBegan = 0;
  let lastDrawn = -Infinity;
  replace("requestAnimationFrame", (native, self, args) => {
    const handler = args[0];
    if (typeof handler !== "function") return apply(native, self, args);
    let id = 0;
    args[0] = function () {
      if (frames[id]) {
        delete frames[id];
        framesDue -= 1;
      }
      drawing += 1;
      try {
        return apply(handler, this, arguments);
      } finally {
        drawing -= 1;
        lastDrawn = now();
      }
    };
    id = apply(native, self, args);
    const at = now();
    if (framesDue === 0 && drawing === 0 && at - lastDrawn > BREAK_MS) runBegan = at;
    frames[id] = true;
    framesDue += 1;
    return id;
  });
  replace("cancelAnimationFrame", (native, self, args) => {
    const id = Number(args[0]);
    if (frames[id]) {
      delete frames[id];
      framesDue -= 1;
    }
    return apply(native, self, args);
  });

  const add = (list, item) => {
    if (list.length < MOST) defineProperty(list, list.length, { __proto__: null, value: item, enumerable: true });
  };

  const rectangle = (target) => {
    const box = target.getBoundingClientRect();
    return [box.left, box.top, box.width, box.height];
  };

  const animated = (finite, endless) => {
    const running = apply(animations, document, []);
    for (let index = 0; index < running.length && index < 4 * MOST; index++) {
      const animation = running[index];
      if (animation.playState !== "running" || !animation.effect) continue;
      const timing = animation.effect.getComputedTiming();
      const rate = Math.abs(animation.playbackRate) || 1;
      const at = animation.currentTime === null ? 0 : Number(animation.currentTime);
      const end = Number(timing.endTime);
      if (end === Infinity) {
        if (animation.effect.target) add(endless, rectangle(animation.effect.target));
      } else if (at - at === 0 && end - end === 0) {
        add(finite, [at / rate, Math.max(0, end - at) / rate]);
      }
    }
    const videos = apply(byTag, document, ["video"]);
    for (let index = 0; index < videos.length && index < 4 * MOST; index++) {
      if (!videos[index].paused) add(endless, rectangle(videos[index]));
    }
  };

  // A native list opens only where the focus is; what lies inside a frame or a shadow root is looked at from outside.
  const mayOpenList = () => {
    const active = apply(activeElement, document, []);
    if (active === null) return false;
    const tag = `${active.tagName}`;
    for (let index = 0; index < tag.length; index++) if (tag[index] === "-") return true;
    return tag === "SELECT" || tag === "IFRAME" || tag === "FRAME";
  };

  const answer = (drawn) => {
    const at = now();
    const found = { timers: [], finite: [], endless: [], frames: null, list: true, drawn };
    for (const id in timers) {
      const entry = timers[id];
      if (at - entry.root < 60000) add(found.timers, [at - entry.root, entry.due - at]);
    }
    if (framesDue > 0) found.frames = at - runBegan;
    try {
      animated(found.finite, found.endless);
      found.list = mayOpenList();
    } catch {
      // a page that breaks its own animations or elements is told by its frames alone
    }
    return found;
  };

  // With paint, the answer comes after the next frame's work is done, so that a change made before it is on its way;
  // it says for which frame that was, in milliseconds since the epoch. Where a timer ran after the frame, another
  // frame is waited for.
  const painted = () => {
    const promise = new Promise((resolve) => {
      let tries = 0;
      const draw = () => frame((at) => {
        const drawn = now();
        const channel = new MessageChannel();
        channel.port1.onmessage = () => {
          channel.port1.close();
          tries += 1;
          if (ran > drawn && tries < MOST_PAINTS) draw();
          else resolve(answer(origin + at));
        };
        channel.port2.postMessage(0);
      });
      draw();
    });
    defineProperty(promise, "then", { __proto__: null, value: then }); // the browser looks it up to wait for it
    return promise;
  };

  globalThis.addEventListener("__SECRET__", (paint) => (paint ? painted() : answer(null)));
})();
