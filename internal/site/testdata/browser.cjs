// Drives Chromium over the pages of a site, and prints what it saw as JSON:
//   node browser.cjs TASK BASE PATH...
// BASE is the address of the site's folder.
"use strict";
const { chromium } = require("playwright-core");
const axe = require("axe-core");

const [task, base, ...paths] = process.argv.slice(2);
const at = (path) => base + path;

// watch notes everything that a page asks for elsewhere, and that shows that a script ran.
async function watch(page, seen) {
  page.on("request", (request) => { if (!request.url().startsWith(base)) seen.requests.push(request.url().slice(0, 200)); });
  page.on("dialog", (dialog) => { seen.ran.push("dialog"); dialog.dismiss(); });
  page.on("pageerror", (error) => seen.errors.push(String(error).slice(0, 300)));
  page.on("console", (message) => { if (message.type() === "error") seen.errors.push(message.text().slice(0, 300)); });
}

const shown = (page) => page.$$eval("#list > :not([hidden])", (all) => all.length);

const tasks = {
  // A person looks for an app, and for what is in an image of it.
  async walk(browser) {
    const seen = { requests: [], ran: [], errors: [] };
    const page = await browser.newPage();
    await watch(page, seen);
    await page.goto(at("index.html"));
    seen.apps = await shown(page);
    await page.keyboard.press("Tab");
    seen.first = await page.evaluate(() => document.activeElement.getAttribute("href"));
    await page.fill("[data-search]", "not published");
    seen.found = await page.$$eval("#list > :not([hidden]) h2 a", (all) => all.map((a) => a.textContent));
    seen.status = await page.textContent("[role=status]");
    await page.fill("[data-search]", "nothing has this");
    seen.none = await shown(page);
    await page.fill("[data-search]", "");
    await page.selectOption("[data-filter]", { index: 1 });
    seen.filtered = await shown(page);
    await page.selectOption("[data-filter]", "");
    await page.selectOption("[data-sort]", "date:desc");
    seen.sorted = await page.$$eval("#list h2 a", (all) => all.map((a) => a.textContent));
    await page.click("#list h2 a");
    seen.app = await page.textContent("h1");
    await page.click(".platforms a");
    seen.image = await page.textContent("h1");
    seen.components = await shown(page);
    await page.fill("[data-search]", "openssl apache");
    seen.component = await page.$$eval("#list > :not([hidden]) td:first-child", (all) => all.map((cell) => cell.textContent));
    await page.fill("[data-search]", "");
    await page.click("thead th:nth-child(2) button");
    await page.click("thead th:nth-child(2) button");
    seen.version = await page.textContent("#list td:nth-child(2)");
    seen.order = await page.getAttribute("thead th:nth-child(2)", "aria-sort");
    const wanted = await page.$(".actions a");
    seen.download = (await wanted.getAttribute("href")).split("/").pop();
    if (base.startsWith("http")) { // Chromium shows the files of a folder
      const [download] = await Promise.all([page.waitForEvent("download"), wanted.click()]);
      seen.download = download.suggestedFilename();
    }
    await page.click("[hreflang=fr]:not(link)");
    seen.language = await page.getAttribute("html", "lang");
    seen.french = await page.textContent("#contents");
    return seen;
  },

  // A list of several pages is searched, filtered and sorted as a whole, if the browser reads
  // files of the site; in a folder it says that it does not.
  async pages(browser) {
    const seen = { requests: [], ran: [], errors: [], found: [], sorted: [], counts: [] };
    const page = await browser.newPage();
    const told = async (what) => {
      await page.waitForFunction((want) => document.querySelector("[role=status]").textContent.includes(want), what);
      seen.counts.push(await page.textContent("[role=status]"));
    };
    await watch(page, seen);
    await page.goto(at("index.html"));
    await page.click(".pages a:not([aria-current])");
    seen.app = await page.textContent("h2 a");
    await page.fill("[data-search]", "app-0007");
    await told(base.startsWith("http") ? "1 " : ".");
    seen.found = await page.$$eval("#list > :not([hidden]) h2 a", (all) => all.map((a) => a.textContent));
    if (!base.startsWith("http")) {
      seen.errors = [];
      return seen;
    }
    await page.fill("[data-search]", "");
    await page.selectOption("[data-sort]", "date:desc");
    seen.sorted = await page.$$eval("#list h2 a", (all) => all.slice(0, 2).map((a) => a.textContent));
    seen.pages = await page.$$eval(".pages:not([hidden])", (all) => all.length);
    await page.click("#list h2 a");
    await page.click("section a[href$='releases.html']");
    await page.click("thead th:nth-child(2) button");
    await page.click("thead th:nth-child(2) button");
    await page.waitForSelector("nav.pages", { state: "hidden" });
    seen.version = await page.textContent("#list td");
    await page.fill("[data-search]", "0.250-1");
    await told("1 ");
    return seen;
  },

  // No page is wider than a phone; light and dark are as the person has them.
  async widths(browser) {
    const seen = { wide: [], grounds: {} };
    for (const scheme of ["light", "dark"]) {
      for (const width of [320, 390, 1280]) {
        const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme: scheme });
        for (const path of paths) {
          await page.goto(at(path));
          await page.$$eval("details", (all) => all.forEach((one) => { one.open = true; }));
          const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          if (over > 0) seen.wide.push(`${path} at ${width}: ${over} px`);
        }
        seen.grounds[scheme] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        await page.close();
      }
    }
    return seen;
  },

  // axe finds nothing serious.
  async axe(browser) {
    const seen = { violations: [], passes: 0 };
    for (const scheme of ["light", "dark"]) {
      for (const width of [390, 1280]) {
        const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme: scheme });
        for (const path of paths) {
          await page.goto(at(path));
          await page.$$eval("details", (all) => all.forEach((one) => { one.open = true; }));
          await page.evaluate(axe.source);
          const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
          seen.passes += result.passes.length;
          for (const { id, impact, nodes } of result.violations) {
            seen.violations.push(`${path} ${scheme} ${width}: ${id} (${impact}): ${nodes.map((node) => node.html.slice(0, 160)).slice(0, 3).join(" | ")}`);
          }
        }
        await page.close();
      }
    }
    return seen;
  },

  // What others wrote does nothing: no script of theirs runs, nothing of theirs is loaded.
  async hostile(browser) {
    const seen = { requests: [], ran: [], errors: [], pages: 0 };
    const page = await browser.newPage();
    await watch(page, seen);
    await page.addInitScript(() => document.addEventListener("securitypolicyviolation", (event) => console.error(`refused ${event.violatedDirective}`)));
    for (const path of paths) {
      await page.goto(at(path));
      await page.$$eval("details", (all) => all.forEach((one) => { one.open = true; }));
      await page.waitForTimeout(30);
      if (await page.evaluate(() => "pwned" in window)) seen.ran.push(path);
      const foreign = await page.$$eval("img, iframe, object, embed, video, audio, svg, style, base, form[action], [onerror], [onload], [onclick], [style], script:not([src$='script.js'])",
        (all) => all.filter((one) => !(one.localName === "img" && one.closest(".home"))).map((one) => one.outerHTML.slice(0, 160)));
      if (foreign.length) seen.ran.push(`${path}: ${foreign.join(" | ")}`);
      const links = await page.$$eval("a[href]", (all) => all.map((a) => a.protocol).filter((p) => !["http:", "https:", "file:"].includes(p)));
      if (links.length) seen.ran.push(`${path}: links ${links}`);
      seen.pages++;
    }
    return seen;
  },
};

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, chromiumSandbox: false });
  try {
    console.log(JSON.stringify(await tasks[task](browser), null, 2));
  } finally {
    await browser.close();
  }
})().catch((error) => { console.error(error); process.exit(1); });
