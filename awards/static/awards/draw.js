// The draw pages work without this. It sends a form once, shows by itself when a prize has moved on, tells times in the
// reader's own zone, and is glad for a moment with whoever has won.
"use strict";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15000;
const GIVE_UP_MS = 15 * 60 * 1000;
const CONFETTI = 28;
const CONFETTI_MS = 3500;
// A time that is no longer UTC says whose it is.
const LOCAL = {
  year: "numeric",
  month: "long",
  day: "numeric",
  hour: "numeric",
  minute: "2-digit",
  timeZoneName: "short",
};

for (const form of document.querySelectorAll("form[data-once]")) {
  const button = form.querySelector("button[data-busy]");
  const idle = button.textContent;
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    button.textContent = button.dataset.busy;
    button.setAttribute("aria-disabled", "true");
  });
  // A page that comes back from the browser's cache may be sent again: the same request gets the same answer.
  window.addEventListener("pageshow", () => {
    delete form.dataset.sent;
    button.textContent = idle;
    button.removeAttribute("aria-disabled");
  });
}

const ticket = document.querySelector("[data-watch]");

async function look(wait, left) {
  if (!document.hidden) {
    try {
      const answer = await fetch(ticket.dataset.watch, { headers: { Accept: "application/json" } });
      if (answer.ok && (await answer.json()).status !== ticket.dataset.status) {
        await showNews();
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

// The address may be the one to which a claim was sent: it is asked for and never sent to again, and leads to the ticket.
// The lower half of the ticket is a live region: what is put into it is read out, and nothing else on the page moves.
async function showNews() {
  const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const news = page.querySelector(".ticket .stub");
  if (!answer.ok || !news) {
    window.location.replace(window.location.href);
    return;
  }
  ticket.querySelector(".face").replaceChildren(...page.querySelector(".ticket .face").childNodes);
  ticket.querySelector(".stub").replaceChildren(...news.childNodes);
  offerCopying();
}

function offerCopying() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = button.dataset.done;
  }
});

function celebrate(won) {
  const key = `celebrated ${won.dataset.celebrate}`;
  if (window.matchMedia("(prefers-reduced-motion: reduce)").matches || sessionStorage.getItem(key)) {
    return;
  }
  sessionStorage.setItem(key, "yes");
  const confetti = document.createElement("div");
  confetti.className = "confetti";
  confetti.setAttribute("aria-hidden", "true");
  for (let number = 0; number < CONFETTI; number += 1) {
    const piece = document.createElement("i");
    piece.style.setProperty("--from", `${Math.random() * 100}%`);
    piece.style.setProperty("--drift", `${Math.random() * 6 - 3}rem`);
    piece.style.setProperty("--turn", `${Math.random() * 720 - 360}deg`);
    piece.style.setProperty("--wait", `${Math.random() * 0.6}s`);
    confetti.append(piece);
  }
  won.append(confetti);
  setTimeout(() => confetti.remove(), CONFETTI_MS);
}

for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (!Number.isNaN(moment.valueOf())) {
    time.title = time.textContent;
    time.textContent = moment.toLocaleString(document.documentElement.lang, LOCAL);
  }
}

if (ticket) {
  setTimeout(look, FIRST_WAIT_MS, FIRST_WAIT_MS, GIVE_UP_MS);
}
for (const won of document.querySelectorAll("[data-celebrate]")) {
  celebrate(won);
}
offerCopying();
