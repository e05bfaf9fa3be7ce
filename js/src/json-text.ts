/** Finding values in JSON text without parsing them: payloads are kept as they were written. */

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** The texts of an object's values by name. `text` must be valid JSON. */
export function objectTexts(text: string): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  let at = text.indexOf("{") + 1;
  for (;;) {
    const open = text.indexOf('"', at);
    if (open < 0) return texts;
    const close = stringEnd(text, open);
    const name = JSON.parse(text.slice(open, close)) as string;
    const start = text.indexOf(":", close) + 1;
    const end = valueEnd(text, start);
    texts.set(name, text.slice(start, end).trim());
    at = end + 1;
    // Behind the last value stands the object's own bracket.
    if (text.charCodeAt(end) !== COMMA) return texts;
  }
}

/** Where the value that begins at `start` ends: at a comma or bracket that is not its own. */
function valueEnd(text: string, start: number): number {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE:
        i = stringEnd(text, i) - 1;
        break;
      case OPEN_LIST:
      case OPEN_OBJECT:
        depth++;
        break;
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        if (depth === 0) return i;
        depth--;
        break;
      case COMMA:
        if (depth === 0) return i;
        break;
    }
  }
  return text.length;
}

/** The index behind the string that opens at `start`. */
function stringEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === BACKSLASH) i++;
    else if (unit === QUOTE) return i + 1;
  }
  return text.length;
}
