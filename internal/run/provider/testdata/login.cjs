// Logs in with Chromium, first with a wrong password, and prints what it saw as JSON:
//   node login.cjs ADDRESS PASSWORD
"use strict";
const { chromium } = require("playwright-core");
const axe = require("axe-core");

const [address, password] = process.argv.slice(2);

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
  const seen = { titles: [], errors: [], violations: [], wide: [] };
  const page = await browser.newPage({ viewport: { width: 320, height: 640 } });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  const judge = async () => {
    seen.titles.push(await page.title());
    await page.evaluate(axe.source);
    for (const violation of (await page.evaluate(() => window.axe.run())).violations) seen.violations.push(violation.id + ": " + violation.nodes[0].html);
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) seen.wide.push(page.url());
  };
  await page.goto(address);
  await judge();
  await page.keyboard.type("wrong");
  await page.keyboard.press("Enter");
  await page.waitForSelector("[role=alert]");
  await judge();
  await page.fill("[name=password]", password);
  await page.click("button");
  await page.waitForURL("**/callback?**");
  seen.body = await page.textContent("body");
  await browser.close();
  console.log(JSON.stringify(seen));
})().catch((error) => { console.error(error); process.exit(1); });
