/** Several tabs open one log at the same moment. */
import { expect, rowsOf, synced, test, URL } from "../support/lab-test.ts";

for (const url of [undefined, URL]) {
  test(`three tabs open a new log at once${url ? "" : " that stays on the device"}: each takes commands when it is ready`, async ({
    lab,
    context,
  }) => {
    const pages = [await lab.open(context), await lab.open(context), await lab.open(context)];
    await Promise.all(
      pages.map((page, i) =>
        page.evaluate(
          async ({ url, key }) => {
            window.lab.make(url === undefined ? {} : { url });
            await window.lab.log.ready();
            for (let i = 0; i < 20; i += 1) await window.lab.add(key, 1);
          },
          { url, key: `key-${i}` },
        ),
      ),
    );
    for (const page of pages) {
      if (url) await synced(page);
      await expect
        .poll(() => page.evaluate(() => window.lab.rows()))
        .toEqual(rowsOf({ "key-0": 20, "key-1": 20, "key-2": 20 }));
      await expect.poll(() => page.evaluate(() => window.lab.status().position)).toBe(60);
      expect(await page.evaluate(() => window.lab.log.verify())).toEqual({ events: 60 });
    }
  });
}
