package timeline

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"strings"
)

//go:embed page
var page embed.FS

// scripts are put one after the other into one function.
var scripts = []string{"data.js", "view.js", "rows.js", "draw.js", "overlay.js", "hover.js", "summary.js", "search.js", "table.js", "keys.js", "main.js"}

// blob is all that the page's script reads.
type blob struct {
	Title   string      `json:"title"`
	Verdict string      `json:"verdict"`
	OK      bool        `json:"ok"`
	Why     string      `json:"why"`
	Command string      `json:"command"`
	Script  string      `json:"script"`
	Marks   []kindMark  `json:"marks"`
	States  []nodeState `json:"states"`
	Other   kindMark    `json:"other"`
	Model   *model      `json:"model"`
}

// Page writes one HTML page that needs neither a network nor other files. The same timeline is the same bytes.
func Page(w io.Writer, t Timeline) error {
	data, err := json.Marshal(blob{
		t.Title, t.Verdict, t.Verdict == VerdictOK || t.Verdict == "", t.Why, t.Command, t.Script, marks, nodeStates, otherMark, build(t),
	})
	if err != nil {
		return fmt.Errorf("timeline: %w", err)
	}
	style, script := part("page.css"), "(() => {\n'use strict';\n"
	for _, name := range scripts {
		script += part(name)
	}
	script += "})();\n"
	title := t.Title
	if title == "" {
		title = "Timeline"
	}
	// What is not in the page itself, and what is in a record, can neither be loaded nor run.
	policy := "default-src 'none'; img-src data:; style-src '" + hashed(style) + "'; script-src '" + hashed(script) +
		"'; base-uri 'none'; form-action 'none'"
	// One pass: what is put in is not looked at again. json.Marshal has escaped what could end the script element.
	_, err = strings.NewReplacer(
		"{{policy}}", html.EscapeString(policy), "{{title}}", html.EscapeString(title), "{{style}}", style, "{{script}}", script,
		"{{data}}", string(bytes.TrimSpace(data)),
	).WriteString(w, part("index.html"))
	return err
}

func part(name string) string {
	text, err := page.ReadFile("page/" + name)
	if err != nil {
		panic("timeline: a part of the page is not embedded: " + err.Error())
	}
	return string(text)
}

// hashed is a source as a Content-Security-Policy names it.
func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
