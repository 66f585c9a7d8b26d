// Prints the name of the browser, if it and axe start.
"use strict";
const { chromium } = require("playwright-core");
require("axe-core");
(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, chromiumSandbox: false });
  const page = await browser.newPage();
  console.log(await page.evaluate(() => navigator.userAgent), browser.version());
  await browser.close();
})().catch((error) => { console.error(error); process.exit(1); });
