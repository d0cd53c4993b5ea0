// Below a field for a time: what it is on the reader's own clock, where that is in another zone than the field's.
"use strict";
{
  const own = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  const wall = (at, zone) => {
    const style = { timeZone: zone, dateStyle: "short", timeStyle: "medium" };
    return Date.parse(`${new Intl.DateTimeFormat("sv-SE", style).format(at).replace(" ", "T")}Z`);
  };
  const moment = (typed, zone) => {
    const sought = Date.parse(`${typed}Z`);
    const near = sought - (wall(sought, zone) - sought);
    return near - (wall(near, zone) - sought);
  };
  for (const input of document.querySelectorAll("input[data-zone]")) {
    const said = document.createElement("span");
    said.setAttribute("aria-live", "polite");
    const help = document.getElementById(`${input.id}_helptext`);
    (help?.firstElementChild ?? help ?? input.parentElement).append(" ", said);
    const say = () => {
      const at = input.value ? moment(input.value, input.dataset.zone) : NaN;
      const differs = at !== Date.parse(input.value);
      said.textContent = Number.isNaN(at) || !differs ? "" : input.dataset.here.replace("…", own.format(at));
    };
    input.addEventListener("input", say);
    say();
  }
}
