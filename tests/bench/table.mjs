/** Rows as text for a terminal. */

export function tableOf(rows) {
  return rows.map(rowToText).join("\n\n");
}

function rowToText(row) {
  const { figure, rule, value, bar, unit, ok, peers, parts, without, wrong } = row;
  const lines = [`${ok ? "held  " : "MISSED"} ${figure}`, `       ${rule}`];
  lines.push(`       Tidelog ${said(value)} ${unit}, bar ${said(bar)} ${unit}`);
  for (const part of parts ?? []) {
    const verdict = part.ok ? "held" : "MISSED";
    lines.push(
      `         ${part.name}: ${said(part.value)} ${part.unit}, bar ${said(part.bar)}: ${verdict}`,
    );
  }
  for (const [name, peer] of Object.entries(peers)) {
    const ratio = value ? ` (${said(peer / value)} × Tidelog's)` : "";
    lines.push(`         ${name.padEnd(28)} ${said(peer).padStart(10)} ${unit}${ratio}`);
  }
  for (const [name, reason] of Object.entries(without))
    lines.push(`         without ${name}: ${reason}`);
  for (const reason of wrong) lines.push(`       WRONG: ${reason}`);
  return lines.join("\n");
}

function said(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "—";
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en", { maximumFractionDigits: Math.min(digits, 4) });
}
