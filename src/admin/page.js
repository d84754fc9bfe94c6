
"use strict";
const at = (id) => document.getElementById(id);
const make = (name, text, ...children) => {
  const element = document.createElement(name);
  if (text !== null) element.textContent = text;
  element.append(...children);
  return element;
};
const headline = (health, text) => {
  at("headline").className = health;
  at("headline").textContent = text;
};
const show = (status) => {
  headline(status.health, status.headline);
  at("problems").replaceChildren(...status.problems.map((text) => make("li", text)));
  at("sections").replaceChildren(...status.sections.map((section) => make("section", null,
    make("h2", section.title),
    make("dl", null, ...section.rows.map(([label, value]) => make("div", null, make("dt", label), make("dd", value)))))));
};
const renew = async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch("/status.json", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(answer.status);
    show(await answer.json());
  } catch {
    headline("bad", "no answer: the figures below are old");
  }
};
setInterval(renew, 2000);
document.addEventListener("visibilitychange", renew);
