// Times in the reader's own zone. Every page works without it.
"use strict";
{
  const language = document.documentElement.lang;

  const local = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  const hour = new Intl.DateTimeFormat(language, { weekday: "short", hour: "2-digit", minute: "2-digit" });
  const localise = (part) => {
    for (const time of part.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (time.hasAttribute("data-age")) {
        time.title = `${local.format(at)} · ${time.title}`;
      } else {
        time.textContent = (time.hasAttribute("data-clock") ? hour : local).format(at);
      }
    }
  };
  localise(document);
  document.addEventListener("desk:shown", (event) => localise(event.target));
}
