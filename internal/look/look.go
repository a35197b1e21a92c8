// Package look has what all pages of Fray look like: their colours, light and dark.
package look

import _ "embed"

var (
	// Style are the colours, as custom properties. Those of the dark theme are in force where the
	// document's element has data-theme="dark".
	//
	//go:embed look.css
	Style string
	// Script sets the theme: what the reader chose for as long as the tab is open, or what the system prefers. The
	// element with the id theme changes it; the page is told by an event "themechange" of the document.
	//
	//go:embed look.js
	Script string
)
