/**
 * `npm run bench`: runs the benchmark page (`www/src/bench`) in a headless Chromium, prints its table and writes its rows.
 *
 *     node tests/bench/run.mjs --url http://127.0.0.1:4000 [--json FILE] [--events N] [--rounds N]
 *                              [--only figure,…] [--peers name,…] [--quick]
 *
 * The page decides what is measured and how; this gives it fresh pages, weighs them, and profiles of its own for the bytes
 * on disk. Exit code 0 also when a bar is missed; 1 if a result was wrong or nothing could be measured.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { Browser } from "./browser.mjs";
import { startEcho } from "./echo.mjs";
import { tableOf } from "./table.mjs";

const { values: given } = parseArgs({
  options: {
    url: { type: "string" },
    json: { type: "string" },
    events: { type: "string" },
    rounds: { type: "string" },
    only: { type: "string" },
    peers: { type: "string" },
    quick: { type: "boolean", default: false },
  },
});

const options = {
  events: wholeNumber("events", given.quick ? 5_000 : 100_000),
  rounds: wholeNumber("rounds", given.quick ? 1 : 3),
  quick: given.quick,
  only: listOf(given.only) ?? [],
  peers: listOf(given.peers),
};
if (given.url === undefined) throw new Error("--url is missing: where is the page served?");

/** As they come: a run that ends early has shown what it measured. */
const rows = [];
const browser = await Browser.start(given.url);
try {
  const { environment } = await measure(browser);
  console.log(`\n${environment.data}, ${environment.rounds} rounds, ${environment.userAgent}`);
} finally {
  console.log(`\n${tableOf(rows)}`);
  if (given.json !== undefined) {
    await writeFile(given.json, `${JSON.stringify(rows, undefined, 2)}\n`);
  }
  await browser.stop();
}
const wrong = rows.flatMap((row) => row.wrong);
for (const reason of wrong) console.error(`WRONG RESULT: ${reason}`);
if (wrong.length > 0 || rows.every(({ value }) => value === null)) process.exitCode = 1;

/** The page asks, this process answers. */
async function measure(main) {
  const page = await main.page("/bench/");
  let said = "";
  await page.exposeFunction("harnessRun", (requests) => main.run(requests));
  await page.exposeFunction("harnessApart", (requests) => apart(main, requests));
  await page.exposeFunction("harnessBytesAfter", (requests) => bytesAfter(requests));
  await page.exposeFunction("harnessProgress", (label, done, total) => {
    const line = `[${done}/${total}] ${label}`;
    const seconds = (performance.now() / 1000).toFixed(0).padStart(5);
    if (line !== said) console.log(`${seconds} s ${line}`);
    said = line;
  });
  await page.exposeFunction("harnessRows", (all) => {
    rows.splice(0, rows.length, ...all);
  });
  return page.evaluate((wanted) => {
    window.benchHarness = {
      run: window.harnessRun,
      apart: window.harnessApart,
      bytesAfter: window.harnessBytesAfter,
      progress: window.harnessProgress,
      rows: window.harnessRows,
    };
    return window.bench(wanted);
  }, options);
}

/** Two requests at once in two browsers, of which each can reach an echo. */
async function apart(main, requests) {
  const other = await Browser.start(given.url);
  const echo = await startEcho();
  try {
    const [a, b] = requests.map((request) => ({ ...request, echo: echo.url }));
    const [[first], [second]] = await Promise.all([main.run([a]), other.run([b])]);
    return [first, second];
  } finally {
    echo.stop();
    await other.stop();
  }
}

/** What the requests leave in a profile of their own. */
async function bytesAfter(requests) {
  const fresh = await Browser.start(given.url);
  try {
    for (const request of requests) {
      const [answer] = await fresh.run([request]);
      if ("failed" in answer) return answer;
    }
    await fresh.settle();
    return await fresh.bytes();
  } finally {
    await fresh.stop();
  }
}

function listOf(text) {
  return text?.split(",").filter((each) => each !== "");
}

function wholeNumber(name, otherwise) {
  const text = given[name];
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new Error(`--${name} ${text} is not a whole number above 0`);
}
