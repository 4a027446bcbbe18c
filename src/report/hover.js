"use strict";
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  // Browsers would show titles themselves, a second later and over this.
  const words = new Map();
  for (const title of document.querySelectorAll(".chart svg title")) {
    words.set(title.parentNode, title.textContent);
    title.remove();
  }
  const show = (one, x, y) => {
    tip.textContent = words.get(one);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(8, Math.min(x + 14, document.documentElement.clientWidth - box.width - 8)) + "px";
    tip.style.top = (y + 18 + box.height > innerHeight ? Math.max(8, y - box.height - 14) : y + 18) + "px";
  };
  const hide = () => { tip.hidden = true; };
  const point = event => words.has(event.target) ? show(event.target, event.clientX, event.clientY) : hide();
  addEventListener("pointermove", point);
  addEventListener("pointerdown", point);
  addEventListener("scroll", hide, { passive: true });
  for (const svg of document.querySelectorAll(".chart svg")) {
    const hits = [...svg.querySelectorAll(".hit")];
    if (!hits.length) continue;
    let at = -1;
    const leave = () => { hits[at]?.classList.remove("on"); hide(); };
    svg.tabIndex = 0;
    svg.addEventListener("blur", leave);
    svg.addEventListener("keydown", event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      leave();
      at = Math.max(0, Math.min(hits.length - 1, at + step));
      hits[at].classList.add("on");
      const box = hits[at].getBoundingClientRect();
      show(hits[at], box.right, Math.max(box.top, 0));
    });
  }
})();
