
"use strict";
// Each element with an id is replaced by its counterpart of a newer page, and only where it changed, so that the focus stays where it
// is and a reader of the screen hears a new headline once.
const renew = async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(answer.status);
    const newer = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = newer.title;
    for (const fresh of newer.querySelectorAll("[id]")) {
      const shown = document.getElementById(fresh.id);
      if (shown.className !== fresh.className) shown.className = fresh.className;
      if (shown.innerHTML !== fresh.innerHTML) shown.replaceChildren(...fresh.childNodes);
    }
  } catch {
    const headline = document.getElementById("headline");
    headline.className = "bad";
    headline.textContent = "no answer: the figures below are old";
  }
};
setInterval(renew, 2000);
document.addEventListener("visibilitychange", renew);
