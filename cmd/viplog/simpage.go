package main

import (
	"bytes"
	"io"
	"os"
	"slices"

	"golang.org/x/term"

	"viplog/adapters/timeline"
	"viplog/sim/scenario"
)

// timelineOf is a run as it is shown.
func timelineOf(s *scenario.Scenario, result scenario.Result) timeline.Timeline {
	t := timeline.Timeline{
		Title: s.Path, Script: s.Script(), Began: result.Began, End: result.Virtual, Records: slices.Concat(result.SetUp, result.Timeline),
	}
	for _, h := range s.Hosts() {
		if h.Node {
			t.Nodes = append(t.Nodes, h.Name)
		}
	}
	return t
}

// writePage writes the page that shows a run, if one is asked for.
func (r *simRun) writePage(s *scenario.Scenario, result scenario.Result, command string) error {
	if r.report == "" {
		return nil
	}
	t := timelineOf(s, result)
	t.Verdict, t.Why, t.Command = string(result.Verdict), result.Why, command
	return writePage(r.report, t)
}

// writePage writes a page to a file.
func writePage(path string, t timeline.Timeline) error {
	var page bytes.Buffer
	if err := timeline.Page(&page, t); err != nil {
		return err
	}
	return os.WriteFile(path, page.Bytes(), 0o644)
}

// printTimeline prints a timeline as wide as a terminal is, and there in colours unless NO_COLOR is set (no-color.org); anywhere
// else as wide as it is, and plain.
func printTimeline(w io.Writer, t timeline.Timeline) error {
	width := 0
	f, ok := w.(*os.File)
	isTerminal := ok && term.IsTerminal(int(f.Fd()))
	if isTerminal {
		width, _, _ = term.GetSize(int(f.Fd()))
	}
	return timeline.Text(w, t, width, isTerminal && os.Getenv("NO_COLOR") == "")
}
