import { words } from "./words";

/** One clock for all ages on the page, so that they change together; it stands still while the page is hidden. */
class Clock {
  now = $state(Date.now());
  constructor() {
    setInterval(() => {
      if (!document.hidden) this.now = Date.now();
    }, 1000);
  }
}
export const clock = new Clock();

const { age: word } = words;

/** `3 d`, for a column. */
export function shortAge(since: string | number | null | undefined, now = clock.now): string {
  if (since === null || since === undefined || since === "") return "";
  const seconds = Math.max(0, Math.floor((now - new Date(since).getTime()) / 1000));
  if (Number.isNaN(seconds)) return "";
  if (seconds < 60) return word.now;
  if (seconds < 3600) return word.minute(Math.floor(seconds / 60));
  if (seconds < 86_400) return word.hour(Math.floor(seconds / 3600));
  if (seconds < 86_400 * 60) return word.day(Math.floor(seconds / 86_400));
  return word.month(Math.floor(seconds / (86_400 * 30)));
}

/** `3 days`, for a sentence. */
export function longAge(since: string | number | null | undefined, now = clock.now): string {
  if (since === null || since === undefined || since === "") return "";
  const seconds = Math.max(0, Math.floor((now - new Date(since).getTime()) / 1000));
  if (Number.isNaN(seconds)) return "";
  if (seconds < 60) return word.longSecond(seconds);
  if (seconds < 3600) return word.longMinute(Math.floor(seconds / 60));
  if (seconds < 86_400) return word.longHour(Math.floor(seconds / 3600));
  return word.longDay(Math.floor(seconds / 86_400));
}

/** `3 days ago`, or `just now`. */
export function ago(since: string | number | null | undefined, now = clock.now): string {
  if (since === null || since === undefined || since === "") return "";
  if (now - new Date(since).getTime() < 5000) return word.justNow;
  return word.ago(longAge(since, now));
}

/** `in 3 hours`, or `now`. */
export function until(at: string, now = clock.now): string {
  const left = new Date(at).getTime() - now;
  return left < 1000 ? word.now : word.until(longAge(now, now + left));
}

/** `12.3 s`, for a phase. */
export function duration(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** `812 MB`, `2 GB`: powers of two under their common names, as the rest of Berth says them. */
export function bytes(n: number): string {
  if (n >= 1 << 30) return `${Number((n / (1 << 30)).toFixed(n % (1 << 30) === 0 ? 0 : 1))} GB`;
  return `${Math.round(n / (1 << 20))} MB`;
}
