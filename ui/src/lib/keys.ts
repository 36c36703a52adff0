/** Shortcuts are ⌘ on a Mac and Ctrl elsewhere. */
export const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
export const command = (event: KeyboardEvent) => (isMac ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey);
/** `⌘N`, or `Ctrl+N`. */
export const shortcut = (keys: string, option = false) => (isMac ? `${option ? "⌥" : ""}⌘${keys}` : `Ctrl+${option ? "Alt+" : ""}${keys}`);
/** For `aria-keyshortcuts`. */
export const ariaShortcut = (keys: string, option = false) => `${isMac ? "Meta" : "Control"}+${option ? "Alt+" : ""}${keys}`;
export const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
