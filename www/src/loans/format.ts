/** Amounts and times as the loan desk writes them. */
const MONEY = new Intl.NumberFormat("en", {
  style: "currency",
  currency: "EUR",
  maximumFractionDigits: 0,
});
const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const TIME = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

export function formatMoney(amount: number | undefined): string {
  return amount === undefined ? "—" : MONEY.format(amount);
}

export function formatDate(time: number | undefined): string {
  return time === undefined ? "—" : DATE.format(time);
}

export function formatTime(time: number): string {
  return TIME.format(time);
}
