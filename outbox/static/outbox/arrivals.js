// Says how many messages have come to the queue since the page was opened, and takes nothing away from what one reads.
"use strict";
{
  const note = document.querySelector("[data-arrivals]");
  const EVERY = 15_000;

  const ask = async () => {
    if (document.hidden) {
      return;
    }
    try {
      const answer = await fetch(note.dataset.arrivals, {
        headers: { Accept: "application/json", "X-Desk-Reads-Itself": "1" },
      });
      if (!answer.ok || answer.redirected) {
        return; // signed out, or the server is away: the next request says so
      }
      const { text } = await answer.json();
      if (text && note.querySelector("strong").textContent !== text) {
        note.querySelector("strong").textContent = text;
        note.hidden = false;
      }
    } catch {
      // the network is away; it is asked again
    }
  };
  if (note) {
    setInterval(ask, EVERY);
    document.addEventListener("visibilitychange", ask);
  }
}
