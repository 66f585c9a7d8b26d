// Searches, filters and sorts. Without it everything is shown, a long list in several pages.
"use strict";
(() => {
  const list = document.getElementById("list");
  const form = document.querySelector("form.tools");
  const nav = document.querySelector("nav.pages");
  const collator = new Intl.Collator(document.documentElement.lang, { numeric: true });

  // A document that is asked for so is only read: its scripts do not run.
  const fetched = (address) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.onload = () => request.status === 200 ? resolve([...request.response.getElementById("list").children]) : reject(request.status);
    request.onerror = reject;
    request.send();
  });

  // The items of all pages, once somebody searches or sorts. Browsers refuse that for files
  // in a folder: then this page's items are all there are.
  let all;
  const whole = () => {
    if (!nav) return Promise.resolve();
    all ??= Promise.all([...nav.querySelectorAll("a")].map((link) => link.hasAttribute("aria-current") ? [...list.children] : fetched(link.href)))
      .then((pages) => { list.replaceChildren(...pages.flat()); nav.hidden = true; }, () => { nav.dataset.alone = ""; });
    return all;
  };

  const search = () => {
    const status = document.querySelector("[data-count]");
    const wanted = form.querySelector("[data-search]");
    const filters = [...form.querySelectorAll("[data-filter]")];
    const sort = form.querySelector("[data-sort]");
    const texts = new WeakMap();
    const text = (item) => {
      if (!texts.has(item)) texts.set(item, item.textContent.toLowerCase());
      return texts.get(item);
    };
    const show = () => {
      const words = wanted.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const item of list.children) {
        const found = words.every((word) => text(item).includes(word)) &&
          filters.every((filter) => filter.value === "" || item.dataset[filter.dataset.filter] === filter.value);
        item.hidden = !found;
        shown += found ? 1 : 0;
      }
      status.textContent = status.dataset.count.replace("{n}", shown).replace("{all}", status.dataset.sum) +
        (nav && "alone" in nav.dataset ? ` ${status.dataset.alone}` : "");
    };
    const order = () => {
      const [key, direction] = sort.value.split(":");
      const items = [...list.children].sort((a, b) => collator.compare(a.dataset[key], b.dataset[key]));
      list.replaceChildren(...(direction === "desc" ? items.reverse() : items));
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", async () => { show(); await whole(); show(); });
    if (sort) sort.addEventListener("change", async () => { await whole(); order(); });
    form.hidden = false;
    show();
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
        button.addEventListener("click", async () => {
          const down = head.getAttribute("aria-sort") === "ascending";
          for (const other of heads) other.removeAttribute("aria-sort");
          head.setAttribute("aria-sort", down ? "descending" : "ascending");
          if (body === list) await whole();
          const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
          const rows = [...body.rows].sort((a, b) => collator.compare(value(a), value(b)));
          body.replaceChildren(...(down ? rows.reverse() : rows));
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

  if (form) search();
  tables();
  copies();
})();
