// The desk's keyboard. Every page works without it.
"use strict";
{
  const SWITCH = "outbox.desk.keys";

  const dialog = document.querySelector("[data-keys]");
  const toggle = document.querySelector("[data-keys-switch]");
  const read = () => {
    try {
      return localStorage.getItem(SWITCH) !== "off";
    } catch {
      return true; // storage is blocked: the switch then holds for this page
    }
  };
  const write = (on) => {
    try {
      localStorage.setItem(SWITCH, on ? "on" : "off");
    } catch {
      // as above
    }
  };
  toggle.checked = read();
  toggle.addEventListener("change", () => write(toggle.checked));
  document.querySelector("[data-keys-open]").addEventListener("click", () => dialog.showModal());
  document.querySelector("[data-keys-close]").addEventListener("click", () => dialog.close());

  // Rows of the desk's own lists say which link opens them; in Django's own lists it is the first. Asked for each time,
  // as a page may be read again.
  const rowsNow = () => {
    const own = [...document.querySelectorAll("[data-row]")];
    const stock = [...document.querySelectorAll("#result_list tbody tr")].map((row) => row.querySelector("a[href]"));
    return own.length ? own : stock.filter(Boolean);
  };
  const step = (by) => {
    const rows = rowsNow();
    const at = rows.findIndex((row) => row.closest("tr").contains(document.activeElement));
    const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by;
    if (rows[next]) {
      rows[next].focus();
    }
  };
  // The clipboard is closed to pages that were not read over TLS: there the old way is tried.
  const copy = document.querySelector("[data-copy]");
  const copied = document.querySelector("[data-copied]");
  const copyLink = async () => {
    const link = location.origin + location.pathname;
    let done = true;
    try {
      await navigator.clipboard.writeText(link);
    } catch {
      const field = document.createElement("textarea");
      field.value = link;
      copied.after(field);
      field.select();
      done = document.execCommand("copy");
      field.remove();
      copy.focus();
    }
    copied.textContent = done ? copied.dataset.copied : copied.dataset.notCopied;
  };
  if (copy) {
    copy.parentElement.hidden = false;
    copy.addEventListener("click", copyLink);
  }
  const pick = () => {
    const row = document.activeElement.closest("tr");
    const box = row && row.querySelector('input[name="pick"]');
    if (box) {
      box.click();
    }
  };

  // A key leads to what the page offers under it: a link is followed, an act is gone to, and Enter then does it.
  const FIELDS = "textarea, select, input:not([type=hidden])";
  const offers = () => [...document.querySelectorAll("[data-key]")].filter((offer) => !offer.disabled);
  const lead = (offer) => {
    if (offer.matches("a, input[type=checkbox]")) {
      offer.click();
    } else if (offer.matches("details")) {
      offer.open = true;
      (offer.querySelector(FIELDS) ?? offer.querySelector("summary")).focus();
    } else {
      offer.focus();
      if (offer.matches("input")) {
        offer.select();
      }
    }
  };

  const list = document.querySelector("[data-keys-list]");
  const tell = (key, words) => {
    const line = document.createElement("div");
    const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
    term.appendChild(document.createElement("kbd")).textContent = key;
    meaning.textContent = words;
    line.append(term, meaning);
    list.append(line);
  };
  const wordsOf = (offer) => {
    const said = offer.dataset.keyLabel ?? offer.getAttribute("aria-label");
    return (said ?? (offer.querySelector("summary")?.firstChild ?? offer).textContent).trim();
  };
  const told = new Set();
  for (const offer of offers()) {
    if (!told.has(offer.dataset.key)) {
      told.add(offer.dataset.key);
      tell(offer.dataset.key, wordsOf(offer));
    }
  }
  const KEYS = { "?": () => dialog.showModal() };
  if (rowsNow().length) {
    KEYS.j = () => step(1);
    KEYS.k = () => step(-1);
  }
  if (document.querySelector('input[name="pick"]')) {
    KEYS.x = pick;
    tell("x", list.dataset.pick);
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || dialog.open) {
      return;
    }
    const target = event.target;
    if (target.isContentEditable || target.matches("input:not([type=checkbox]), textarea, select")) {
      return;
    }
    if (
      (event.key === "ArrowDown" || event.key === "ArrowUp") && target.closest(".desk-queue tbody, #result_list tbody")
    ) {
      step(event.key === "ArrowDown" ? 1 : -1);
      event.preventDefault();
      return;
    }
    if (!toggle.checked) {
      return;
    }
    // Of several acts of one key, as each row of a list may have one, the next after where one is.
    const alike = offers().filter((each) => each.dataset.key === event.key);
    const at = alike.findIndex((each) => each.contains(document.activeElement));
    const offer = alike[(at + 1) % alike.length];
    const act = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : offer && (() => lead(offer));
    if (act) {
      act();
      event.preventDefault();
    }
  });

  // The way to the acts is shown while they are out of sight, and covers none of them.
  const jump = document.querySelector("[data-jump]");
  if (jump) {
    const acts = document.querySelector(jump.querySelector("a").hash).closest("section");
    new IntersectionObserver(([seen]) => {
      jump.hidden = seen.isIntersecting;
    }).observe(acts);
  }

  const alls = [...document.querySelectorAll("[data-pick-all]")];
  if (alls.length) {
    const boxes = [...document.querySelectorAll('input[name="pick"]')];
    const submits = document.querySelectorAll("[data-pick-submit]");
    const refresh = () => {
      const picked = boxes.filter((box) => box.checked).length;
      for (const all of alls) {
        all.checked = picked === boxes.length;
        all.indeterminate = picked > 0 && picked < boxes.length;
      }
      document.querySelector("[data-picked]").textContent = picked;
      for (const submit of submits) {
        submit.disabled = picked === 0;
      }
    };
    for (const all of alls) {
      all.addEventListener("change", () => {
        for (const box of boxes) {
          box.checked = all.checked;
        }
        refresh();
      });
    }
    for (const box of boxes) {
      box.addEventListener("change", refresh);
    }
    refresh();
  }
}
