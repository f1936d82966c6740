package main

import (
	"context"
	"fmt"
	"strings"

	"viplog/adapters/timeline"
	"viplog/core/trace"
	"viplog/sim"
)

// devTrace is what happened in a dev cluster, for the page that --report asks for. Records are the world's
// goroutine's, verbs are of the one that reads them.
type devTrace struct {
	path    string // of the page; "": nothing is kept
	records []trace.Record
	dropped int      // records, the first ones
	verbs   []string // that were typed
}

// devTraceLimit bounds the records that a page shows, so that a cluster may stay up for days.
const devTraceLimit = 50_000

func (t *devTrace) note(r trace.Record) {
	if t.path == "" {
		return
	}
	if len(t.records) == 2*devTraceLimit {
		t.dropped += devTraceLimit
		t.records = append(t.records[:0], t.records[devTraceLimit:]...)
	}
	t.records = append(t.records, r)
}

func (t *devTrace) typed(verb string) {
	if t.path != "" {
		t.verbs = append(t.verbs, verb+"\n")
	}
}

// writeReport writes the page that shows what happened so far, if one is asked for.
func (c *devCluster) writeReport(flags devFlags) error {
	if c.trace.path == "" {
		return nil
	}
	t := timeline.Timeline{
		Title: "viplog dev: " + c.file.Cluster.Name, Verdict: timeline.VerdictOK, Command: flags.command(), Script: strings.Join(c.trace.verbs, ""),
	}
	for _, n := range c.file.Cluster.Nodes {
		t.Nodes = append(t.Nodes, devName(c.file.Cluster.Nodes, n.Address))
	}
	err := c.time.Do(context.Background(), func(w *sim.World) {
		t.End, t.Records = w.Now(), c.trace.records
		if found := w.Audit.Violations; len(found) > 0 {
			t.Verdict, t.Why = string(sim.Violates), found[0].String()
		}
		if c.trace.dropped > 0 {
			t.Title += fmt.Sprintf(" (without the first %d records)", c.trace.dropped)
		}
		c.trace.records = nil
	})
	if err != nil {
		return err
	}
	return writePage(c.trace.path, t)
}

// command is the line that runs the same again, in a shell; verbs are typed anew.
func (f devFlags) command() string {
	line := "viplog dev"
	for _, flag := range []struct{ name, value string }{{"cluster", f.cluster}, {"services", f.services}} {
		if flag.value != "" {
			line += fmt.Sprintf(" --%s '%s'", flag.name, strings.ReplaceAll(flag.value, "'", `'\''`))
		}
	}
	if f.once {
		line += " --once"
	}
	return line
}
