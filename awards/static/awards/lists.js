// On a phone a row becomes a block, and each of its cells needs the name of its column. Without this the table scrolls.
"use strict";

for (const table of document.querySelectorAll("#result_list, .tabular table")) {
  for (const heading of table.querySelectorAll("thead th")) {
    const column = /column-(\S+)/.exec(heading.className);
    if (column) {
      const name = (heading.querySelector(".text") ?? heading).textContent.trim();
      for (const cell of table.querySelectorAll(`tbody .field-${CSS.escape(column[1])}`)) {
        cell.dataset.label = name;
      }
    }
  }
  table.classList.add("mg-stacks");
}
