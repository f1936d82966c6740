package scenario

import (
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"

	"viplog/core/trace"
)

// TimelineText is a timeline for a person, one record a line.
func TimelineText(timeline []trace.Record) string {
	var text strings.Builder
	for _, r := range timeline {
		text.WriteString(r.Line())
		text.WriteByte('\n')
	}
	return text.String()
}

// differs says where the timeline is not the golden one, and the line of the file; "" if it is or there is none.
func (s *Scenario) differs(timeline []trace.Record) (number int, why string) {
	if s.golden == nil {
		return 0, ""
	}
	want, got := strings.Split(string(s.golden.Data), "\n"), strings.Split(TimelineText(timeline), "\n")
	first := strings.Count(string(s.archive.Comment), "\n") + 2
	for i := range max(len(want), len(got)) {
		if w, g := part(want, i), part(got, i); w != g {
			return first + i, fmt.Sprintf("the timeline has %s where %s has %s (--update rewrites it)", g, wantTimeline, w)
		}
	}
	return 0, ""
}

func part(lines []string, i int) string {
	if i >= len(lines) || i == len(lines)-1 && lines[i] == "" {
		return "its end"
	}
	return fmt.Sprintf("%q", lines[i])
}

// Updated is the scenario's file with the timeline of a run as its golden; the script, and so every assert, is as it was.
// False if it has no golden.
func (s *Scenario) Updated(timeline []trace.Record) ([]byte, bool) {
	if s.golden == nil {
		return nil, false
	}
	updated := &txtar.Archive{Comment: s.archive.Comment}
	updated.Files = []txtar.File{{Name: wantTimeline, Data: []byte(TimelineText(timeline))}}
	return txtar.Format(updated), true
}
