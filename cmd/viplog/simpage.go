package main

import (
	"bytes"
	"os"
	"slices"

	"viplog/adapters/timeline"
	"viplog/sim/scenario"
)

// writePage writes the page that shows a run, if one is asked for.
func (r *simRun) writePage(s *scenario.Scenario, result scenario.Result, command string) error {
	if r.report == "" {
		return nil
	}
	t := timeline.Timeline{
		Title: s.Path, Verdict: string(result.Verdict), Why: result.Why, Command: command, Script: s.Script(),
		Began: result.Began, End: result.Virtual, Records: slices.Concat(result.SetUp, result.Timeline),
	}
	for _, h := range s.Hosts() {
		if h.Node {
			t.Nodes = append(t.Nodes, h.Name)
		}
	}
	var page bytes.Buffer
	if err := timeline.Page(&page, t); err != nil {
		return err
	}
	return os.WriteFile(r.report, page.Bytes(), 0o644)
}
