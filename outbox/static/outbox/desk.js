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

  const rows = [...document.querySelectorAll("[data-row]")];
  const step = (by) => {
    const at = rows.findIndex((row) => row.closest("tr").contains(document.activeElement));
    const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by;
    if (rows[next]) {
      rows[next].focus();
    }
  };
  const follow = (selector) => {
    const link = document.querySelector(selector);
    if (link) {
      link.click();
    }
  };
  const openAct = (name) => {
    const act = document.querySelector(`[data-act="${name}"]`);
    if (!act) {
      return;
    }
    act.open = true;
    const field = act.querySelector("textarea:not([disabled]), select:not([disabled])");
    (field && !field.matches(":disabled") ? field : act.querySelector("summary")).focus();
  };
  const pick = () => {
    const row = document.activeElement.closest("tr");
    const box = row && row.querySelector('input[name="pick"]');
    if (box) {
      box.click();
    }
  };
  const focusSearch = () => {
    const search = document.querySelector("[data-search]");
    if (search) {
      search.focus();
      search.select();
    }
  };

  const KEYS = {
    "?": () => dialog.showModal(),
    "/": focusSearch,
    j: () => step(1),
    k: () => step(-1),
    x: pick,
    r: () => openAct("retry"),
    e: () => follow("[data-edit]"),
    n: () => follow("[data-next]"),
    u: () => follow("[data-list]"),
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || dialog.open) {
      return;
    }
    const target = event.target;
    if (target.isContentEditable || target.matches("input:not([type=checkbox]), textarea, select")) {
      return;
    }
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && target.closest(".desk-queue tbody")) {
      step(event.key === "ArrowDown" ? 1 : -1);
      event.preventDefault();
      return;
    }
    if (toggle.checked && Object.hasOwn(KEYS, event.key)) {
      KEYS[event.key]();
      event.preventDefault();
    }
  });

  const all = document.querySelector("[data-pick-all]");
  if (all) {
    const boxes = [...document.querySelectorAll('input[name="pick"]')];
    const submits = document.querySelectorAll("[data-pick-submit]");
    const refresh = () => {
      const picked = boxes.filter((box) => box.checked).length;
      all.checked = picked === boxes.length;
      all.indeterminate = picked > 0 && picked < boxes.length;
      for (const submit of submits) {
        submit.disabled = picked === 0;
      }
    };
    all.addEventListener("change", () => {
      for (const box of boxes) {
        box.checked = all.checked;
      }
      refresh();
    });
    for (const box of boxes) {
      box.addEventListener("change", refresh);
    }
    refresh();
  }
}
