/** The looks of the docs page, in light and dark. */
export const DOCS_STYLE = `
:root {
  --ink: #1c2128; --soft: #5b6573; --line: #e3e6ea; --page: #ffffff; --side: #f6f7f9; --code: #f3f5f7; --link: #0b62c4;
  --get: #1467c8; --post: #197a3e; --put: #9a5b00; --patch: #9a5b00; --delete: #c02b2b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e8ed; --soft: #97a2b0; --line: #2b323b; --page: #14181d; --side: #191e24; --code: #1f252c; --link: #6cb0ff;
    --get: #6cb0ff; --post: #62cf8b; --put: #eab15c; --patch: #eab15c; --delete: #ff8585;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1.5rem; }
body {
  margin: 0; display: grid; grid-template-columns: 19rem minmax(0, 1fr); color: var(--ink); background: var(--page);
  font: 15px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
code, pre, em { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; font-size: 0.875em; }
code { overflow-wrap: anywhere; }
nav {
  position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.5rem 1rem 3rem; background: var(--side);
  border-right: 1px solid var(--line); font-size: 13.5px;
}
nav .brand { display: block; padding: 0 0.5rem; margin-bottom: 1rem; color: var(--ink); font-size: 1.15rem; font-weight: 650; }
nav summary { padding: 0.35rem 0.5rem; color: var(--soft); font-weight: 600; cursor: pointer; }
nav details a { display: flex; gap: 0.6rem; align-items: baseline; padding: 0.22rem 0.5rem; border-radius: 6px; color: var(--ink); line-height: 1.35; }
nav details a:hover { background: var(--line); text-decoration: none; }
nav em { flex: none; width: 3.1rem; font-size: 10.5px; }
em { font-style: normal; font-weight: 700; letter-spacing: 0.02em; }
em.get { color: var(--get); } em.post { color: var(--post); } em.put { color: var(--put); }
em.patch { color: var(--patch); } em.delete { color: var(--delete); }
main { width: 100%; max-width: 54rem; padding: 2.5rem clamp(1rem, 4vw, 3.5rem) 6rem; }
header { padding-bottom: 1rem; }
h1 { margin: 0 0 0.75rem; font-size: 1.9rem; line-height: 1.2; }
header p { margin: 0.6rem 0; color: var(--soft); }
header code { color: var(--ink); }
h2 { margin: 2.75rem 0 0; padding-bottom: 0.4rem; font-size: 1.35rem; text-transform: capitalize; border-bottom: 1px solid var(--line); }
article { padding: 1.4rem 0 1.6rem; border-bottom: 1px solid var(--line); }
article:last-child { border-bottom: 0; }
h3 { display: flex; gap: 0.75rem; align-items: baseline; margin: 0 0 0.3rem; font-size: 1rem; font-weight: 600; }
h3 code { font-size: 1rem; }
h3 i { color: var(--soft); }
article p { margin: 0.3rem 0; }
.access, .answer { color: var(--soft); font-size: 13.5px; }
.access b { display: inline-block; margin-right: 0.4rem; padding: 0 0.55rem; border: 1px solid var(--line); border-radius: 99px; color: var(--ink); font-weight: 600; }
.wide { overflow-x: auto; margin: 0.9rem 0; }
table { width: 100%; border-collapse: collapse; font-size: 13.5px; }
th { text-align: left; color: var(--soft); font-weight: 600; }
th, td { padding: 0.38rem 1rem 0.38rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { white-space: nowrap; }
td b { color: var(--delete); }
td i { color: var(--soft); font-style: normal; }
pre {
  margin: 0.7rem 0 0; padding: 0.75rem 1rem; overflow-x: auto; background: var(--code); border-radius: 8px; line-height: 1.5; tab-size: 2;
}
@media (max-width: 56rem) {
  body { display: block; }
  nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); padding-bottom: 1rem; }
}
`;
