// Reads Operations again while somebody looks at it, and says so when that no longer works. Without a script the page
// reloads itself once a minute.
"use strict";
{
  const SELECTOR = "[data-refresh]";
  const PATIENCE = 10_000;
  const first = document.querySelector(SELECTOR);
  if (first && first.dataset.refresh !== "0") {
    const every = Number(first.dataset.refresh) * 1000;
    const said = document.querySelector("[data-refresh-said]");
    let readAt = performance.now();
    let busy = false;
    let over = false;

    const headline = () => document.querySelector("[data-refresh-headline]").textContent;
    const show = (selector, on) => {
      const part = document.querySelector(selector);
      if (part) {
        part.hidden = !on;
      }
    };
    // What one is doing on the page must not be taken away by its being read again.
    const stops = (part) => [...part.querySelectorAll("a[href], button, summary, [tabindex]")];
    const nameOf = (stop) =>
      [stop.tagName, stop.closest("[id]").id, ...["href", "value", "aria-label"].map((name) => stop.getAttribute(name))]
        .join();
    const nothingWritten = () =>
      [...document.querySelectorAll("textarea")].every((field) => field.value === field.defaultValue);
    const replace = (fresh) => {
      const old = document.querySelector(SELECTOR);
      const open = [...old.querySelectorAll("details[open][id]")].map((details) => details.id);
      const place = old.contains(document.activeElement) ? nameOf(document.activeElement) : null;
      const before = headline();
      if (old.dataset.refreshState !== fresh.dataset.refreshState && nothingWritten()) {
        location.reload(); // what can be done has changed as well, and stands outside this part
        return;
      }
      old.replaceWith(fresh);
      over = fresh.dataset.refresh === "0"; // nothing changes any more
      for (const id of open) {
        const details = document.getElementById(id);
        if (details) {
          details.open = true;
        }
      }
      const again = place && stops(fresh).find((stop) => nameOf(stop) === place);
      if (again) {
        again.focus({ preventScroll: true });
      }
      fresh.dispatchEvent(new CustomEvent("desk:shown", { bubbles: true }));
      show("[data-refresh-on]", true);
      if (headline() !== before) {
        said.textContent = headline();
      }
    };
    const read = async () => {
      if (busy || over || document.visibilityState !== "visible") {
        return;
      }
      busy = true;
      try {
        const answer = await fetch(location.href, {
          credentials: "same-origin",
          cache: "no-store",
          headers: { "X-Desk-Reads-Itself": "1" }, // so that the session ends when nobody works with it
          redirect: "error", // signed out
          signal: AbortSignal.timeout(PATIENCE),
        });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = answer.ok && page.querySelector(SELECTOR);
        if (fresh) {
          replace(document.adoptNode(fresh));
          readAt = performance.now();
        }
      } catch {
        // away, or too slow: tried again at the next turn, and told of below
      } finally {
        busy = false;
      }
      show("[data-refresh-stale]", performance.now() - readAt > 2 * every);
    };

    show("[data-refresh-on]", true);
    setInterval(read, every);
    document.addEventListener("visibilitychange", () => {
      if (performance.now() - readAt > every) {
        read();
      }
    });
  }
}
