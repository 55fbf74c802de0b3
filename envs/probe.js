// Tells the runtime what this document has due: one-shot timers, finite animations, endless ones.
// Runs before the page's own scripts. Nothing is added to the page's globals: setTimeout and its like stay callable
// as they were (a Proxy of the native function keeps name, length and native source text), and the answer is fetched
// through an event listener, which scripts cannot list.
(() => {
  "use strict";
  const { Map, Proxy, Reflect, Promise, MessageChannel, performance, document, Array, Math, Document } = globalThis;
  const apply = Reflect.apply;
  const now = performance.now.bind(performance);
  const frame = globalThis.requestAnimationFrame.bind(globalThis);
  const animations = Document.prototype.getAnimations;
  const activeElement = Reflect.getOwnPropertyDescriptor(Document.prototype, "activeElement").get;
  const LONGEST_MS = 2000;
  const MOST = 64;
  const timers = new Map();
  let root = null; // when the timer began whose callback runs now: what it sets belongs to its chain

  const track = (target) => new Proxy(target, {
    apply(native, self, args) {
      const handler = args[0];
      if (typeof handler !== "function" || (typeof args[1] === "object" && args[1] !== null)) {
        return apply(native, self, args);
      }
      const delay = Math.max(0, Number(args[1]) || 0);
      if (delay > LONGEST_MS) return apply(native, self, args);
      const set = now();
      const entry = { set, due: set + delay, root: root === null ? set : root };
      let id = 0;
      const wrapped = function () {
        timers.delete(id);
        const before = root;
        root = entry.root;
        try {
          return apply(handler, this, arguments);
        } finally {
          root = before;
        }
      };
      id = apply(native, self, [wrapped, ...args.slice(1)]);
      if (timers.size < 4096) timers.set(id, entry);
      return id;
    },
  });
  const untrack = (target) => new Proxy(target, {
    apply(native, self, args) {
      timers.delete(Number(args[0]));
      return apply(native, self, args);
    },
  });
  const replace = (name, wrap) => {
    const described = Reflect.getOwnPropertyDescriptor(globalThis, name);
    Reflect.defineProperty(globalThis, name, { ...described, value: wrap(described.value) });
  };
  replace("setTimeout", track);
  replace("clearTimeout", untrack);
  replace("clearInterval", untrack);

  const rectangle = (target) => {
    const box = target.getBoundingClientRect();
    return [box.left, box.top, box.width, box.height];
  };

  const animated = () => {
    const finite = [];
    const endless = [];
    for (const animation of apply(animations, document, []).slice(0, 4 * MOST)) {
      if (animation.playState !== "running" || !animation.effect) continue;
      const timing = animation.effect.getComputedTiming();
      const rate = Math.abs(animation.playbackRate) || 1;
      const at = animation.currentTime === null ? 0 : Number(animation.currentTime);
      if (timing.endTime === Infinity) {
        if (endless.length < MOST && animation.effect.target) endless.push(rectangle(animation.effect.target));
      } else if (Number.isFinite(at) && Number.isFinite(Number(timing.endTime))) {
        finite.push([at / rate, Math.max(0, Number(timing.endTime) - at) / rate]);
      }
    }
    for (const video of document.getElementsByTagName("video")) {
      if (!video.paused && endless.length < MOST) endless.push(rectangle(video));
    }
    return { finite: finite.slice(0, MOST), endless };
  };

  // A native list opens only where the focus is; what lies inside a frame or a shadow root is looked at from outside.
  const mayOpenList = () => {
    const active = apply(activeElement, document, []);
    return active !== null && (["SELECT", "IFRAME", "FRAME"].includes(active.tagName) || active.tagName.includes("-"));
  };

  const answer = () => {
    const at = now();
    const due = [];
    for (const entry of timers.values()) {
      if (at - entry.root < 60000 && due.length < MOST) due.push([at - entry.root, entry.due - at]);
    }
    const { finite, endless } = animated();
    return { timers: due, finite, endless, list: mayOpenList() };
  };

  // With paint, the answer comes after the next frame's work is done, so that a change made before it is on its way.
  const probe = (paint) => paint
    ? new Promise((resolve) => frame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => {
          channel.port1.close();
          resolve(answer());
        };
        channel.port2.postMessage(0);
      }))
    : answer();

  globalThis.addEventListener("__SECRET__", probe);
})();
