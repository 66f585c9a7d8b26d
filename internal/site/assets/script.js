// Searches, filters and sorts what the page has already. Without it everything is shown.
"use strict";
(() => {
  const lists = () => {
    for (const form of document.querySelectorAll("form[data-list]")) {
      const list = document.getElementById(form.dataset.list);
      const status = document.querySelector(`[data-for="${form.dataset.list}"]`);
      const search = form.querySelector("[data-search]");
      const filters = [...form.querySelectorAll("[data-filter]")];
      const sort = form.querySelector("[data-sort]");
      const items = [...list.children].map((element) => ({ element, words: element.textContent.toLowerCase() }));
      const show = () => {
        const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
        let shown = 0;
        for (const item of items) {
          const found = wanted.every((word) => item.words.includes(word)) &&
            filters.every((filter) => filter.value === "" || item.element.dataset[filter.dataset.filter] === filter.value);
          item.element.hidden = !found;
          shown += found ? 1 : 0;
        }
        status.textContent = status.dataset.count.replace("{n}", shown).replace("{all}", items.length);
      };
      const order = () => {
        const [key, direction] = sort.value.split(":");
        const value = (item) => item.element.dataset[key] ?? "";
        const ordered = [...items].sort((a, b) => {
          const by = key === "open" ? Number(value(a)) - Number(value(b)) : value(a).localeCompare(value(b));
          return direction === "desc" ? -by : by;
        });
        list.append(...ordered.map((item) => item.element));
      };
      form.addEventListener("submit", (event) => event.preventDefault());
      form.addEventListener("input", show);
      if (sort) sort.addEventListener("change", order);
      form.hidden = false;
      show();
    }
  };

  const tables = () => {
    for (const table of document.querySelectorAll("table.sortable")) {
      const body = table.tBodies[0];
      const heads = [...table.tHead.rows[0].cells];
      heads.forEach((head, column) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = head.textContent;
        head.replaceChildren(button);
        button.addEventListener("click", () => {
          const down = head.getAttribute("aria-sort") === "ascending";
          for (const other of heads) other.removeAttribute("aria-sort");
          head.setAttribute("aria-sort", down ? "descending" : "ascending");
          const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
          const rows = [...body.rows].sort((a, b) => value(a).localeCompare(value(b), undefined, { numeric: true }));
          body.append(...(down ? rows.reverse() : rows));
        });
      });
    }
  };

  const copies = () => {
    if (!navigator.clipboard) return;
    const labels = document.body.dataset;
    for (const command of document.querySelectorAll(".command")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = labels.copy;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(command.querySelector("pre").textContent);
        button.textContent = labels.copied;
        setTimeout(() => { button.textContent = labels.copy; }, 2000);
      });
      command.append(button);
    }
  };

  lists();
  tables();
  copies();
})();
