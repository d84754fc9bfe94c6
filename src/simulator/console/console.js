"use strict";
// Each element with an id is replaced by its counterpart of a newer page, and only where it changed, so that the focus stays where it is.
// Forms have no id: what a person types is never replaced.
let due = false;
let busy = false;
const renew = async () => {
  if (busy) { due = true; return; }
  due = false;
  busy = true;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) return;
    const newer = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const fresh of newer.querySelectorAll("[id]")) {
      const shown = document.getElementById(fresh.id);
      if (shown && shown.className !== fresh.className) shown.className = fresh.className;
      if (shown && shown.innerHTML !== fresh.innerHTML) shown.replaceChildren(...fresh.childNodes);
    }
  } catch {
    // The event source reports that the simulator is gone.
  } finally {
    busy = false;
    if (due) renew();
  }
};
const live = document.querySelector(".live");
let events;
const listen = () => {
  events = new EventSource("/simulator/events");
  events.onopen = () => { live.textContent = "live"; renew(); };
  events.onmessage = renew;
  events.onerror = () => { live.textContent = "no answer: the page is old"; };
};
// A browser has six connections to an origin for all of its pages, so a hidden page closes its own.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { events?.close(); events = undefined; } else if (!events) { listen(); }
});
if (!document.hidden) listen();
