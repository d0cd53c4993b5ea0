// The draw pages work without this. It sends a form once, and reloads the result when the prize has moved on.
"use strict";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15000;
const GIVE_UP_MS = 15 * 60 * 1000;

for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
    }
    form.dataset.sent = "yes";
  });
  // A page that comes back from the browser's cache may be sent again: the same request gets the same answer.
  window.addEventListener("pageshow", () => delete form.dataset.sent);
}

const ticket = document.querySelector("[data-watch]");

async function look(wait, left) {
  if (!document.hidden) {
    try {
      const answer = await fetch(ticket.dataset.watch, { headers: { Accept: "application/json" } });
      if (answer.ok && (await answer.json()).status !== ticket.dataset.status) {
        window.location.reload();
        return;
      }
    } catch {
      // Offline for a moment: the next look may succeed.
    }
  }
  if (left > 0) {
    setTimeout(look, wait, Math.min(wait * 1.5, LONGEST_WAIT_MS), left - wait);
  }
}

if (ticket) {
  setTimeout(look, FIRST_WAIT_MS, FIRST_WAIT_MS, GIVE_UP_MS);
}
